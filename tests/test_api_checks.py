# SPDX-License-Identifier: Apache-2.0
"""What programs pass is checked as on the command line; sessions go on where they stood."""

import io
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from fake_sounddevice import FakeSoundDevice
from test_cli import SAMPLE
from test_session import ListSource, caption, speech  # noqa: F401  # a fixture
from test_video_file import write as write_video

import edgestream as es
from edgestream.errors import UsageError
from edgestream.session import Session
from edgestream.sources.block import Block
from edgestream.sources.pcm import PcmSource
from edgestream.sources.picture import Picture
from edgestream.sources.sound_file import FileSource

NUMBERLESS = [math.nan, math.inf, -math.inf, "5", b"5", [5], True, 10**400, 1j, object()]
PIXELS = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    return es.load("synthetic-en")


@pytest.fixture(scope="module")
def watcher():
    return es.load_watcher()


def refused(call):
    with pytest.raises(UsageError) as caught:
        call()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("rate_hz", [*NUMBERLESS, 0, -1, 16, 999, 10**9, 16000.5])
def test_rates_that_no_sound_has(model, rate_hz):
    refused(lambda: model.stream(rate_hz=rate_hz))
    refused(lambda: PcmSource(io.BytesIO(b"abcd"), rate_hz))


@pytest.mark.parametrize("rate_hz", [*NUMBERLESS, 0, 999, 16000.5])
def test_a_change_to_a_rate_that_no_sound_has_changes_nothing(model, speech, rate_hz):  # noqa: F811
    stream = model.stream(rate_hz=44100)
    refused(lambda: stream.push(speech, rate_hz=rate_hz))
    assert caption(stream, speech) == caption(model.stream(rate_hz=44100), speech)


@pytest.mark.parametrize("rate_hz", [16000, 16000.0, np.int64(8000), np.float32(48000), 1000])
def test_rates_of_any_number_type(model, rate_hz):
    stream = model.stream(rate_hz=rate_hz)
    assert stream.rate_hz == rate_hz
    assert type(stream.rate_hz) is int


@pytest.mark.parametrize("lost_samples", [*NUMBERLESS, None, 0.5, -1, 2**60])
def test_losses_that_are_no_count(model, lost_samples):
    refused(lambda: model.stream().push(np.zeros(10), lost_samples=lost_samples))


@pytest.mark.parametrize("name", ["delay_ms", "confidence", "deferrals", "policy"])
@pytest.mark.parametrize("value", [*NUMBERLESS, -1])
def test_options_of_a_stream(model, name, value):
    if name == "policy" and isinstance(value, str):
        return  # the name of a file
    refused(lambda: model.stream(**{name: value}))


@pytest.mark.parametrize(
    "samples", ["abc", None, [[1.0], [1.0, 2.0]], {}, [1j], np.zeros((3, 2)), ["a"], [True], 3.0]
)
def test_samples_that_are_none(model, samples):
    refused(lambda: model.stream().push(samples))


def test_samples_beyond_all_measure_are_no_poison(model, speech):  # noqa: F811
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value in (1e300, 3e38, -1e39, np.nan):
            stream = model.stream(rate_hz=44100)
            stream.push(np.full(20_000, value))
            assert stream.finish() is not None
        stream = model.stream()
        stream.push(np.full(16_000, 1e300))
        stream.push([], lost_samples=100_000, reason="test")
        said = [event for event in caption(stream, speech) if isinstance(event, es.Final)]
    assert sum(len(final.words) for final in said) >= 5


@pytest.mark.parametrize("time_ms", [*NUMBERLESS, None, -1])
def test_times_of_pictures(watcher, time_ms):
    refused(lambda: watcher.stream().push(Picture(PIXELS, time_ms)))


@pytest.mark.parametrize("gap", [(math.nan, 1), (0, math.inf), (5, 1), ("a", 2), (None, None)])
def test_times_of_gaps(watcher, gap):
    refused(lambda: watcher.stream().lose(es.Gap(*gap, "test")))


@pytest.mark.parametrize(
    "pictures", [None, 5, [PIXELS], Picture(None, 0.0), Picture(PIXELS[0], 0.0), "abc"]
)
def test_pictures_that_are_none(watcher, pictures):
    refused(lambda: watcher.stream().push(pictures))


