# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium: recordings, microphone, tabs, saving, and what refusals say."""

import json

import pytest
from page_visits import ELSEWHERE, LOG, caption_file, lines, numbers_wav
from subtitle_parsers import parse_srt, parse_vtt


def test_a_recording_is_captioned_with_times_and_saved(watched, tmp_path):
    page = watched.open()
    caption_file(page, numbers_wav(tmp_path / "count.wav", 25))
    assert page.locator(LOG).all_text_contents() == [str(k) for k in range(1, 26)]
    assert page.inner_text("#start") == "Start"
    saved = {}
    for form in ("txt", "times.txt", "srt", "vtt", "jsonl"):
        page.click("#open-save")
        with page.expect_download() as download:
            page.click(f"[data-format='{form}']")
        assert download.value.suggested_filename.endswith("." + form.split(".")[-1])
        saved[form] = download.value.path().read_text("utf-8")
    assert saved["txt"] == "".join(f"{k}\n" for k in range(1, 26))
    assert saved["times.txt"].startswith("0:00  1\n")
    events = [json.loads(line) for line in saved["jsonl"].splitlines()]
    assert [e["text"] for e in events] == [str(k) for k in range(1, 26)]
    for cues in (parse_srt(saved["srt"]), parse_vtt(saved["vtt"])):
        assert " ".join(" ".join(each) for _, _, each in cues).split() == [
            str(k) for k in range(1, 26)
        ]


def test_takes_are_saved_one_by_one_or_all_in_a_row(watched, tmp_path):
    page = watched.open()
    caption_file(page, numbers_wav(tmp_path / "one.wav", 3))
    caption_file(page, numbers_wav(tmp_path / "two.wav", 2))
    assert page.locator("#log .take").all_text_contents() == ["two.wav"]
    page.click("#open-save")
    page.select_option("#take", label="2. two.wav")
    with page.expect_download() as download:
        page.click("[data-format=txt]")
    assert download.value.suggested_filename == "two.txt"
    assert download.value.path().read_text("utf-8") == "1\n2\n"
    page.click("#open-save")
    with page.expect_download() as download:
        page.click("[data-format=jsonl]")
    starts = [json.loads(e)["start_ms"] for e in download.value.path().read_text().splitlines()]
    assert starts == sorted(starts)
    assert len(set(starts)) == 5


def test_a_file_that_is_no_sound_is_refused_in_words(watched, tmp_path):
    (tmp_path / "notes.txt").write_text("no sound")
    page = watched.open()
    page.set_input_files("#file", tmp_path / "notes.txt")
    page.wait_for_selector("#banner:not([hidden])")
    assert "cannot read “notes.txt” as sound" in page.inner_text("#banner")
    assert page.inner_text("#state") == "stopped"


def test_a_microphone_goes_out_at_its_own_rate_and_stops_with_done(watched, server):
    page = watched.open(permissions=["microphone"])
    page.click("#start")
    page.wait_for_selector("#state[data-state=connected]")
    page.wait_for_function("document.querySelector('#lag').textContent !== ''")
    assert page.get_attribute("#level", "aria-valuenow") == "-60"
    page.click("#start")
    page.wait_for_selector("#state[data-state=done]")
    [session] = server.sessions.values()
    assert session.n_bytes > 0


def test_no_microphone_away_from_this_computer_is_said(watched, server):
    server.script.live = lines(2)
    watched.address = f"http://{ELSEWHERE}:{server.port}"
    page = watched.open()
    assert "only to pages from https://" in page.inner_text("#insecure")
    page.wait_for_selector("#source option[value=live]", state="attached")
    assert page.input_value("#source") == "live"
    for name in ("microphone", "screen", "both"):
        assert page.locator(f"#source option[value={name}]").is_disabled()
    page.click("#start")
    page.wait_for_function("document.querySelectorAll('#log .words').length === 2")


@pytest.mark.parametrize(
    ("source", "script", "said"),
    [
        ("microphone", "getUserMedia = refuse('NotAllowedError')", "allow the microphone"),
        ("microphone", "getUserMedia = refuse('NotFoundError')", "No microphone was found"),
        ("screen", "getDisplayMedia = silentPictures", "tick “Also share tab audio”"),
        ("both", "getDisplayMedia = refuse('NotAllowedError')", "Nothing was shared"),
        ("screen", "getDisplayMedia = refuse('NotSupportedError')", "Use Chrome or Edge"),
    ],
)
def test_what_a_browser_refuses_is_said_with_the_way_out(watched, source, script, said):
    page = watched.open()
    page.evaluate(f"""() => {{
      const refuse = (name) => async () => {{ throw new DOMException('', name); }};
      const silentPictures = async () => document.createElement('canvas').captureStream();
      navigator.mediaDevices.{script};
    }}""")
    page.select_option("#source", source)
    page.click("#start")
    page.wait_for_selector("#banner:not([hidden])")
    assert said in page.inner_text("#banner")
    assert page.inner_text("#start") == "Start"
    page.click("#banner button")
    assert page.locator("#banner").is_hidden()


def test_the_sound_of_a_tab_is_heard_until_it_ends(watched, server):
    page = watched.open(permissions=["microphone"])
    page.evaluate("""() => {
      navigator.mediaDevices.getDisplayMedia = async () => {
        const context = new AudioContext();
        const stream = context.createMediaStreamDestination();
        const tone = context.createOscillator();
        tone.connect(stream);
        tone.start();
        window.track = stream.stream.getAudioTracks()[0];
        return stream.stream;
      };
    }""")
    page.select_option("#source", "both")
    page.click("#start")
    loud = "document.querySelector('#level').getAttribute('aria-valuenow') > -10"
    page.wait_for_function(loud)  # the microphone is silent: both are mixed
    page.evaluate("track.dispatchEvent(new Event('ended'))")
    page.wait_for_selector("#state[data-state=done]")
    assert "has ended or was unplugged" in page.inner_text("#banner")
    [session] = server.sessions.values()
    assert session.n_bytes > 0


def test_a_server_that_is_full_says_so(watched, server):
    server.script.refuse = [("full", "8 sessions are open; try again later")]
    page = watched.open(permissions=["microphone"])
    page.click("#start")
    page.wait_for_selector("#state[data-state=full]")
    assert page.inner_text("#banner p") == "8 sessions are open; try again later"
    page.wait_for_selector("#state[data-state=connected]")
    assert page.locator("#banner").is_hidden()


def test_a_token_is_taken_from_the_address_or_asked_for(watched, server, tmp_path):
    server.script.token = "open sesame"
    page = watched.open("/#token=open%20sesame")
    caption_file(page, numbers_wav(tmp_path / "count.wav", 2))
    assert page.url == watched.address + "/"
    other = watched.open()  # the console tells of the 401
    other.wait_for_selector("#ask-token[open]")
    other.fill("#token", "open sesame")
    other.keyboard.press("Enter")
    other.wait_for_function("document.querySelectorAll('#set-model option').length === 2")
    caption_file(other, tmp_path / "count.wav")
    assert other.locator(LOG).count() == 2
    assert [fault for fault in watched.faults if "401" not in fault] == []
    watched.faults.clear()
