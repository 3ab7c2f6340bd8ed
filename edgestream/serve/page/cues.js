// SPDX-License-Identifier: Apache-2.0
// From final lines to subtitle cues: two lines of 42 letters at most, 7 s at most, no overlap.
// The same rules as `edgestream listen -o talk.srt`, without its finest choices of where to break.

import { cueTime } from "./times.js";

const COLUMNS = 42;
const MAX_CUE_MS = 7000;
const MIN_CUE_MS = 1000; // shorter ones flash by
const READING_MS = 60; // a letter
const PAUSE_MS = 1500; // a silence this long inside a line starts a new cue
const WIDE = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** [{startMs, endMs, lines}] of [{text, words, start_ms, end_ms}], in whole ms. */
export function cues(finals) {
  const cut = finals.flatMap((final) => groups(pieces(final))).map((group) => ({
    startMs: group[0].startMs,
    endMs: group.at(-1).endMs,
    lines: wrapped(group),
  }));
  return timed(cut);
}

export function srt(finals) {
  const cue = ({ startMs, endMs, lines }, i) =>
    `${i + 1}\n${cueTime(startMs, ",")} --> ${cueTime(endMs, ",")}\n${lines.map(srtText).join("\n")}\n\n`;
  return cues(finals).map(cue).join("");
}

export function vtt(finals) {
  const cue = ({ startMs, endMs, lines }) =>
    `${cueTime(startMs, ".")} --> ${cueTime(endMs, ".")}\n${lines.map(vttText).join("\n")}\n\n`;
  return "WEBVTT\n\n" + cues(finals).map(cue).join("");
}

/** SubRip has no escapes: what players take for a command is shown by its like. */
function srtText(line) {
  const likes = { "<": "‹", ">": "›", "{": "(", "}": ")" };
  return line.replaceAll("-->", "→").replace(/[<>{}]/g, (mark) => likes[mark]);
}

function vttText(line) {
  return line.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A cue stays until it is read, into the silence behind it, and never into the next one. */
function timed(cut) {
  let freeMs = 0;
  return cut.map(({ startMs, endMs, lines }, i) => {
    const start = Math.max(Math.round(startMs), freeMs);
    const nextMs = i + 1 < cut.length ? Math.round(cut[i + 1].startMs) : Infinity;
    const readingMs = READING_MS * lines.reduce((sum, line) => sum + columns(line) + 1, 0);
    const readMs = Math.min(start + Math.max(MIN_CUE_MS, readingMs), nextMs);
    const saidMs = Math.max(Math.round(endMs), start + 1);
    freeMs = Math.min(Math.max(saidMs, readMs), start + MAX_CUE_MS);
    return { startMs: start, endMs: freeMs, lines };
  });
}

/** Words with times and whether a space stands before them; too long ones cut. */
function pieces({ text, words, start_ms, end_ms }) {
  if (!words?.length) return spread(text, start_ms, end_ms);
  let at = 0;
  return words.flatMap((word) => {
    const found = text.indexOf(word.text, at);
    const spaced = found < 1 || /\s/.test(text[found - 1]);
    at = Math.max(at, found + word.text.length);
    const parts = spread(word.text, word.start_ms, word.end_ms);
    if (parts.length) parts[0].spaced = spaced;
    return parts;
  });
}

/** Text without times of its own words: these are spread evenly. */
function spread(text, startMs, endMs) {
  const parts = text.split(/\s+/).filter(Boolean).flatMap(short);
  const partMs = Math.max(0, endMs - startMs) / Math.max(1, parts.length);
  return parts.map(({ text, spaced }, i) => {
    const partStartMs = startMs + i * partMs;
    return { text, spaced, startMs: partStartMs, endMs: partStartMs + partMs };
  });
}

/** A word as parts that fit a line. */
function short(word) {
  const parts = [];
  let part = "";
  for (const { segment } of new Intl.Segmenter().segment(word)) {
    if (part && columns(part + segment) > COLUMNS) {
      parts.push(part);
      part = "";
    }
    part += segment;
  }
  return [...parts, part].map((text, i) => ({ text, spaced: i === 0 }));
}

function groups(all) {
  const found = [];
  let group = [];
  for (const piece of all) {
    const paused = group.length && piece.startMs - group.at(-1).endMs >= PAUSE_MS;
    if (paused || (group.length && !fits([...group, piece]))) {
      found.push(group);
      group = [];
    }
    group.push(piece);
  }
  return group.length ? [...found, group] : found;
}

function fits(group) {
  return group.at(-1).endMs - group[0].startMs <= MAX_CUE_MS && wrapped(group) !== null;
}

/** One line, or two that are as equal as they can be; null if they do not fit. */
function wrapped(group) {
  const whole = joined(group);
  if (columns(whole) <= COLUMNS) return [whole];
  let best = null;
  for (let at = 1; at < group.length; at++) {
    const lines = [joined(group.slice(0, at)), joined(group.slice(at))];
    const widest = Math.max(...lines.map(columns));
    if (widest <= COLUMNS && (!best || widest < best.widest)) best = { lines, widest };
  }
  return best && best.lines;
}

function joined(group) {
  return group.map(({ text, spaced }, i) => (i && spaced ? " " : "") + text).join("");
}

function columns(text) {
  return [...text].reduce((sum, letter) => sum + (WIDE.test(letter) ? 2 : 1), 0);
}
