// SPDX-License-Identifier: Apache-2.0
// What can be chosen, kept in this browser, and how it shows. What captions must let people choose
// is from the rules of the FCC for televisions (47 CFR 79.103).

const KEY = "edgestream-settings";

const COLOURS = ["page", "white", "black", "yellow", "green", "cyan", "blue", "magenta", "red"];
const CODES = {
  white: "#ffffff", black: "#000000", yellow: "#ffff00", green: "#00ff00", cyan: "#00ffff",
  blue: "#0000ff", magenta: "#ff00ff", red: "#ff0000",
}; // prettier-ignore
const DARK_LETTERS = ["black", "blue"];

/** Each: the first value, and either all values or the bounds of a number. */
export const SETTINGS = {
  theme: { first: "system", values: ["system", "light", "dark"] },
  font: {
    first: "sans",
    values: ["sans", "serif", "mono", "mono-serif", "casual", "cursive", "small-caps"],
  },
  size: { first: 100, least: 50, most: 300 },
  colour: { first: "page", values: COLOURS },
  colour_opacity: { first: 100, least: 25, most: 100 },
  back: { first: "page", values: COLOURS },
  back_opacity: { first: 0, least: 0, most: 100 },
  window: { first: "page", values: COLOURS },
  window_opacity: { first: 100, least: 0, most: 100 },
  edge: { first: "none", values: ["none", "outline", "shadow", "raised", "depressed"] },
  lines: { first: 2, least: 1, most: 6 },
  times: { first: "start", values: ["start", "day", "none"] },
  announce: { first: "on", values: ["on", "off"] },
  keys: { first: "on", values: ["on", "off"] },
  model: { first: "" },
  delay: { first: "", values: ["", "low", "normal", "sure"] },
  language: { first: "" },
  task: { first: "", values: ["", "translate"] },
  prompt: { first: "" },
};

const HEARING = ["model", "delay", "language", "task", "prompt"];
/** What an overlay looks like if its address does not say otherwise. */
export const OVERLAY = { colour: "white", edge: "outline", window_opacity: 0 };
const LOOK = [
  "font", "size", "colour", "colour_opacity", "back", "back_opacity", "window", "window_opacity",
  "edge", "lines",
]; // prettier-ignore

export class Settings {
  #values = {};
  #listeners = [];

  /** `first`: other first values. `keep`: whether changes are kept in this browser. */
  constructor({ first = {}, keep = true } = {}) {
    this.keep = keep;
    this.first = Object.fromEntries(names().map((name) => [name, first[name] ?? SETTINGS[name].first]));
    this.#values = { ...this.first, ...(keep ? stored() : {}) };
  }

  get(name) {
    return this.#values[name];
  }

  /** What makes no sense is left out. */
  set(name, value) {
    const valid = checked(name, value);
    if (valid === undefined) return;
    this.#values[name] = valid;
    this.#changed();
  }

  /** From an address: ?size=150&edge=outline. */
  take(query) {
    for (const [name, value] of query) if (name in SETTINGS) this.set(name, value);
  }

  reset() {
    this.#values = { ...this.first };
    this.#changed();
  }

  onChange(listener) {
    this.#listeners.push(listener);
    listener();
  }

  /** The fields of the protocol's hello that the person chose. */
  hearing() {
    const chosen = HEARING.filter((name) => this.get(name));
    return Object.fromEntries(chosen.map((name) => [name, this.get(name)]));
  }

  /** An address for OBS with this look. */
  overlayAddress() {
    const address = new URL("/?overlay", location.href);
    const overlay = new Settings({ first: OVERLAY, keep: false });
    for (const name of LOOK) {
      const inPage = this.get(name) === SETTINGS[name].first;
      if (!inPage && this.get(name) !== overlay.get(name)) address.searchParams.set(name, this.get(name));
    }
    return address.href.replace("overlay=", "overlay");
  }

  #changed() {
    if (this.keep) store(this.#values);
    this.#listeners.forEach((listener) => listener());
  }
}

/** Shows the look on an element and all in it. */
export function show(settings, element) {
  const set = (name, value) => element.style.setProperty(`--${name}`, value);
  const mixed = (name) => {
    const code = CODES[settings.get(name)] ?? `var(--page-${name})`;
    return `color-mix(in srgb, ${code} ${settings.get(`${name}_opacity`)}%, transparent)`;
  };
  for (const name of ["colour", "back", "window"]) set(`caption-${name}`, mixed(name));
  set("caption-size", settings.get("size") / 100);
  set("caption-lines", settings.get("lines"));
  const dark = DARK_LETTERS.includes(settings.get("colour"));
  if (dark) set("edge", "#ffffff");
  else element.style.removeProperty("--edge");
  for (const name of ["font", "edge", "times"]) element.dataset[name] = settings.get(name);
}

function names() {
  return Object.keys(SETTINGS);
}

function checked(name, value) {
  const { values, least, most } = SETTINGS[name];
  if (values) return values.includes(value) ? value : undefined;
  if (least === undefined) return String(value);
  const number = Math.round(Number(value));
  return Number.isFinite(number) ? Math.min(most, Math.max(least, number)) : undefined;
}

function stored() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY)) ?? {};
    const valid = names().map((name) => [name, name in kept ? checked(name, kept[name]) : undefined]);
    return Object.fromEntries(valid.filter(([, value]) => value !== undefined));
  } catch {
    return {}; // a browser that keeps nothing, or what is not ours
  }
}

function store(values) {
  try {
    localStorage.setItem(KEY, JSON.stringify(values));
  } catch {
    // A browser that keeps nothing: the settings hold until the page is closed.
  }
}
