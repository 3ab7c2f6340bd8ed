// SPDX-License-Identifier: Apache-2.0
// Below: what is listened to, and the one button that starts and stops.

import { microphones } from "./capture.js";
import { canCapture, canShare, NOT_SECURE } from "./refusals.js";

const KINDS = { microphone: "microphone", file: "file", camera: "camera" };
const INVITES = {
  microphone: "Press Start and speak. The words appear here.",
  screen: "Press Start, choose a tab or the screen, and share its sound. The words appear here.",
  both: "Press Start and share a tab or the screen. What you and the others say appears here.",
  file: "Choose a recording. Its words appear here, with times.",
  live: "Press Start to read what the server hears or sees.",
};

export class Dock {
  /** `actions`: start(wanted), stop(). `wanted`: {source, deviceId, file}. */
  constructor(page, actions) {
    Object.assign(this, { page, actions, running: false });
    page.source.append(
      new Option("this microphone", "microphone", false, canCapture()),
      new Option("a tab or this computer", "screen"),
      new Option("microphone and computer", "both"),
      new Option("a recording…", "file", false, !canCapture()),
    );
    this.#option("microphone").disabled = !canCapture();
    for (const name of ["screen", "both"]) this.#option(name).disabled = !canShare();
    page.insecure.hidden = canCapture();
    page.insecure.textContent = NOT_SECURE;
    page.source.addEventListener("change", () => this.#chosen());
    page.dock.addEventListener("submit", (event) => {
      event.preventDefault();
      this.press();
    });
    page.file.addEventListener("change", () => this.#picked());
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.listDevices());
    this.listDevices();
    this.#chosen();
  }

  /** The server's own source, if it has one. */
  offerLive(live) {
    if (!live) return;
    const option = new Option(`the server's ${KINDS[live.kind] ?? "source"}: ${live.name}`, "live");
    this.page.source.append(option);
    if (!canCapture()) this.page.source.value = "live";
    this.#chosen();
  }

  async listDevices() {
    const { device } = this.page;
    const chosen = device.value;
    const found = await microphones();
    device.replaceChildren(...found.map(({ deviceId, label }) => new Option(label, deviceId)));
    if (found.some(({ deviceId }) => deviceId === chosen)) device.value = chosen;
    this.#chosen();
  }

  press() {
    if (this.running) return this.actions.stop();
    const { source, device, file } = this.page;
    if (source.value === "file") file.click();
    else this.actions.start({ source: source.value, deviceId: device.value });
  }

  /** `stopping`: the last words are waited for; the button then ends that too. */
  show(running, stopping = false) {
    this.running = running;
    const { start, source, device } = this.page;
    start.textContent = stopping ? "Stop now" : running ? "Stop" : this.#startWord();
    start.toggleAttribute("data-running", running);
    source.disabled = device.disabled = running;
    if (!running) this.progress(null);
  }

  /** Share of a file, 0 to 1; null: none. */
  progress(share) {
    this.page.progress.hidden = share === null;
    this.page.progress.value = share ?? 0;
  }

  #picked() {
    const [file] = this.page.file.files;
    this.page.file.value = "";
    if (file) this.actions.start({ source: "file", file });
  }

  #chosen() {
    const { source, device, start, invite } = this.page;
    const several = ["microphone", "both"].includes(source.value) && device.options.length > 1;
    device.hidden = document.querySelector("label[for=device]").hidden = !several;
    invite.textContent = INVITES[source.value];
    if (!this.running) start.textContent = this.#startWord();
  }

  #startWord() {
    return this.page.source.value === "file" ? "Choose…" : "Start";
  }

  #option(value) {
    return this.page.source.querySelector(`[value=${value}]`);
  }
}
