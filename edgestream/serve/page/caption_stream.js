// SPDX-License-Identifier: Apache-2.0
// Sends sound to the server and takes its captions. When the connection is lost, it goes on where it
// was. When the server has forgotten the session, what no final line covers is sent once more.

import { Backoff } from "./backoff.js";
import { authorised, socketAddress } from "./server.js";

const PIECE_BYTES = 32_768;
const MOST_UNSENT_BYTES = 262_144; // that wait in the browser
const MOST_UNHEARD_MS = 60_000; // that wait in the server
const CALM_MS = 10_000; // so long after silence nothing can come of it any more
// A new session begins before the last line, so that its first word is whole, and at a multiple of the
// models' steps, so that they hear what they heard before. What was told before is left out.
const LEAD_MS = 300;
const STEP_MS = 800;
const DEAD_MS = 15_000; // without a word of the server, though sound was sent
const WRONG = ["bad-request", "unknown-model"]; // about a hello: another one will not be better
const LOST = ["unknown-session", "too-long", "failed", "bad-request", "shutting-down"]; // no session more
const MOST_FAILURES = 3; // in a row, without a final line

export class CaptionStream {
  #socket = null;
  #session = null; // the server's name for it
  #sessionStart = 0; // the byte with which it began
  #seq = 0; // of the newest event
  #sent = 0; // up to this byte
  #heard = 0; // the server has counted up to this byte
  #covered = 0; // sound before this byte is not needed any more
  #toldMs = 0; // the final lines end here, in ms since the first byte
  #toldBefore = 0; // and ended here when the session began
  #drafted = false;
  #ending = false;
  #endSent = false;
  #failures = 0;
  #error = null;
  #open = false; // the server takes sound
  #messageAt = 0;
  #closed = false;
  #backoff = new Backoff();
  #timers = [];

  /**
   * `hello`: the first message of the protocol. `kept`: the KeptSound to send from.
   * `on`: event(event), with times since the first byte; heard(message); state(name, words) with
   * connecting, connected, reconnecting, full, refused, unauthorized, done.
   */
  constructor({ hello, kept, on }) {
    Object.assign(this, { hello, kept, on });
    this.bytesPerMs = (hello.rate_hz * (hello.format === "f32le" ? 4 : 2) * (hello.channels ?? 1)) / 1000;
  }

  start() {
    this.#timers.push(setInterval(() => this.#watch(), 5000), setInterval(() => this.pump(), 50));
    this.on.state("connecting");
    this.#connect();
  }

  /** No more sound; the last words follow, then the state `done`. */
  end() {
    this.#ending = true;
    this.pump();
  }

  close() {
    this.#closed = true;
    this.#timers.forEach(clearInterval);
    this.#backoff.stop();
    this.#drop();
  }

