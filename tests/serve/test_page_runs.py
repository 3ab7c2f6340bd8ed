# SPDX-License-Identifier: Apache-2.0
"""What is started and stopped on the page, in any order, in a real Chromium."""

import json

import pytest
from page_visits import LOG, caption_file, numbers_wav

# The browser asks for the microphone until `allow()`; `streams` are those that it gave.
ASKS = """() => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.streams = [];
  const allowed = new Promise((done) => (window.allow = done));
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    await allowed;
    streams.push(await real(wanted));
    return streams[0];
  };
}"""


@pytest.mark.parametrize("times", [1, 2])
def test_a_microphone_that_is_allowed_after_stop_is_closed(watched, server, times):
    page = watched.open(permissions=["microphone"])
    page.evaluate(ASKS)
    page.click("#start")
    for _ in range(times):  # Stop, then Stop now
        page.click("#start")
    page.evaluate("allow()")
    page.wait_for_function("streams[0]?.getTracks().every((t) => t.readyState === 'ended')")
    page.wait_for_selector("#state[data-state=done]")
    assert page.inner_text("#start") == "Start"
    assert server.sessions == {}


def test_of_two_recordings_at_once_the_newer_is_captioned(watched, tmp_path):
    page = watched.open()
    caption_file(page, numbers_wav(tmp_path / "count.wav", 1))
    page.evaluate(
        """(names) => names.forEach((name, i) => {
          const head = [0x46464952, 36 + 3200, 0x45564157, 0x20746d66, 16, 0x10001, 16000, 32000];
          const wav = new Uint32Array([...head, 0x100002, 0x61746164, 3200]);
          const sound = new Int16Array(1600).map((_, n) => (n < 100 ? 7 + i : 0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([wav, sound], name));
          dispatchEvent(new DragEvent("drop", { dataTransfer }));
        })""",
        ["old.wav", "new.wav"],
    )
    page.wait_for_function("document.querySelectorAll('#log .words').length > 1")
    page.wait_for_selector("#state[data-state=done]")
    assert page.locator(LOG).all_text_contents() == ["1", "8"]


def test_a_source_that_is_opened_again_begins_a_new_take(watched):
    live = [
        ("status", {"heard_ms": 60_000, "behind_ms": 0, "level_dbfs": -30}),
        ("final", {"text": "before", "start_ms": 59_000, "end_ms": 59_900}),
        ("status", {"heard_ms": 61_000, "behind_ms": 0, "level_dbfs": -30}),
        ("final", {"text": "still before", "start_ms": 60_000, "end_ms": 60_900}),
        ("status", {"heard_ms": 1000, "behind_ms": 0, "level_dbfs": -30}),
        ("final", {"text": "after", "start_ms": 0, "end_ms": 900}),
    ]
    text = "".join(
        f"id: a1-{i}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
        for i, (kind, data) in enumerate(live)
    )
    said, n_takes, apart_ms = watched.open().evaluate(
        """async (text) => {
          const { LiveRun } = await import('/runs.js');
          const { Transcript } = await import('/transcript.js');
          window.fetch = async () => new Response(text);
          const transcript = new Transcript();
          const event = (event, take) => transcript.add(take, event);
          await new Promise((over) => {
            const state = (name) => name === 'reconnecting' && over();
            const run = new LiveRun('hall', transcript, { event, state, level() {}, lag() {} });
            run.start();
            window.run = run;
          });
          run.close();
          const { records, takes } = transcript;
          const said = records.map(({ take, event }) => [takes.indexOf(take), event.text]);
          return [said, takes.length, takes.at(-1).zeroMs - takes[0].zeroMs];
        }""",
        text,
    )
    assert said == [[0, "before"], [0, "still before"], [1, "after"]]
    assert n_takes == 2
    assert apart_ms >= 59_000


def test_a_key_that_is_held_down_starts_once_and_makes_larger_on(watched):
    page = watched.open(permissions=["microphone"])
    page.wait_for_selector("#state[data-state=ready]")
    for _ in range(2):
        page.keyboard.down("s")
    assert page.inner_text("#start") == "Stop"
    page.wait_for_selector("#state[data-state=connected]")
    for _ in range(3):
        page.keyboard.down("+")
    page.keyboard.press(",")
    assert page.input_value("#set-size") == "130"
