// SPDX-License-Identifier: Apache-2.0
// Reads text/event-stream. EventSource would do, but it cannot send a token.

/** Push text in any pieces; each whole event comes to `tell` as {id, event, data}. */
export class EventStreamParser {
  #tell;
  #rest = "";
  #event = { id: "", event: "message", data: [] };

  constructor(tell) {
    this.#tell = tell;
  }

  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    lines.forEach((line) => this.#line(line));
  }

  #line(line) {
    if (line === "") return this.#whole();
    const [, field, value] = line.match(/^([^:]*):? ?(.*)$/s);
    if (field === "data") this.#event.data.push(value);
    else if (field === "id" || field === "event") this.#event[field] = value;
  }

  #whole() {
    const { id, event, data } = this.#event;
    this.#event = { id, event: "message", data: [] };
    if (data.length) this.#tell({ id, event, data: data.join("\n") });
  }
}
