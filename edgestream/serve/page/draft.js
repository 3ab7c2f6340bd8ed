// SPDX-License-Identifier: Apache-2.0
// The line that is being said. Words that will not change any more look like finished ones.

/** Shows an event of type draft; null empties it. Outside of what screen readers announce. */
export function showDraft({ draft, sure, open }, event) {
  const [settled, rest] = parts(event);
  sure.textContent = settled;
  open.textContent = rest;
  draft.scrollTop = draft.scrollHeight; // of more lines than fit, the newest
}

/** The text of a draft as what is sure and what is not; `n_final` counts Unicode characters. */
export function parts(event) {
  const letters = [...(event?.text ?? "")];
  const nFinal = event?.n_final ?? 0;
  return [letters.slice(0, nFinal).join(""), letters.slice(nFinal).join("")];
}
