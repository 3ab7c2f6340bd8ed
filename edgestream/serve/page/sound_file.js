// SPDX-License-Identifier: Apache-2.0
// A dropped file as samples. The browser decodes what it can play: sound, and the sound of videos.

import { Refusal } from "./refusals.js";

export const FILE_RATE_HZ = 16_000;

/** Int16 samples, one channel, FILE_RATE_HZ. Raises Refusal. */
export async function samplesOf(file) {
  const context = new OfflineAudioContext(1, 1, FILE_RATE_HZ); // decodes to its own rate
  let sound;
  try {
    sound = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    const way = `edgestream listen "${file.name}" --fast`;
    throw new Refusal(`This browser cannot read “${file.name}” as sound, or it is too long. Try: ${way}`);
  }
  if (!sound.length) throw new Refusal(`“${file.name}” holds no sound.`);
  return mixed(sound);
}

function mixed(sound) {
  const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i));
  const samples = new Int16Array(sound.length);
  for (let i = 0; i < samples.length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i];
    samples[i] = Math.round(Math.max(-1, Math.min(1, sum / channels.length)) * 32767);
  }
  return samples;
}
