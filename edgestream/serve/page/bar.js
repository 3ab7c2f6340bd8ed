// SPDX-License-Identifier: Apache-2.0
// The bar above: what goes on, how far behind, how loud; and messages below it.

const BRIEFLY_MS = 12_000;
const LATE_MS = 2000;
const QUIET_DBFS = -60;
const WORDS = {
  ready: "ready",
  starting: "starting…",
  decoding: "reading the file…",
  connecting: "connecting…",
  connected: "listening",
  reconnecting: "connection lost, trying again…",
  full: "the server is full, trying again…",
  over: "nothing more to hear at the moment",
  finishing: "the last words…",
  waits: "click the page once to let it hear",
  done: "ready",
  refused: "stopped",
  unauthorized: "stopped",
};

export class Bar {
  #state = "";
  #timer = null;

  constructor(page) {
    this.page = page;
    page.banner.querySelector("button").addEventListener("click", () => this.say(""));
    this.state("ready");
  }

  /** `words`: the server's, of a state that needs them. */
  state(name, words) {
    if (words && name !== "reconnecting") this.say(words);
    if (name === "connected") this.#recovered();
    this.#state = name;
    this.page.state.dataset.state = name;
    const shown = WORDS[name] ?? name;
    if (this.page.state.textContent !== shown) this.page.state.textContent = shown;
    if (["done", "refused", "unauthorized"].includes(name)) this.#still();
  }

  /** A message that stays until it is closed; empty: none. */
  say(words) {
    clearTimeout(this.#timer);
    this.page.banner.querySelector("p").textContent = words;
    this.page.banner.hidden = !words;
  }

  /** A message that goes by itself. */
  mention(words) {
    this.say(words);
    this.#timer = setTimeout(() => this.say(""), BRIEFLY_MS);
  }

  level(dbfs) {
    this.page.level.hidden = false;
    const share = Math.min(1, Math.max(0, 1 - dbfs / QUIET_DBFS));
    this.page.level.style.setProperty("--level", share.toFixed(2));
    this.page.level.setAttribute("aria-valuenow", Math.round(Math.max(QUIET_DBFS, dbfs)));
  }

  lag(ms) {
    this.page.lag.textContent = `${(ms / 1000).toFixed(1)} s behind`;
    this.page.lag.toggleAttribute("data-late", ms > LATE_MS);
  }

  #recovered() {
    if (this.#state === "full") this.say("");
  }

  #still() {
    this.page.level.hidden = true;
    this.page.lag.textContent = "";
  }
}
