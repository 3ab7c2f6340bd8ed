// SPDX-License-Identifier: Apache-2.0
// Times as people and subtitle files write them.

/** 83400 is "1:23", 3683400 is "1:01:23". */
export function shortTime(timeMs) {
  const [h, m, s] = parts(timeMs);
  const mm = h ? String(m).padStart(2, "0") : String(m);
  return `${h ? `${h}:` : ""}${mm}:${String(s).padStart(2, "0")}`;
}

/** 2300 is "00:00:02,300" with the point ",". Whole ms first, so there is never a ",1000" or a ":60". */
export function cueTime(timeMs, point) {
  const [h, m, s, ms] = parts(Math.round(timeMs));
  const two = (n) => String(n).padStart(2, "0");
  return `${two(h)}:${two(m)}:${two(s)}${point}${String(ms).padStart(3, "0")}`;
}

/** "14:03:22" by the clock on the wall, of ms since 1970. */
export function dayTime(wallMs) {
  return new Date(wallMs).toLocaleTimeString("en-GB");
}

function parts(timeMs) {
  const whole = Math.max(0, Math.floor(timeMs));
  const s = Math.floor(whole / 1000);
  return [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60, whole % 1000];
}
