// SPDX-License-Identifier: Apache-2.0
// Sound that may have to be sent once more. Positions are bytes since the first one.

export class KeptSound {
  #chunks = []; // Uint8Array, the oldest first
  start = 0; // position of the oldest byte that is kept
  end = 0;

  /** At most `mostBytes` are kept; the oldest go. */
  constructor(mostBytes = Infinity) {
    this.mostBytes = mostBytes;
  }

  push(bytes) {
    this.#chunks.push(bytes);
    this.end += bytes.length;
    this.dropBefore(this.end - this.mostBytes);
  }

  /** Forgets whole chunks before `position`. */
  dropBefore(position) {
    let n = 0;
    while (n < this.#chunks.length && this.start + this.#chunks[n].length <= position) {
      this.start += this.#chunks[n].length;
      n++;
    }
    if (n) this.#chunks.splice(0, n);
  }

  /** Up to `mostBytes` from `position` on, which must be kept; not more than the rest of a chunk. */
  read(position, mostBytes) {
    let at = this.start;
    for (const chunk of this.#chunks) {
      if (position < at + chunk.length) {
        return chunk.subarray(position - at, position - at + mostBytes);
      }
      at += chunk.length;
    }
    return new Uint8Array(0);
  }
}
