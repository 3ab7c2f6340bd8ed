// SPDX-License-Identifier: Apache-2.0
// Saves the captions as a file that this browser makes itself.

import { exported, FORMATS } from "./exported.js";

export class SavePanel {
  constructor(page, transcript) {
    Object.assign(this, { page, transcript });
    page["open-save"].addEventListener("click", () => this.open());
    page.formats.addEventListener("click", ({ target }) => this.#save(target.closest("button").dataset.format));
  }

  open() {
    const takes = this.transcript.spoken();
    this.page.nothing.hidden = takes.length > 0;
    this.page.formats.hidden = takes.length === 0;
    this.page.takes.hidden = takes.length < 2;
    const named = takes.map((take, i) => new Option(`${i + 1}. ${take.name}`, i));
    this.page.take.replaceChildren(new Option("all of it", ""), ...named);
    this.page.save.showModal();
  }

  #save(format) {
    const chosen = this.page.take.value;
    const take = chosen === "" ? null : this.transcript.spoken()[chosen];
    const text = exported(format, this.transcript.records, take);
    this.transcript.nSaved = this.transcript.records.length;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: FORMATS[format].type }));
    link.download = `${fileStem(take)}.${format.split(".").at(-1)}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    this.page.save.close();
  }
}

/** "talk" of a take from talk.mp3; else "captions_2026-05-04_14-03". */
function fileStem(take) {
  const stem = take?.zeroMs === null && take.name.replace(/\.\w+$/, "");
  const now = new Date();
  const local = new Date(now - now.getTimezoneOffset() * 60_000).toISOString();
  return stem || `captions_${local.slice(0, 16).replace("T", "_").replace(":", "-")}`;
}