@pytest.mark.parametrize("name", ["chattiness", "fps"])
@pytest.mark.parametrize("value", [*NUMBERLESS, -1])
def test_options_of_watching(watcher, name, value):
    refused(lambda: watcher.stream(**{name: value}))


@pytest.mark.parametrize("thing", [5j, b"x", object(), [SAMPLE]])
def test_what_is_no_source_and_no_model(model, watcher, thing):
    refused(lambda: es.listen(thing, model=model))
    refused(lambda: es.watch(thing, model=watcher))
    refused(lambda: es.listen(SAMPLE, model=thing))
    refused(lambda: es.load(thing))
    refused(lambda: FileSource(SAMPLE, pace=False, start_s=thing))


@pytest.mark.parametrize("device", [5.5, b"x", True, [1]])
def test_what_is_no_microphone(device, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSoundDevice())
    refused(lambda: es.listen(device=device, model="synthetic-en"))


@pytest.mark.parametrize(
    "size", [5, "640x480", (640,), ("640", 480), (0, 0), (-1, 5), (math.nan, 1), (640.5, 480)]
)
def test_what_is_no_size(watcher, size):
    refused(lambda: es.watch(0, model=watcher, size=size))


# Sessions.


def test_a_wrong_option_opens_no_source(model, watcher, monkeypatch):
    """No light goes on at a microphone or a camera for a call that cannot be met."""
    opened = []
    for options in ({"policy": "nonsense"}, {"delay_ms": -1}, {"language": "en"}):
        with pytest.raises(es.EdgestreamError):
            es.listen(lambda: opened.append("source"), model=model, **options)
    monkeypatch.setattr(
        "edgestream.sources.open_pictures.open_pictures", lambda *_, **__: opened.append("x")
    )
    for options in ({"chattiness": 2}, {"fps": -1}, {"prompt": "a"}, {"questions": ["why?"]}):
        with pytest.raises(es.EdgestreamError):
            es.watch(0, model=watcher, **options)
    assert opened == []


def test_a_session_left_by_break_goes_on_where_it_was(model, speech):  # noqa: F811
    blocks = [Block(part) for part in np.array_split(speech, 50)]
    session = Session(ListSource(blocks), model.stream())
    events = []
    for _ in range(1000):
        before = len(events)
        for event in session:
            events.append(event)
            break
        if len(events) == before:
            break
    assert events == caption(model.stream(), speech)
    assert session.source.closed


@pytest.mark.parametrize("kind", ["sound", "pictures"])
def test_a_file_left_by_break_is_not_called_damaged(kind, model, watcher, tmp_path):
    if kind == "sound":
        session = es.listen(SAMPLE, model=model, fast=True)
        whole = list(es.listen(SAMPLE, model=model, fast=True))
    else:
        clip = write_video(tmp_path / "clip.avi", n=60)
        session = es.watch(clip, model=watcher, fast=True)
        whole = list(es.watch(clip, model=watcher, fast=True))
    events = [next(iter(session))] if whole else []
    events += list(session)
    assert events == whole
    assert list(session) == []


def test_a_session_that_is_closed_gives_no_more_and_lets_its_source_go(model, speech):  # noqa: F811
    source = ListSource([Block(speech)])
    session = Session(source, model.stream())
    session.close()
    assert (list(session), source.closed) == ([], True)


def test_a_session_that_nobody_holds_lets_its_source_go(model, speech):  # noqa: F811
    source = ListSource([Block(part) for part in np.array_split(speech, 50)])
    for _ in Session(source, model.stream()):
        break
    assert source.closed


@pytest.mark.parametrize(
    "alive", ["stream", "stream.push", "session", "watcher"], ids=lambda what: what
)
def test_a_program_that_ends_with_something_alive_prints_nothing(alive, tmp_path):
    code = f"""
import builtins, sys
import numpy as np
import edgestream as es
model = es.load("synthetic-en")
stream = model.stream()
stream.push(np.zeros(16000))
watcher = es.load_watcher().stream()
session = es.listen({str(SAMPLE)!r}, model=model, fast=True)
next(iter(session))
builtins.kept = {alive}  # outlives the interpreter's own cleaning
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
