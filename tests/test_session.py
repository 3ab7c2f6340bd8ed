# SPDX-License-Identifier: Apache-2.0
"""The whole walk on the default model: samples in, captions out."""

import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import edgestream as es
from edgestream.errors import OperationError, UsageError
from edgestream.session import SILENCE_DBFS, Session
from edgestream.sources.block import Block
from edgestream.sources.resample import resampled

SAMPLE = Path(es.__file__).parent / "data" / "sample.flac"
RATE_HZ = 16000


@pytest.fixture(scope="module")
def model():
    return es.load("synthetic-en")


@pytest.fixture(scope="module")
def speech():
    """The first seconds of the bundled sample."""
    samples, rate_hz = soundfile.read(SAMPLE, dtype="float32")
    assert rate_hz == RATE_HZ
    return samples[: 6 * RATE_HZ]


class ListSource:
    """Blocks from a list, as a source."""

    live = False
    behind_ms = 0.0

    def __init__(self, blocks, rate_hz=RATE_HZ):
        self.rate_hz = rate_hz
        self.blocks = blocks
        self.stopped = self.closed = False

    def __iter__(self):
        for block in self.blocks:
            if self.stopped:
                return
            yield block

    def stop(self):
        self.stopped = True

    def close(self):
        self.closed = True


def caption(stream, samples, cuts=()):
    events = []
    for part in np.split(samples, cuts):
        events += stream.push(part)
    return events + stream.finish()


def finals(events):
    return [e for e in events if isinstance(e, es.Final)]


def test_speech_becomes_text_with_times(model, speech):
    events = caption(model.stream(), speech)
    lines = finals(events)
    assert sum(len(line.words) for line in lines) >= 5
    for line in lines:
        assert line.text == " ".join(word.text for word in line.words)
        assert 0 <= line.start_ms < line.end_ms <= 1000 * len(speech) / RATE_HZ + 200
        for word in line.words:
            assert word.emitted_ms > word.end_ms


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 6 * RATE_HZ), max_size=12))
def test_any_cutting_gives_the_same_events(model, speech, cuts):
    assert caption(model.stream(), speech, sorted(cuts)) == caption(model.stream(), speech)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(0, 3 * 44100), max_size=8))
def test_any_cutting_gives_the_same_events_at_another_rate(model, cuts):
    noise = np.random.default_rng(1).standard_normal(3 * 44100).astype(np.float32) * 0.05

    def stream():
        return model.stream(rate_hz=44100)

    assert caption(stream(), noise, sorted(cuts)) == caption(stream(), noise)


