// SPDX-License-Identifier: Apache-2.0
// All lines since the page was opened, as small records. They are in memory only.

/**
 * A take is what one start brought: {name, zeroMs}. zeroMs is the time of day (ms since 1970) at which
 * its clock was 0, or null for a file. A record is {take, event}; events are finals and gaps.
 */
export class Transcript {
  records = [];
  nSaved = 0; // of them
  takes = [];
  #listeners = [];

  /** Without `keep` records are told of and not kept: an overlay runs for days and shows the newest. */
  constructor({ keep = true } = {}) {
    this.keep = keep;
  }

  /** `listener(record)` is called for each new one. */
  onRecord(listener) {
    this.#listeners.push(listener);
  }

  begin(name) {
    const take = { name, zeroMs: null };
    this.takes.push(take);
    return take;
  }

  add(take, event) {
    const record = { take, event };
    if (this.keep) this.records.push(record);
    this.#listeners.forEach((listener) => listener(record));
  }

  /** Takes that brought something. */
  spoken() {
    const found = new Set(this.records.map(({ take }) => take));
    return this.takes.filter((take) => found.has(take));
  }
}

/** What a line says, also of a gap. */
export function wordsOf({ event }) {
  if (event.type === "final") return event.text;
  const seconds = ((event.end_ms - event.start_ms) / 1000).toFixed(1);
  return `${seconds} s lost: ${event.reason}`;
}
