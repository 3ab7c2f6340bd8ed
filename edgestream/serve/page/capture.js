// SPDX-License-Identifier: Apache-2.0
// This browser's microphone, the sound of a tab or the system, or both, as one stream of samples.

import { microphoneRefusal, NO_SOUND_SHARED, Refusal, shareRefusal } from "./refusals.js";

// Filters for telephone calls make recognition worse.
const UNFILTERED = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const JUMP_MS = 1500; // the clock went on so much longer than the sound: the computer slept

/**
 * Opens what is wanted: {microphone, screen, deviceId}. Raises Refusal.
 * `on`: chunk({pcm, level}), slept(ms), muted(yes), ended(words), waits() when a click is needed first.
 * Gives {rateHz, label, stop()}.
 */
export async function openCapture({ microphone, screen, deviceId }, on) {
  const context = new AudioContext();
  const streams = [];
  try {
    // A click allows the question for a screen for a few seconds only: it comes first.
    if (screen) streams.push(await openScreen());
    if (microphone) streams.push(await openMicrophone(deviceId));
    const node = await joined(context, streams, on);
    streams.forEach((stream) => watchTracks(stream, on));
    watchContext(context, on);
    const label = streams.map((stream) => stream.getAudioTracks()[0].label).join(" + ");
    return { rateHz: context.sampleRate, label, stop: () => stop(context, streams, node) };
  } catch (error) {
    streams.forEach(stopTracks);
    context.close();
    throw error;
  }
}

/** Microphones as [{deviceId, label}]; labels are known after the first permission only. */
export async function microphones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter(({ kind, deviceId, label }) => kind === "audioinput" && deviceId && label);
}

async function openMicrophone(deviceId) {
  const audio = { ...UNFILTERED, ...(deviceId && { deviceId: { exact: deviceId } }) };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw microphoneRefusal(error);
  }
}

/** Browsers share sound only together with pictures; these are made few and not looked at. */
async function openScreen() {
  let stream;
  try {
    const wish = { video: { frameRate: 1 }, audio: UNFILTERED, systemAudio: "include" };
    stream = await navigator.mediaDevices.getDisplayMedia(wish);
  } catch (error) {
    throw shareRefusal(error);
  }
  if (stream.getAudioTracks().length) return stream;
  stopTracks(stream);
  throw new Refusal(NO_SOUND_SHARED);
}

/** All streams into one worklet, which mixes them to one channel. */
async function joined(context, streams, on) {
  await context.audioWorklet.addModule("worklet.js");
  const options = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" };
  const node = new AudioWorkletNode(context, "chunks", options);
  let lastMs = null;
  node.port.onmessage = ({ data }) => {
    const chunkMs = (data.pcm.length / context.sampleRate) * 1000;
    const lostMs = lastMs === null ? 0 : data.wallMs - lastMs - chunkMs;
    lastMs = data.wallMs;
    if (lostMs > JUMP_MS) on.slept(lostMs);
    if (data.pcm.length) on.chunk(data);
  };
  streams.forEach((stream) => context.createMediaStreamSource(stream).connect(node));
  return node;
}

function watchTracks(stream, on) {
  for (const track of stream.getAudioTracks()) {
    track.onmute = () => on.muted(true);
    track.onunmute = () => on.muted(false);
    track.onended = () => on.ended(`“${track.label}” has ended or was unplugged.`);
  }
}

/** Without a click on the page a browser may hold sound back. */
function watchContext(context, on) {
  const resume = () => context.resume();
  const look = () => {
    if (context.state === "suspended") {
      on.waits();
      addEventListener("pointerdown", resume, { once: true });
      addEventListener("keydown", resume, { once: true });
    }
  };
  context.onstatechange = look;
  context.resume();
  setTimeout(look, 1000);
}

/** Stops; the samples that are not posted yet come before it is done. */
async function stop(context, streams, node) {
  streams.forEach((stream) => stream.getAudioTracks().forEach((track) => (track.onended = null)));
  context.onstatechange = null;
  const last = new Promise((done) => node.port.addEventListener("message", done, { once: true }));
  node.port.postMessage("stop");
  await Promise.race([last, new Promise((done) => setTimeout(done, 300))]);
  streams.forEach(stopTracks);
  await context.close();
}

function stopTracks(stream) {
  stream.getTracks().forEach((track) => track.stop());
}