  /** Sends what is there and not sent yet. */
  pump() {
    if (!this.#open || this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#sent < this.kept.start) return this.#anew();
    const mostSent = this.#heard + MOST_UNHEARD_MS * this.bytesPerMs;
    while (this.#sent < Math.min(this.kept.end, mostSent)) {
      if (this.#socket.bufferedAmount > MOST_UNSENT_BYTES) return;
      const bytes = this.kept.read(this.#sent, PIECE_BYTES);
      this.#socket.send(bytes);
      this.#sent += bytes.length;
    }
    if (this.#ending && !this.#endSent && this.#sent === this.kept.end) {
      this.#endSent = true;
      this.#say({ type: "end" });
    }
  }

  /** Sound that was captured and is not sent yet, in ms. */
  get unsentMs() {
    return (this.kept.end - this.#sent) / this.bytesPerMs;
  }

  /** All sound so far, in ms. */
  get keptMs() {
    return this.kept.end / this.bytesPerMs;
  }

  #connect() {
    this.#error = null;
    this.#endSent = false;
    const socket = new WebSocket(socketAddress("/v1/stream"));
    this.#socket = socket;
    socket.onopen = () =>
      this.#say(
        this.#session
          ? { type: "resume", session: this.#session, seq: this.#seq }
          : { ...this.hello, type: "hello" },
      );
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = () => this.#lost();
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#open = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #say(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #take(message) {
    this.#messageAt = Date.now();
    if (message.type === "ready") this.#ready(message);
    else if (message.type === "resumed") this.#goOn(this.#sessionStart + message.bytes);
    else if (message.type === "heard") this.#count(message);
    else if (message.type === "error") this.#error = message;
    else if (message.seq > this.#seq) this.#event(message);
  }

  #ready({ session }) {
    this.#session = session;
    this.#seq = 0;
    this.#toldBefore = this.#toldMs;
    this.#sessionStart = Math.max(this.kept.start, this.#covered);
    if (this.#covered < this.#sessionStart) this.#tellOfGap();
    this.#goOn(this.#sessionStart);
  }

  #goOn(position) {
    this.#sent = this.#heard = position;
    this.#open = true;
    this.#backoff.reset();
    this.on.state("connected");
    this.pump();
  }

  /** What was kept for the server is longer than may be kept. */
  #tellOfGap() {
    const startMs = Math.max(this.#covered / this.bytesPerMs, this.#toldMs);
    const endMs = this.#sessionStart / this.bytesPerMs;
    this.#covered = this.#sessionStart;
    if (endMs <= startMs) return;
    this.on.event({ type: "gap", start_ms: startMs, end_ms: endMs, reason: "the connection was lost too long" });
  }

  #count(message) {
    this.#heard = Math.max(this.#heard, this.#sessionStart + message.bytes);
    const shiftMs = this.#sessionStart / this.bytesPerMs;
    if (!this.#drafted) this.#cover(shiftMs + message.heard_ms - message.behind_ms - CALM_MS);
    this.kept.dropBefore(Math.min(this.#heard, this.#covered));
    if (this.#seq) this.#say({ type: "ack", seq: this.#seq });
    this.on.heard(message);
    this.pump();
  }

  /** Of sound up to here nothing more can come: a new session would begin a little before. */
  #cover(timeMs) {
    const startMs = Math.floor(Math.max(0, timeMs) / STEP_MS) * STEP_MS;
    const frames = Math.floor((startMs * this.hello.rate_hz) / 1000);
    const frameBytes = (this.bytesPerMs * 1000) / this.hello.rate_hz;
    this.#covered = Math.max(this.#covered, frames * frameBytes);
  }

  #event(event) {
    this.#seq = event.seq;
    if (event.type === "done") return this.#finish("done");
    const moved = shifted(event, this.#sessionStart / this.bytesPerMs);
    if (event.type === "draft") {
      this.#drafted = event.text !== "";
      if (moved.start_ms < this.#toldBefore && moved.text) return; // its first words were told before
    } else if (event.type === "final") {
      return this.#line(moved);
    }
    this.on.event(moved);
  }

  #line(line) {
    this.#drafted = false;
    this.#failures = 0;
    this.#cover(line.start_ms - LEAD_MS);
    const rest = behind(line, this.#toldBefore);
    this.#toldMs = Math.max(this.#toldMs, line.end_ms);
    this.on.event(rest ?? { type: "draft", text: "", n_final: 0 });
  }

  /** The server knows no session: the next one begins with the sound that is kept. */
  #anew() {
    this.#session = null;
    this.#drafted = false;
    this.#drop();
    this.on.event({ type: "draft", text: "", n_final: 0 });
    this.on.state("reconnecting");
    this.#backoff.wait(() => this.#connect());
  }

  #lost() {
    const { code, message } = this.#error ?? {};
    this.#drop();
    if (code === "unauthorized") return this.#finish("unauthorized", message);
    if (this.#isHopeless(code)) return this.#finish("refused", message);
    if (code === "shutting-down" && this.#session) this.#covered = this.#heard; // all of it is final
    if (LOST.includes(code)) return this.#anew();
    this.on.state(code === "full" ? "full" : "reconnecting", message);
    this.#backoff.wait(() => this.#again());
  }

  #isHopeless(code) {
    if (WRONG.includes(code) && !this.#session) return true;
    if (code === "too-long" && !this.hello.live) return true;
    return ["failed", "bad-request"].includes(code) && ++this.#failures >= MOST_FAILURES;
  }

  /** A browser does not say why a web socket was refused: the plain request tells. */
  async #again() {
    const allowed = await authorised().catch(() => true);
    if (this.#closed) return;
    if (allowed) this.#connect();
    else this.#finish("unauthorized");
  }

  #finish(state, words) {
    this.close();
    this.on.state(state, words);
  }

  /** A network that vanished does not close its connections. */
  #watch() {
    const waiting = this.#open && this.#sent > this.#heard;
    if (waiting && Date.now() - this.#messageAt > DEAD_MS) this.#lost();
  }
}

/** What of a line was not told before: from the first word on whose middle lies behind that time. */
function behind(line, toldMs) {
  const first = line.words.findIndex((word) => word.start_ms + word.end_ms > 2 * toldMs);
  if (first === 0 || !line.words.length) return line;
  if (first < 0) return null;
  const words = line.words.slice(first);
  return { ...line, words, text: line.text.slice(placeOf(first, line)), start_ms: words[0].start_ms };
}

/** Where word number `n` begins in the text of its line; not all languages have spaces between words. */
function placeOf(n, { words, text }) {
  let end = 0;
  for (const word of words.slice(0, n)) {
    const at = text.indexOf(word.text, end);
    if (at >= 0) end = at + word.text.length;
  }
  return Math.max(end, text.indexOf(words[n].text, end));
}

function shifted(event, shiftMs) {
  const moved = { ...event };
  for (const name of ["start_ms", "end_ms", "time_ms", "emitted_ms"]) {
    if (typeof moved[name] === "number") moved[name] = round(moved[name] + shiftMs);
  }
  if (moved.words) moved.words = moved.words.map((word) => shifted(word, shiftMs));
  return moved;
}

function round(timeMs) {
  return Math.round(timeMs * 10) / 10;
}
