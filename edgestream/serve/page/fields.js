// SPDX-License-Identifier: Apache-2.0
// What the settings panel asks, in its words. Values and bounds are in settings.js.

const COLOUR_WORDS = { page: "as the page" };

/** [title, [{name, words, options: {value: words}, unit, hint, spoken: words for screen readers}]] */
export const FIELDS = [
  ["Letters", [
    { name: "size", words: "Size", unit: "%" },
    { name: "font", words: "Font", options: {
      sans: "plain", serif: "with serifs", mono: "typewriter", "mono-serif": "typewriter, serifs",
      casual: "casual", cursive: "handwriting", "small-caps": "small capitals",
    } },
    { name: "edge", words: "Edge", options: { shadow: "shadow behind" } },
    { name: "colour", words: "Colour", options: COLOUR_WORDS },
    { name: "colour_opacity", words: "Opacity", spoken: "Opacity of the letters", unit: "%" },
  ]],
  ["Background", [
    { name: "back", words: "Behind letters", options: COLOUR_WORDS },
    { name: "back_opacity", words: "Opacity", spoken: "Opacity of the background behind the letters", unit: "%" },
    { name: "window", words: "Whole area", options: COLOUR_WORDS },
    { name: "window_opacity", words: "Opacity", spoken: "Opacity of the whole area", unit: "%" },
  ]],
  ["Page", [
    { name: "theme", words: "Light or dark", options: { system: "as the system" } },
    { name: "times", words: "Times", options: { start: "since the start", day: "time of day" } },
    { name: "lines", words: "Lines kept free", hint: "for words that may still change; of an overlay all its lines" },
    { name: "announce", words: "Screen reader", options: { on: "reads finished lines", off: "stays silent" } },
    { name: "keys", words: "Keys", options: { on: "on", off: "off" }, hint: "one-letter keys, such as S for start" },
  ]],
  ["Hearing, from the next start on", [
    { name: "model", words: "Model", options: { "": "the server's choice" } },
    { name: "delay", words: "Delay", options: { "": "the model's choice", low: "low: sooner, more mistakes", sure: "sure: later, fewer mistakes" } },
    { name: "language", words: "Language", hint: "as en, de, ja; empty: the model finds out" },
    { name: "task", words: "Write", options: { "": "as it is said", translate: "in English" } },
    { name: "prompt", words: "Names and words", hint: "that may come, as: Edgestream, Ada Lovelace" },
  ]],
]; // prettier-ignore
