// SPDX-License-Identifier: Apache-2.0
// A recording that is dropped anywhere on the page.

export function takeDrops(place, start) {
  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    place.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) place.hidden = true;
  });
  addEventListener("drop", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    place.hidden = true;
    const [file] = event.dataTransfer.files;
    if (file) start(file);
  });
}
