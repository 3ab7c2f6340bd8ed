// SPDX-License-Identifier: Apache-2.0
// One run at a time: starts it, shows what it brings, ends it.

import { Camera } from "./camera.js";
import { Refusal } from "./refusals.js";
import { CaptureRun, FileRun, LiveRun } from "./runs.js";
import { keepAwake } from "./wake.js";

const ENDS = ["done", "refused", "unauthorized"];

export class Captioning {
  #run = null;
  #camera = null;
  #stopping = false;
  #turn = 0; // of the newest start
  #ended = Promise.resolve();
  #end = () => {};

  /** `views`: {page, bar, dock, draft(event)}. `askToken()`: true once there is one. */
  constructor({ transcript, settings, views, askToken }) {
    Object.assign(this, { transcript, settings, views, askToken, server: {} });
  }

  get running() {
    return this.#run !== null;
  }

  /** `wanted`: {source, deviceId, file}; what runs already is ended first. Of several that wait, the
   * newest is started. */
  async start(wanted) {
    const turn = ++this.#turn;
    if (this.#run) this.stop();
    await this.#ended;
    if (turn !== this.#turn) return;
    this.#ended = new Promise((done) => (this.#end = done));
    this.#stopping = false;
    const run = this.#made(wanted);
    this.#run = run;
    this.views.bar.say("");
    this.views.bar.state("starting");
    this.views.dock.show(true);
    this.views.dock.progress(wanted.source === "file" ? 0 : null);
    this.views.page.stage.lang = this.#language();
    keepAwake(true);
    try {
      await run.start();
      this.views.dock.listDevices();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#state(run, wanted, "refused", error.message);
    }
  }

  /** No more sound; the last words are waited for. Again: they are not. */
  stop() {
    if (this.#stopping) return this.#run.close();
    this.#stopping = true;
    this.views.dock.show(true, true);
    this.#run.stop();
  }

  #made(wanted) {
    const { source, deviceId, file } = wanted;
    const hearing = this.settings.hearing();
    let run = null;
    const { bar } = this.views;
    const on = {
      level: (dbfs) => bar.level(dbfs),
      lag: (ms) => bar.lag(ms),
      event: (event, take) => this.#event(event, take),
      state: (name, words) => this.#state(run, wanted, name, words),
      notice: (words) => bar.say(words),
      muted: (yes) => bar.say(yes ? "The microphone is muted by the system or its own switch." : ""),
      progress: (share) => this.views.dock.progress(share),
    };
    const { transcript } = this;
    if (source === "file") run = new FileRun(file, hearing, transcript, on);
    else if (source === "live") run = this.#madeLive(on);
    else {
      const inputs = { microphone: source !== "screen", screen: source !== "microphone", deviceId };
      run = new CaptureRun(inputs, hearing, transcript, on);
    }
    return run;
  }

  #madeLive(on) {
    const { kind, name } = this.server.live ?? { name: "the server" };
    this.views.page.draft.hidden = kind === "camera"; // comments have no drafts
    if (kind === "camera") {
      this.#camera = new Camera(this.views.page, name);
      this.#camera.start();
    }
    return new LiveRun(name, this.transcript, on);
  }

  /** What the lines are in, so that a screen reader has the right voice; "" if nobody knows. */
  #language() {
    const { model, language, task } = this.settings.hearing();
    if (task === "translate") return "en";
    const used = this.server.models?.find((each) => (model ? each.name === model : each.default));
    const only = used?.languages?.length === 1 ? used.languages[0] : "";
    return language || only;
  }

  #event(event, take) {
    if (event.type === "draft") this.views.draft(event);
    else if (event.type === "final" || event.type === "gap") {
      this.views.draft(null);
      this.transcript.add(take, event);
    } else if (event.type === "lag") this.views.bar.mention(`The server is too slow: ${event.action}.`);
    else if (event.type === "notice") this.views.bar.mention(event.text);
  }

  #state(run, wanted, name, words) {
    if (run !== this.#run) return;
    this.views.bar.state(name, words);
    if (name === "finishing") {
      this.#stopping = true;
      this.views.dock.show(true, true);
    }
    if (!ENDS.includes(name)) return;
    this.#run = null;
    this.#camera?.stop();
    this.#camera = null;
    this.views.page.draft.hidden = false;
    this.views.draft(null);
    this.views.dock.show(false);
    keepAwake(false);
    this.#end();
    if (name === "unauthorized") this.askToken().then(() => this.start(wanted));
  }
}
