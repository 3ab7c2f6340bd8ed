// SPDX-License-Identifier: Apache-2.0
// Reads what the server's own microphone, file or camera brings, and goes on after a lost connection.

import { Backoff } from "./backoff.js";
import { EventStreamParser } from "./event_stream.js";
import { messageOf, request } from "./server.js";

const DEAD_MS = 15_000; // the server says something each second
const OVER_MS = 5000; // until it is asked again, once its source is over

export class LiveStream {
  #lastId = "";
  #backoff = new Backoff();
  #abort = null;
  #stopped = false;
  #over = false;
  #timer = null;

  /** `on`: event(event), status(status), state(name, words) as CaptionStream has them, and `over`. */
  constructor(on) {
    this.on = on;
  }

  start() {
    this.on.state("connecting");
    this.#read();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#backoff.stop();
    this.#abort?.abort();
  }

  async #read() {
    this.#abort = new AbortController();
    this.#over = false;
    try {
      this.#alive();
      const response = await request("/v1/live", {
        headers: this.#lastId ? { "Last-Event-ID": this.#lastId } : {},
        signal: this.#abort.signal,
      });
      if (!response.ok) return await this.#refused(response);
      this.#backoff.reset();
      this.on.state("connected");
      await this.#follow(response.body);
    } catch {
      // The network; what follows is the same as for an end.
    }
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    // A file that the server heard is over; or the server ends, and another one may follow.
    this.on.state(this.#over ? "over" : "reconnecting");
    this.#backoff.wait(() => this.#read(), this.#over ? OVER_MS : 0);
  }

  async #refused(response) {
    clearTimeout(this.#timer);
    if (response.status === 401) return this.on.state("unauthorized");
    const words = await messageOf(response);
    if (response.status === 404) return this.on.state("refused", words);
    this.on.state("full", words);
    this.#backoff.wait(() => this.#read());
  }

  async #follow(body) {
    const parser = new EventStreamParser((message) => this.#take(message));
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.#alive();
      parser.push(value);
    }
  }

  #alive() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#abort.abort(), DEAD_MS);
  }

  #take({ id, event, data }) {
    const message = JSON.parse(data);
    if (event === "status") return this.on.status(message);
    if (event === "done") return (this.#over = true);
    if (id) {
      // `ab12-7` is number 7 of a run of the server; the next run has another mark.
      const run = id.split("-")[0];
      if (this.#lastId && run !== this.#lastId.split("-")[0]) this.on.event({ type: "restart" });
      this.#lastId = id;
    }
    this.on.event({ type: event, ...message });
  }
}
