// SPDX-License-Identifier: Apache-2.0
// The transcript as a file: text, text with times, SRT, VTT, JSON Lines.

import { srt, vtt } from "./cues.js";
import { dayTime, shortTime } from "./times.js";
import { wordsOf } from "./transcript.js";

export const FORMATS = {
  txt: { type: "text/plain", write: (records) => records.map((r) => `${plain(r)}\n`).join("") },
  "times.txt": { type: "text/plain", write: (records) => records.map(timed).join("") },
  srt: { type: "application/x-subrip", write: (records) => srt(finals(inARow(records))) },
  vtt: { type: "text/vtt", write: (records) => vtt(finals(inARow(records))) },
  jsonl: { type: "application/jsonl", write: (records) => inARow(records).map(jsonLine).join("") },
};

/** The text of a file in one of FORMATS, of the records of one take or of all (null). */
export function exported(format, records, take) {
  return FORMATS[format].write(records.filter((record) => !take || record.take === take));
}

/** The time of a record as settings want it: "start" of its take, or of the "day" where it is known. */
export function timeOf({ take, event }, kind) {
  if (kind === "day") {
    if (event.time) return event.time.slice(11, 19);
    if (take.zeroMs !== null) return dayTime(take.zeroMs + event.start_ms);
  }
  return shortTime(event.start_ms);
}

function plain(record) {
  const words = wordsOf(record).replace(/\s+/g, " ");
  return record.event.type === "final" ? words : `[${words}]`;
}

function timed(record) {
  return `${timeOf(record, "start")}  ${plain(record)}\n`;
}

function finals(events) {
  return events.filter((event) => event.type === "final");
}

function jsonLine(event) {
  const { seq, ...fields } = event;
  return JSON.stringify(fields) + "\n";
}

/** Events on one clock: each take begins where the one before ended. */
function inARow(records) {
  let [take, shiftMs, endMs] = [records[0]?.take, 0, 0];
  return records.map((record) => {
    if (record.take !== take) [take, shiftMs] = [record.take, endMs];
    const event = moved(record.event, shiftMs);
    endMs = Math.max(endMs, event.end_ms);
    return event;
  });
}

function moved(event, shiftMs) {
  const copy = { ...event };
  for (const name of ["start_ms", "end_ms", "emitted_ms", "picture_ms"]) {
    if (name in copy) copy[name] += shiftMs;
  }
  if (copy.words) copy.words = copy.words.map((word) => moved(word, shiftMs));
  return copy;
}
