// SPDX-License-Identifier: Apache-2.0
// The panel in which all of settings.js can be chosen, with a preview.

import { FIELDS } from "./fields.js";
import { SETTINGS, show } from "./settings.js";

export class SettingsPanel {
  #controls = new Map();

  constructor(page, settings) {
    Object.assign(this, { page, settings });
    page.fields.append(...FIELDS.map(([title, fields]) => this.#group(title, fields)), this.#overlay());
    page["open-settings"].addEventListener("click", () => this.open());
    page.reset.addEventListener("click", () => settings.reset());
    settings.onChange(() => this.#refresh());
  }

  open() {
    this.page.settings.showModal();
  }

  /** What the server can hear with, once it is known. */
  offer(models) {
    const select = this.#controls.get("model");
    select.append(...models.map(({ name }) => new Option(name, name)));
    select.value = this.settings.get("model");
    if (select.selectedIndex < 0) this.settings.set("model", "");
  }

  #group(title, fields) {
    return group(title, ...fields.map((field) => this.#field(field)));
  }

  #field({ name, words, options = {}, unit, hint, spoken }) {
    const control = this.#control(name, options);
    control.id = `set-${name}`;
    this.#controls.set(name, control);
    const row = labelled(control, words);
    if (spoken) control.setAttribute("aria-label", spoken);
    if (control.type === "range") withNumber(control, unit ?? "");
    if (hint) describe(row, control, hint);
    return row;
  }

  #control(name, options) {
    const { values, least, most } = SETTINGS[name];
    const isSelect = values || name === "model";
    const control = document.createElement(isSelect ? "select" : "input");
    if (isSelect) control.append(...(values ?? [""]).map((value) => new Option(options[value] ?? value, value)));
    else if (least === undefined) Object.assign(control, { type: "text", autocomplete: "off" });
    else Object.assign(control, { type: "range", min: least, max: most, step: most > 10 ? 5 : 1 });
    control.addEventListener("input", () => this.settings.set(name, control.value));
    return control;
  }

  #overlay() {
    const address = Object.assign(document.createElement("input"), { type: "text", readOnly: true, id: "overlay-address" });
    address.addEventListener("focus", () => address.select());
    const row = labelled(address, "Address");
    describe(row, address, "a browser source with this look; the server's own input, or with &source=mic this microphone");
    return group("For OBS", row);
  }

  #refresh() {
    for (const [name, control] of this.#controls) {
      if (control !== document.activeElement || control.type !== "text") control.value = this.settings.get(name);
      control.dispatchEvent(new Event("shown"));
    }
    document.getElementById("overlay-address").value = this.settings.overlayAddress();
    show(this.settings, this.page.preview);
  }
}

function group(title, ...rows) {
  const element = document.createElement("fieldset");
  const legend = document.createElement("legend");
  legend.textContent = title;
  element.append(legend, ...rows);
  return element;
}

function labelled(control, words) {
  const element = document.createElement("div");
  element.className = "field";
  const label = document.createElement("label");
  label.htmlFor = control.id;
  label.textContent = words;
  element.append(label, control);
  return element;
}

/** The number beside its slider. */
function withNumber(control, unit) {
  const box = document.createElement("div");
  box.className = "number";
  const output = document.createElement("output");
  output.htmlFor = control.id;
  control.replaceWith(box);
  box.append(control, output);
  control.addEventListener("shown", () => (output.textContent = `${control.value}${unit && " "}${unit}`));
}

function describe(row, control, hint) {
  const small = document.createElement("small");
  small.id = `${control.id}-hint`;
  small.textContent = hint;
  control.setAttribute("aria-describedby", small.id);
  row.append(small);
}
