// SPDX-License-Identifier: Apache-2.0
// The finished lines on the page. Of many hours only a stretch is there as elements; the rest waits
// in the transcript.

import { timeOf } from "./exported.js";
import { wordsOf } from "./transcript.js";

const NEWEST = 1000; // lines that are there while the newest are looked at
const MORE = 500; // that are added above, or taken away, at once
const MOST = 3000; // lines that are there at all
const NEAR_PX = 40; // so near the end counts as at the end

export class History {
  #first = 0; // records from here
  #last = 0; // to here, without it, are there as elements
  #following = true;
  #elements = new Map(); // record -> element

  constructor(page, transcript, settings) {
    Object.assign(this, { page, transcript, settings });
    transcript.onRecord(() => this.#grow());
    page.history.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    page.earlier.addEventListener("click", () => this.#showEarlier());
    page.newest.addEventListener("click", () => this.toNewest());
    new ResizeObserver(() => this.#keepAtEnd()).observe(page.history);
  }

  /** Times are written anew, after a change of how. */
  retime() {
    for (const [record, element] of this.#elements) this.#time(record, element);
  }

  toNewest() {
    this.#following = true;
    const { records } = this.transcript;
    if (this.#last < records.length) this.#showOnly(Math.max(0, records.length - NEWEST), records.length);
    this.#keepAtEnd();
    this.#marks();
  }

  /** The element of a record; lines around it come to the page if they were not there. */
  reveal(record) {
    const at = this.transcript.records.indexOf(record);
    if (at < this.#first || at >= this.#last) {
      const first = Math.max(0, at - MORE);
      this.#showOnly(first, Math.min(this.transcript.records.length, at + MORE));
    }
    this.#following = false;
    const element = this.#elements.get(record);
    element.scrollIntoView({ block: "center" });
    this.#marks();
    return element;
  }

  /** [record, element] of what is there. */
  shown() {
    return [...this.#elements];
  }

  #grow() {
    const { records } = this.transcript;
    this.page.welcome.hidden = true;
    const behind = this.#last < records.length - 1;
    if (!this.#following && (behind || this.#last - this.#first >= MOST)) return this.#marks();
    this.page.log.append(...this.#built(this.#last, records.length));
    this.#last = records.length;
    if (this.#following) {
      if (this.#last - this.#first > NEWEST + MORE) this.#cutTop(this.#last - NEWEST);
      this.#keepAtEnd();
    }
    this.#marks();
  }

  #showEarlier() {
    const first = Math.max(0, this.#first - MORE);
    const { history, log } = this.page;
    const fromEnd = history.scrollHeight - history.scrollTop;
    this.#dropTopTitle();
    this.#silently(() => log.prepend(...this.#built(first, this.#first)));
    this.#first = first;
    if (this.#last - first > MOST) this.#cutBottom(first + MOST);
    else history.scrollTop = history.scrollHeight - fromEnd;
    this.#following = false;
    this.#marks();
    history.focus({ preventScroll: true });
  }

  /** The title above lines whose take begins earlier; it comes with those that go before. */
  #dropTopTitle() {
    const { records } = this.transcript;
    const top = this.page.log.firstElementChild;
    const inTake = records[this.#first]?.take === records[this.#first - 1]?.take;
    if (inTake && top?.classList.contains("take")) top.remove();
  }

  #showOnly(first, last) {
    this.#silently(() => {
      this.#elements.clear();
      this.page.log.replaceChildren(...this.#built(first, last));
    });
    [this.#first, this.#last] = [first, last];
  }

  #cutTop(first) {
    this.#forget(this.#first, first);
    this.#first = first;
  }

  #cutBottom(last) {
    const top = this.page.history.scrollTop;
    this.#forget(last, this.#last);
    this.#last = last;
    this.page.history.scrollTop = top;
  }

  #forget(from, to) {
    for (const record of this.transcript.records.slice(from, to)) {
      this.#elements.get(record).remove();
      this.#elements.delete(record);
    }
    const empty = this.page.log.querySelectorAll(".take:has(+ .take), .take:last-child"); // without lines
    empty.forEach((title) => title.remove());
  }

  /** Old lines that come back are not read out. */
  #silently(change) {
    const { log } = this.page;
    const live = log.getAttribute("aria-live");
    log.setAttribute("aria-live", "off");
    change();
    setTimeout(() => log.setAttribute("aria-live", live), 500);
  }

  #built(from, to) {
    const { records, takes } = this.transcript;
    return records.slice(from, to).flatMap((record, i) => {
      const line = this.#line(record);
      this.#elements.set(record, line);
      const begins = record.take !== records[from + i - 1]?.take;
      return begins && takes.length > 1 ? [title(record.take), line] : [line];
    });
  }

  #line(record) {
    const line = document.createElement("p");
    line.className = record.event.type === "final" ? "line" : "line gap";
    const words = document.createElement("span");
    words.className = "words";
    words.dir = "auto";
    words.textContent = wordsOf(record);
    line.append(document.createElement("time"), words);
    this.#time(record, line);
    return line;
  }

  #time(record, line) {
    const kind = this.settings.get("times");
    line.firstChild.textContent = kind === "none" ? "" : timeOf(record, kind);
  }

  #scrolled() {
    const { history } = this.page;
    const atEnd = history.scrollHeight - history.scrollTop - history.clientHeight < NEAR_PX;
    this.#following = atEnd && this.#last === this.transcript.records.length;
    this.#marks();
  }

  #keepAtEnd() {
    if (this.#following && this.#last) this.page.history.scrollTop = this.page.history.scrollHeight;
  }

  #marks() {
    this.page.newest.hidden = this.#following;
    this.page.earlier.hidden = this.#first === 0;
  }
}

function title(take) {
  const element = document.createElement("h2");
  element.className = "take";
  element.textContent = take.name;
  return element;
}
