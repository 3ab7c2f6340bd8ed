// SPDX-License-Identifier: Apache-2.0
// What Start starts: captions of this browser's sound, of a file, or of the server's own source.
// A run has start(), stop() (no more input; the last words follow) and close() (at once).
//
// `on`: event(event, take); state(name, words); level(dBFS); lag(ms); progress(0..1); muted(yes).
// After the states done, refused and unauthorized nothing more comes.

import { openCapture } from "./capture.js";
import { CaptionStream } from "./caption_stream.js";
import { KeptSound } from "./kept_sound.js";
import { LiveStream } from "./live_stream.js";
import { FILE_RATE_HZ, samplesOf } from "./sound_file.js";

const KEPT_S = 60;
const QUIETEST_DBFS = -90;

export class CaptureRun {
  #capture = null;
  #stream = null;
  #take = null;
  #early = []; // chunks from before the stream was there
  #closed = false; // no more sound is wanted

  /** `wanted`: see openCapture. `hearing`: fields of the protocol's hello. */
  constructor(wanted, hearing, transcript, on) {
    Object.assign(this, { wanted, hearing, transcript, on });
  }

  /** Raises Refusal. */
  async start() {
    const capture = await openCapture(this.wanted, {
      chunk: (chunk) => this.#chunk(chunk),
      slept: (lostMs) => this.#slept(lostMs),
      muted: this.on.muted,
      waits: () => this.on.state("waits"),
      ended: (words) => this.stop(words),
    });
    if (this.#closed) {
      // Somebody pressed Stop while the browser still asked for the microphone.
      await capture.stop();
      return this.on.state("done");
    }
    this.#capture = capture;
    this.#begin();
    this.#early.forEach((pcm) => this.#send(pcm));
  }

  /** `words`: why, if not by the person. */
  async stop(words) {
    this.#closed = true;
    if (words) this.on.notice(words);
    this.on.state("finishing");
    const capture = this.#capture;
    this.#capture = null;
    await capture?.stop();
    this.#stream?.end();
  }

  close() {
    this.#closed = true;
    this.#capture?.stop();
    this.#stream?.close();
    this.on.state("done");
  }

  #begin() {
    const { rateHz, label } = this.#capture;
    const take = this.transcript.begin(label);
    this.#take = take;
    const kept = new KeptSound(KEPT_S * rateHz * 2);
    const hello = { rate_hz: rateHz, format: "s16le", channels: 1, live: true, ...this.hearing };
    const stream = captionStream(hello, kept, take, {
      ...this.on,
      state: (name, words) => stream === this.#stream && this.#state(name, words),
    });
    this.#stream = stream;
    stream.start();
  }

  #state(name, words) {
    if (name === "refused" || name === "unauthorized") this.#capture?.stop();
    const finishing = name === "connected" && !this.#capture;
    this.on.state(finishing ? "finishing" : name, words);
  }

  #chunk({ pcm, level }) {
    this.on.level(Math.max(QUIETEST_DBFS, 10 * Math.log10(level)));
    if (this.#stream) this.#send(pcm);
    else this.#early.push(pcm);
  }

  #send(pcm) {
    const { kept, hello } = this.#stream;
    this.#take.zeroMs ??= Date.now() - (pcm.length / hello.rate_hz) * 1000;
    kept.push(new Uint8Array(pcm.buffer));
    this.#stream.pump();
  }

  /** The times of this take would be wrong from here on: another one begins. */
  #slept(lostMs) {
    if (!this.#stream || !this.#capture) return; // nothing was kept yet, or it has ended
    const startMs = this.#stream.keptMs;
    const gap = { type: "gap", start_ms: startMs, end_ms: startMs + lostMs, reason: "the computer slept" };
    this.on.event(gap, this.#take);
    this.#stream.end();
    this.#begin();
  }
}

export class FileRun {
  #stream = null;
  #closed = false;

  constructor(file, hearing, transcript, on) {
    Object.assign(this, { file, hearing, transcript, on });
  }

  /** Raises Refusal. */
  async start() {
    this.on.state("decoding");
    const samples = await samplesOf(this.file);
    if (this.#closed) return;
    const kept = new KeptSound();
    kept.push(new Uint8Array(samples.buffer));
    const hello = { rate_hz: FILE_RATE_HZ, format: "s16le", channels: 1, live: false, ...this.hearing };
    const heard = ({ heard_ms: heardMs }) => this.on.progress(heardMs / this.#stream.keptMs);
    const on = { ...this.on, lag: () => {}, heard };
    this.#stream = captionStream(hello, kept, this.transcript.begin(this.file.name), on);
    this.#stream.start();
    this.#stream.end();
  }

  /** A file is whole already: what is left of it is not waited for. */
  stop() {
    this.close();
  }

  close() {
    this.#closed = true;
    this.#stream?.close();
    this.on.state("done");
  }
}

export class LiveRun {
  #stream;

  /** `name`: of the server's source. */
  constructor(name, transcript, on) {
    let take = transcript.begin(name);
    let [zeroMs, latestMs] = [null, 0];
    const beginAnew = () => {
      take = transcript.begin(name);
      take.zeroMs = zeroMs;
    };
    const event = (event) => (event.type === "restart" ? beginAnew() : on.event(event, take));
    const status = ({ heard_ms: heardMs, behind_ms: behindMs, level_dbfs: level }) => {
      zeroMs = Date.now() - heardMs;
      if (heardMs < latestMs) beginAnew(); // the server opened its source again
      latestMs = heardMs;
      take.zeroMs ??= zeroMs;
      if (level !== null) on.level(level); // a camera has none
      on.lag(behindMs);
    };
    this.on = on;
    this.#stream = new LiveStream({ event, status, state: on.state });
  }

  start() {
    this.#stream.start();
  }

  stop() {
    this.close();
  }

  close() {
    this.#stream.stop();
    this.on.state("done");
  }
}

function captionStream(hello, kept, take, on) {
  const stream = new CaptionStream({
    hello,
    kept,
    on: {
      event: (event) => on.event(event, take),
      state: on.state,
      heard(message) {
        on.lag(message.behind_ms + stream.unsentMs);
        on.heard?.(message);
      },
    },
  });
  return stream;
}
