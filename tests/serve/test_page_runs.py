# SPDX-License-Identifier: Apache-2.0
"""What is started and stopped on the page, in any order, in a real Chromium."""

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
