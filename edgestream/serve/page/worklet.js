// SPDX-License-Identifier: Apache-2.0
// Runs in the browser's thread for sound: gathers samples of all that is joined to it.

const CHUNK_S = 0.06;

/** Posts {pcm: Int16Array, level: mean square 0..1, wallMs: time of day at its end}. */
class Chunks extends AudioWorkletProcessor {
  #size = Math.round(sampleRate * CHUNK_S);
  #pcm = new Int16Array(this.#size);
  #filled = 0;
  #sum = 0;
  #stopped = false;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.#stopped = true;
      this.#post();
    };
  }

  process([input]) {
    const samples = input[0] ?? new Float32Array(128); // nothing joined: silence
    for (const sample of samples) this.#add(sample);
    return !this.#stopped;
  }

  #add(sample) {
    const bounded = Math.max(-1, Math.min(1, sample));
    this.#pcm[this.#filled++] = Math.round(bounded * 32767);
    this.#sum += bounded * bounded;
    if (this.#filled === this.#size) this.#post();
  }

  #post() {
    const pcm = this.#pcm.slice(0, this.#filled);
    const level = this.#filled ? this.#sum / this.#filled : 0;
    this.port.postMessage({ pcm, level, wallMs: Date.now() }, [pcm.buffer]);
    this.#filled = this.#sum = 0;
  }
}

registerProcessor("chunks", Chunks);
