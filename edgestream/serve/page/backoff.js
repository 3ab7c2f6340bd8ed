// SPDX-License-Identifier: Apache-2.0
// When to try again: after 0.5 s, 1 s, 2 s ... 10 s, and at once when the network is back.

const FIRST_MS = 500;
const MOST_MS = 10_000;

export class Backoff {
  #tries = 0;
  #timer = null;
  #again = null;
  #online = () => this.#now();

  /** Calls `again` later, once; not before `leastMs` are over. */
  wait(again, leastMs = 0) {
    this.stop();
    const waitMs = Math.min(MOST_MS, FIRST_MS * 2 ** this.#tries++) * (0.75 + Math.random() / 4);
    this.#again = again;
    this.#timer = setTimeout(() => this.#now(), Math.max(leastMs, waitMs));
    addEventListener("online", this.#online);
  }

  /** It went well: the next wait is short again. */
  reset() {
    this.#tries = 0;
  }

  stop() {
    clearTimeout(this.#timer);
    removeEventListener("online", this.#online);
    this.#again = null;
  }

  #now() {
    const again = this.#again;
    this.stop();
    again?.();
  }
}
