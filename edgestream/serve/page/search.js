// SPDX-License-Identifier: Apache-2.0
// Finds words in all lines, also in those that are not on the page.

import { wordsOf } from "./transcript.js";

export class Search {
  #matches = [];
  #at = -1;
  #current = null;

  constructor(page, transcript, history) {
    Object.assign(this, { page, transcript, history });
    page.query.addEventListener("input", () => this.#find());
    page.query.addEventListener("keydown", (event) => this.#key(event));
    page.next.addEventListener("click", () => this.#go(1));
    page.previous.addEventListener("click", () => this.#go(-1));
    page["close-search"].addEventListener("click", () => this.close());
    page["open-search"].addEventListener("click", () => (page.search.hidden ? this.open() : this.close()));
    transcript.onRecord((record) => this.#more(record));
  }

  open() {
    this.page.search.hidden = false;
    this.page.query.focus();
    this.page.query.select();
    this.#find();
  }

  close() {
    this.page.search.hidden = true;
    this.#mark(null);
    CSS.highlights?.delete("search");
    this.history.toNewest();
    this.page["open-search"].focus();
  }

  #key(event) {
    if (event.key === "Escape") this.close();
    if (event.key !== "Enter") return;
    event.preventDefault();
    this.#go(event.shiftKey ? 1 : -1); // backwards in time: the newest is found first
  }

  #find() {
    const pattern = this.#pattern();
    const { records } = this.transcript;
    this.#matches = pattern ? records.filter((record) => pattern.test(wordsOf(record))) : [];
    this.#at = this.#matches.length;
    if (this.#matches.length) this.#go(-1);
    else this.#tell();
  }

  #more(record) {
    if (this.page.search.hidden || !this.#pattern()?.test(wordsOf(record))) return;
    this.#matches.push(record);
    this.#tell();
  }

  #go(step) {
    const n = this.#matches.length;
    if (!n) return;
    this.#at = (this.#at + step + n) % n;
    this.#mark(this.history.reveal(this.#matches[this.#at]));
    this.#tell();
  }

  #tell() {
    const n = this.#matches.length;
    const none = this.page.query.value ? "not found" : "";
    this.page.found.textContent = n ? `${this.#at + 1} of ${n}` : none;
    this.#highlight();
  }

  #mark(element) {
    this.#current?.classList.remove("current");
    this.#current = element;
    element?.classList.add("current");
  }

  /** Marks the words without a change of the elements, which would be read out. */
  #highlight() {
    const pattern = this.#pattern("giu");
    if (!CSS.highlights) return;
    const ranges = pattern ? this.history.shown().flatMap(([, line]) => rangesIn(line, pattern)) : [];
    CSS.highlights.set("search", new Highlight(...ranges));
  }

  #pattern(flags = "iu") {
    const wanted = this.page.query.value.trim();
    return wanted ? new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), flags) : null;
  }
}

function rangesIn(line, pattern) {
  const text = line.lastChild.firstChild;
  return [...(text?.data ?? "").matchAll(pattern)].map(({ 0: found, index }) => {
    const range = new Range();
    range.setStart(text, index);
    range.setEnd(text, index + found.length);
    return range;
  });
}
