// SPDX-License-Identifier: Apache-2.0
// One-letter keys. They rest while somebody types, while a panel is open, or if turned off.

const REPEATED = ["+", "-"]; // also while they are held down

/** `actions`: {key: [words, action]}, also what the help lists. */
export function listenToKeys(actions, settings) {
  addEventListener("keydown", (event) => {
    if (settings.get("keys") === "off" || event.ctrlKey || event.altKey || event.metaKey) return;
    if (types(event.target) || document.querySelector("dialog[open]")) return;
    const found = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!found) return;
    event.preventDefault();
    if (!event.repeat || REPEATED.includes(event.key)) found[1]();
  });
}

export function listKeys(list, actions) {
  for (const [key, [words]] of Object.entries(actions)) {
    const term = document.createElement("dt");
    const cap = document.createElement("kbd");
    cap.textContent = key.length === 1 ? key.toUpperCase() : key;
    term.append(cap);
    const meaning = document.createElement("dd");
    meaning.textContent = words;
    list.append(term, meaning);
  }
}

function types(element) {
  return element.closest?.("input, select, textarea, [contenteditable]") !== null;
}
