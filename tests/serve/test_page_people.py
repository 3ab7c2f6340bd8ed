# SPDX-License-Identifier: Apache-2.0
"""The page with the real server and the default model: a person speaks, the words appear."""

import re

import numpy as np
import pytest
import soundfile
from chromium import Watched, chromium, hearing
from served import Served
from subtitle_parsers import parse_srt, parse_vtt

from edgestream.data import DATA

SAID = re.findall(r"\w+", (DATA / "person.txt").read_text("utf-8").lower())
LOG = "#log .words"
LONG_MS = 90_000  # two busy cores are slow; nothing here is measured


@pytest.fixture(scope="module")
def served():
    served = Served()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def wav(tmp_path_factory):
    """The person, then silence: the microphone of a browser plays it once."""
    path = tmp_path_factory.mktemp("sound") / "person.wav"
    samples, rate_hz = soundfile.read(DATA / "person.flac", dtype="int16")
    soundfile.write(path, np.pad(samples, (0, 3 * rate_hz)), rate_hz, subtype="PCM_16")
    return path


@pytest.fixture
def watched(served, wav):
    """A browser of its own: its microphone plays from the beginning. It had no fault."""
    with chromium(*hearing(wav)) as browser:
        watched = Watched(browser, served.address)
        yield watched
        assert watched.faults == []


def words(page):
    lines = page.locator(LOG).all_text_contents()
    return re.findall(r"\w+", " ".join(lines).lower())


def n_right(found):
    """How many words of the person were heard, in order: the longest common subsequence."""
    best = [0] * (len(found) + 1)
    for said in SAID:
        row = [0]
        for i, word in enumerate(found):
            row.append(best[i] + 1 if word == said else max(best[i + 1], row[i]))
        best = row
    return best[-1]


def until_heard(page, word="country", times=2):
    page.wait_for_function(
        "([word, times]) => document.querySelector('#log').textContent.split(word).length > times",
        arg=[word, times],
        timeout=LONG_MS,
    )


def saved(page, form):
    page.click("#open-save")
    with page.expect_download() as download:
        page.click(f"[data-format='{form}']")
    return download.value.path().read_text("utf-8")


def test_what_a_person_says_into_the_microphone_appears(watched):
    page = watched.open(permissions=["microphone"])
    page.evaluate("""() => {
      window.drafts = [];
      const draft = document.querySelector('#draft');
      new MutationObserver(() => drafts.push(draft.textContent))
        .observe(draft, { subtree: true, childList: true, characterData: true });
    }""")
    page.click("#start")
    until_heard(page)
    page.click("#start")
    page.wait_for_selector("#state[data-state=done]", timeout=LONG_MS)
    found = words(page)
    assert n_right(found) >= len(SAID) - 2
    assert len(found) <= len(SAID) + 2
    assert any("fellow" in draft for draft in page.evaluate("drafts"))
    assert page.inner_text("#draft") == ""
    assert page.get_attribute("#log", "role") == "log"
    for cues in (parse_srt(saved(page, "srt")), parse_vtt(saved(page, "vtt"))):
        text = " ".join(line for _, _, lines in cues for line in lines)
        assert re.findall(r"\w+", text.lower()) == found
        assert 0 <= cues[0][0] < cues[-1][0] < 14_000


def test_a_server_that_is_killed_while_somebody_speaks_loses_no_word(watched, served):
    watched.may_fail = True
    page = watched.open(permissions=["microphone"])
    page.click("#start")
    page.wait_for_selector(LOG, timeout=LONG_MS)
    served.kill()
    page.wait_for_selector("#state[data-state=reconnecting]")
    served.start()
    until_heard(page)
    page.click("#start")
    page.wait_for_selector("#state[data-state=done]", timeout=LONG_MS)
    found = words(page)
    assert n_right(found) >= len(SAID) - 3
    assert len(found) <= len(SAID) + 3


def test_a_server_that_is_stopped_properly_does_not_stop_the_page(watched, served):
    watched.may_fail = True
    page = watched.open(permissions=["microphone"])
    page.click("#start")
    page.wait_for_selector(LOG, timeout=LONG_MS)
    served.stop()
    page.wait_for_selector("#state[data-state=reconnecting]")
    served.start()
    until_heard(page)
    assert page.inner_text("#start") == "Stop"
    assert n_right(words(page)) >= len(SAID) - 3


def test_a_recording_is_captioned_in_the_times_of_the_file(watched):
    page = watched.open()
    page.set_input_files("#file", DATA / "person.flac")
    page.wait_for_selector("#state[data-state=done]", timeout=LONG_MS)
    assert n_right(words(page)) >= len(SAID) - 1
    cues = parse_srt(saved(page, "srt"))
    assert cues[-1][1] > 9000
    assert page.locator("#progress").is_hidden()


def test_readers_see_what_the_server_hears_itself(watched):
    house = Served("--source", str(DATA / "person.flac"))
    try:
        watched.address = house.address
        page = watched.open("/?read")
        overlay = watched.open("/?overlay")
        until_heard(page)
        assert n_right(words(page)) >= len(SAID) - 2
        overlay.wait_for_function(
            "document.querySelector('#rolling').textContent.includes('country')", timeout=LONG_MS
        )
    finally:
        house.stop()