def test_the_events_of_a_prefix_are_a_prefix_of_the_events(model, speech):
    whole = model.stream().push(speech)
    prefix = model.stream().push(speech[: len(speech) // 2])
    assert prefix == whole[: len(prefix)]


def test_reset_starts_a_new_stream(model, speech):
    stream = model.stream()
    first = caption(stream, speech)
    stream.reset()
    assert stream.heard_ms == 0
    assert caption(stream, speech) == first


def test_a_finished_stream_takes_no_more(model):
    stream = model.stream()
    stream.finish()
    assert stream.finish() == []
    with pytest.raises(UsageError, match="reset"):
        stream.push(np.zeros(10, np.float32))


def test_stereo_and_integers_are_refused_and_any_float_taken(model):
    with pytest.raises(UsageError, match="mono"):
        model.stream().push(np.zeros((10, 2), np.float32))
    assert model.stream().push([0.0, 0.0, 0.0]) == []
    assert model.stream().push([]) == []
    with pytest.raises(UsageError, match="int16"):
        model.stream().push(np.zeros(100, np.int16))
    assert model.stream().push(np.zeros(100, np.float64)) == []


def test_samples_that_are_no_numbers_do_not_poison_the_stream(model, speech):
    bad = np.concatenate([np.full(1600, np.nan, np.float32), np.full(1600, np.inf, np.float32)])
    stream = model.stream()
    stream.push(bad)
    assert sum(len(line.words) for line in finals(caption(stream, speech))) >= 5


@pytest.mark.parametrize("lost_s", [0.25, 3600])
def test_a_gap_is_reported_and_moves_the_clock(model, speech, lost_s):
    stream = model.stream()
    before = stream.push(speech)
    lost_ms = 1000 * lost_s
    after = stream.push(speech, lost_samples=round(lost_s * RATE_HZ), reason="overflow")
    gap = next(e for e in after if isinstance(e, es.Gap))
    assert gap == es.Gap(6000.0, 6000.0 + lost_ms, "overflow")
    assert stream.heard_ms == 12_000 + lost_ms
    lines = finals(before + after + stream.finish())
    assert any(line.start_ms >= gap.end_ms - 500 for line in lines)
    assert all(line.end_ms <= 12_200 + lost_ms for line in lines)


def at_another_rate(stream, speech, cuts, lost_samples):
    """Half of the speech at 16 kHz, the other half at 44.1 kHz behind a loss."""
    first, second = np.array_split(speech, 2)
    events = [e for part in np.split(first, [c for c in cuts if c < len(first)])
              for e in stream.push(part)]  # fmt: skip
    for part in np.split(resampled(second, RATE_HZ, 44100), cuts):
        events += stream.push(part, lost_samples=lost_samples, reason="lost", rate_hz=44100)
        lost_samples = 0
    return events + stream.finish()


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(1, 3 * 44100), max_size=6))
def test_any_cutting_gives_the_same_events_where_the_rate_changes(model, speech, cuts):
    whole = at_another_rate(model.stream(), speech, [], 0)
    assert at_another_rate(model.stream(), speech, sorted(cuts), 0) == whole
    assert sum(len(line.words) for line in finals(whole)) >= 5


@pytest.mark.parametrize("lost_s", [0, 0.25, 3600])
def test_a_change_of_rate_keeps_the_clock_and_reset_forgets_it(model, speech, lost_s):
    stream = model.stream()
    for _ in range(2):
        events = at_another_rate(stream, speech, [], round(lost_s * 44100))
        assert stream.heard_ms == pytest.approx(6000 + 1000 * lost_s)
        gaps = [e for e in events if isinstance(e, es.Gap)]
        assert gaps == ([es.Gap(3000.0, 3000.0 + 1000 * lost_s, "lost")] if lost_s else [])
        stream.reset()
        assert stream.heard_ms == 0
    assert caption(stream, speech) == caption(model.stream(), speech)


def test_what_was_heard_ends_with_the_input(model, speech):
    stream = model.stream(rate_hz=RATE_HZ)
    stream.push(speech)
    assert stream.heard_ms == 6000
    stream.finish()
    assert stream.heard_ms == 6000  # the silence that it puts behind is no input


def test_a_session_hears_blocks_at_their_own_rate(model, speech):
    first, second = np.array_split(speech, 2)
    other = Block(resampled(second, RATE_HZ, 44100), rate_hz=44100)
    session = Session(ListSource([Block(first), other]), model.stream())
    assert list(session) == at_another_rate(model.stream(), speech, [], 0)
    assert session.meter.heard_ms == pytest.approx(6000)


def test_delay_is_chosen_per_stream_and_out_of_range_refused(model, speech):
    quick, slow = (caption(model.stream(delay_ms=ms), speech) for ms in (240, 640))
    assert finals(quick)[0].words[0].emitted_ms < finals(slow)[0].words[0].emitted_ms
    with pytest.raises(UsageError, match="80 to 640 ms"):
        model.stream(delay_ms=5000)
    with pytest.raises(UsageError, match="probability"):
        model.stream(confidence=2)


def test_the_confidence_policy_writes_no_earlier(model, speech):
    plain = finals(caption(model.stream(), speech))
    sure = finals(caption(model.stream(confidence=0.9), speech))
    assert sure[0].words[0].emitted_ms >= plain[0].words[0].emitted_ms


