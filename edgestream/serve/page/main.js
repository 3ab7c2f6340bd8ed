// SPDX-License-Identifier: Apache-2.0
// Joins the parts of the page. Modes: the page itself, ?overlay (for OBS), ?read (for phones).

import { Bar } from "./bar.js";
import { Captioning } from "./captioning.js";
import { Dock } from "./dock.js";
import { showDraft } from "./draft.js";
import { takeDrops } from "./dropped.js";
import { History } from "./history.js";
import { listenToKeys, listKeys } from "./keys.js";
import { Overlay } from "./overlay.js";
import { mode, page, query } from "./page.js";
import { SavePanel } from "./save_panel.js";
import { Search } from "./search.js";
import { keepToken, messageOf, request, takeToken } from "./server.js";
import { OVERLAY, Settings, show } from "./settings.js";
import { SettingsPanel } from "./settings_panel.js";
import { Transcript } from "./transcript.js";

takeToken();
const root = document.documentElement;
const overlaid = mode === "overlay";
const settings = new Settings(overlaid ? { first: OVERLAY, keep: false } : {});
settings.take(query);
const transcript = new Transcript({ keep: !overlaid });
const bar = new Bar(page);
const overlay = overlaid ? new Overlay(page.stage, transcript) : null;
if (overlay) {
  bar.say = (words) => words && overlay.draft({ text: words });
  bar.mention = () => {}; // viewers of a broadcast need not know
}
const dock = new Dock(page, { start: (wanted) => captioning.start(wanted), stop: () => captioning.stop() });
const draft = (event) => (overlay ? overlay.draft(event) : showDraft(page, event));
const captioning = new Captioning({ transcript, settings, views: { page, bar, dock, draft }, askToken });
const panel = overlay ? null : panels();

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", showTheme);
settings.onChange(() => {
  show(settings, root);
  showTheme();
  page.log.setAttribute("aria-live", settings.get("announce") === "on" ? "polite" : "off");
});
root.dataset.mode = mode;
begin(await askServer());

function begin(server) {
  captioning.server = server;
  panel?.offer(server.models);
  dock.offerLive(server.live);
  if (mode === "page") return;
  const source = query.get("source") === "mic" ? "microphone" : "live";
  captioning.start({ source });
}

/** All but the overlay has lines to scroll, panels and keys. */
function panels() {
  const history = new History(page, transcript, settings);
  const search = new Search(page, transcript, history);
  const panel = new SettingsPanel(page, settings);
  const save = new SavePanel(page, transcript);
  const size = (step) => settings.set("size", settings.get("size") + step);
  const keys = {
    s: ["start or stop", () => mode === "page" && dock.press()],
    "/": ["search", () => search.open()],
    e: ["save the captions", () => save.open()],
    ",": ["settings", () => panel.open()],
    "+": ["larger letters", () => size(10)],
    "-": ["smaller letters", () => size(-10)],
    n: ["to the newest line", () => history.toNewest()],
    "?": ["these keys", () => page.help.showModal()],
  };
  listenToKeys(keys, settings);
  listKeys(page.keys, keys);
  settings.onChange(() => history.retime());
  page["open-help"].addEventListener("click", () => page.help.showModal());
  if (mode === "page") takeDrops(page.drop, (file) => captioning.start({ source: "file", file }));
  addEventListener("beforeunload", (event) => {
    const unsaved = transcript.records.length > transcript.nSaved;
    if (mode === "page" && (captioning.running || unsaved)) event.preventDefault();
  });
  return panel;
}

function showTheme() {
  const system = dark.matches ? "dark" : "light";
  const chosen = settings.get("theme");
  root.dataset.theme = chosen === "system" ? system : chosen;
}

/** What the server is and can; waits until it answers and lets us in. */
async function askServer() {
  for (;;) {
    try {
      const response = await request("/v1/server");
      if (response.ok) {
        bar.state("ready");
        return await response.json();
      }
      if (response.status === 401) await askToken();
      else bar.say(await messageOf(response));
    } catch {
      bar.state("reconnecting");
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

/** Resolves once there is a token to try. */
function askToken() {
  if (overlay) {
    bar.say("The server wants its token: add #token=… to the address.");
    return new Promise(() => {});
  }
  const dialog = page["ask-token"];
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => {
      keepToken(page.token.value);
      page.token.value = "";
      done();
    }, { once: true });
  });
}
