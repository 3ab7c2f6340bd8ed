// SPDX-License-Identifier: Apache-2.0
// Keeps the screen of a phone on while captions come, where the browser lets a page do that.

let wanted = false;
let lock = null;

export function keepAwake(yes) {
  wanted = yes;
  if (yes) take();
  else lock?.release();
}

async function take() {
  if (!wanted || document.hidden) return;
  try {
    lock = await navigator.wakeLock?.request("screen");
  } catch {
    // A low battery, or a browser that does not: the screen goes dark as it always did.
  }
}

document.addEventListener("visibilitychange", take);
