// SPDX-License-Identifier: Apache-2.0
// What a browser refuses, in plain words with the way out.

/** Its message is for the person who reads the page. */
export class Refusal extends Error {}

const MICROPHONE = {
  NotAllowedError:
    "The browser may not use the microphone. Click the sign beside the address, allow the microphone, then press Start again.",
  NotFoundError: "No microphone was found. Plug one in, then press Start again.",
  NotReadableError:
    "The microphone cannot be opened. Another program may hold it: close that, then press Start again.",
  OverconstrainedError: "That microphone is gone. Choose another one, then press Start again.",
};

export const NO_SOUND_SHARED =
  "No sound was shared. Press Start again, choose a tab, and tick “Also share tab audio” (for the whole screen: “Also share system audio”). Firefox and Safari cannot share sound: use Chrome or Edge, or the server's own input.";
const NOTHING_SHARED = "Nothing was shared. Press Start again and choose a tab, a window or the screen.";
const CANNOT_SHARE =
  "This browser cannot share the sound of a tab or of the system. Use Chrome or Edge on a computer, or the server's own input.";
export const NOT_SECURE =
  "Browsers give a microphone only to pages from https:// or from this same computer (http://localhost). Here you can read the server's captions and drop files.";

export function canCapture() {
  return window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
}

export function canShare() {
  return window.isSecureContext && Boolean(navigator.mediaDevices?.getDisplayMedia);
}

export function microphoneRefusal(error) {
  return new Refusal(MICROPHONE[error.name] ?? `The microphone cannot be opened: ${error.message}`);
}

export function shareRefusal(error) {
  const cannot = ["NotSupportedError", "TypeError"].includes(error.name);
  return new Refusal(cannot ? CANNOT_SHARE : NOTHING_SHARED);
}