def test_four_threads_share_one_copy_of_the_weights(model, speech):
    parts = [speech, speech[::-1].copy(), speech * 0.3, np.roll(speech, 5000)]
    expected = [caption(model.stream(), part) for part in parts]
    got = [None] * 4

    def work(i):
        stream = model.stream()
        got[i] = caption(stream, parts[i], range(640, len(speech), 640))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == expected


def test_an_encoder_that_gives_no_numbers_is_one_error(model, speech):
    stream = model.stream()
    width = model.decoder.n_embd
    stream.stages.encoder = SimpleNamespace(
        push=lambda chunks: np.full((len(chunks), width), np.nan, np.float32)
    )
    with pytest.raises(OperationError, match="not finite"):
        stream.push(speech)


def test_a_session_iterates_and_closes_its_source(model, speech):
    source = ListSource([Block(part) for part in np.array_split(speech, 50)])
    session = Session(source, model.stream())
    assert list(session) == caption(model.stream(), speech)
    assert source.closed
    assert session.meter.n_words >= 5
    assert session.meter.heard_ms == pytest.approx(6000)


def test_a_session_iterates_asynchronously(model, speech):
    async def collect():
        source = ListSource([Block(part) for part in np.array_split(speech, 50)])
        return [event async for event in Session(source, model.stream())]

    assert asyncio.run(collect()) == caption(model.stream(), speech)


def test_a_cancelled_task_stops_and_closes_the_source(model, speech):
    class SlowSource(ListSource):
        def __iter__(self):
            for block in super().__iter__():
                reading.set()
                time.sleep(0.2)  # cancelled in here, on the other thread
                yield block

    reading = threading.Event()
    source = SlowSource([Block(part) for part in np.array_split(speech, 600)])

    async def cancel():
        async def read():
            async for _ in Session(source, model.stream()):
                pass

        task = asyncio.create_task(read())
        await asyncio.to_thread(reading.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert source.closed


def test_a_long_gap_ends_the_line(model):
    word = next(i for i, text in enumerate(model.token_texts) if len(text) > 2 and text[0] == "▁")
    stream = model.stream()
    token, waited = np.array([word], np.int32), np.zeros(1, np.int32)
    stream.stages.caption.push(token, waited)  # a line that has no full stop yet
    events = stream.push([], lost_samples=600 * RATE_HZ, reason="test")
    assert [len(final.words) for final in finals(events)] == [1]
    assert finals(events)[0].end_ms < 1000


def test_stop_ends_the_input_and_keeps_the_last_words(model, speech):
    source = ListSource([Block(part) for part in np.array_split(speech, 60)])
    session = Session(source, model.stream())
    events = []
    for i, some in enumerate(session.blocks()):
        events += some
        if i == 29:
            session.stop()
    assert events == caption(model.stream(), speech[: 3 * RATE_HZ])


def test_overflow_is_a_gap_and_a_lag(model, speech):
    blocks = [Block(speech[:8000]), Block(speech[8000:16000], 4000, "overflow")]
    session = Session(ListSource(blocks), model.stream())
    events = list(session)
    assert [e.reason for e in events if isinstance(e, es.Gap)] == ["overflow"]
    assert [e.action for e in events if isinstance(e, es.Lag)] == ["dropped audio"]
    assert session.meter.lost_ms == 250


def test_the_meter_shows_the_level_of_the_newest_samples(model):
    levels = (np.full(640, 0.1), np.empty(0), np.zeros(640), np.full(640, -1.0))
    session = Session(
        ListSource([Block(part.astype(np.float32)) for part in levels]), model.stream()
    )
    seen = [session.meter.level_dbfs for _ in session.blocks()]
    assert seen == pytest.approx([-20, -20, SILENCE_DBFS, 0, 0], abs=1e-5)
