// SPDX-License-Identifier: Apache-2.0
// The newest lines over a picture, as of live television: new ones push up old ones.

import { parts } from "./draft.js";
import { wordsOf } from "./transcript.js";

const KEPT = 6; // lines; more than the overlay ever shows
const CLEARED_AFTER_MS = 6000;

export class Overlay {
  #timer = null;
  #open = paragraph();

  constructor(stage, transcript) {
    this.box = Object.assign(document.createElement("div"), { id: "rolling" });
    this.box.append(this.#open);
    stage.replaceChildren(this.box);
    transcript.onRecord((record) => record.event.type === "final" && this.#finish(record));
  }

  draft(event) {
    this.#write(...parts(event));
  }

  #finish(record) {
    this.#write(wordsOf(record), "");
    this.#open = paragraph();
    this.box.append(this.#open);
    while (this.box.children.length > KEPT) this.box.firstChild.remove();
    this.#roll();
  }

  #write(sure, open) {
    const [settled, rest] = this.#open.children;
    settled.textContent = sure;
    rest.textContent = open;
    this.#roll();
  }

  #roll() {
    this.box.scrollTop = this.box.scrollHeight;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#clear(), CLEARED_AFTER_MS);
  }

  #clear() {
    this.#open = paragraph();
    this.box.replaceChildren(this.#open);
  }
}

function paragraph() {
  const line = Object.assign(document.createElement("p"), { className: "rolled", dir: "auto" });
  const open = Object.assign(document.createElement("span"), { className: "open" });
  line.append(document.createElement("span"), open);
  return line;
}
