# SPDX-License-Identifier: Apache-2.0
"""People, heard with the weights that ship: words, lines, times, silence and noise."""

from __future__ import annotations

import itertools

import numpy as np
import psutil
import pytest

import edgestream
from edgestream.bench.listen.sounds import KINDS, sound
from edgestream.captions.line_breaks import COLUMNS
from edgestream.captions.lines import LINE_WORDS
from edgestream.captions.shown_text import columns
from edgestream.captions.writing_systems import is_mark, is_opener
from edgestream.events import Draft, Final, Lag
from edgestream.library import folders
from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.scoring.clips import PEOPLE, RATE_HZ, read_clips, spoken
from edgestream.scoring.words import Score, matches, spoken_words

PAUSE = np.zeros(2 * RATE_HZ, np.float32)
MOST_WER = 0.08  # of the ten clips together


@pytest.fixture(scope="module")
def model():
    folder = folders.shipped().get(DEFAULT_MODEL)
    if folder is None or not list(folder.glob("*.onnx")):
        pytest.skip("the weights are not in this tree; tools/make/shipped_models.py makes them")
    return edgestream.load(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def clips():
    """Ten, of every reader some."""
    return read_clips(PEOPLE)[::2][:10]


def blocks(samples, size):
    for at in range(0, len(samples), size):
        yield samples[at : at + size]


def hear(model, samples, size=640, **options):
    stream = model.stream(**options)
    events = [event for block in blocks(samples, size) for event in stream.push(block)]
    return events + stream.finish()


def finals(events):
    return [event for event in events if isinstance(event, Final)]


def words_of(events):
    return spoken_words(" ".join(line.text for line in finals(events)))


@pytest.fixture(scope="module")
def heard(model, clips):
    """Events of each clip, which ends with its last word."""
    return [hear(model, clip.samples) for clip in clips]


def test_the_words_of_people_are_written(clips, heard):
    score = Score()
    for clip, events in zip(clips, heard, strict=True):
        assert words_of(events), clip.text
        score.add(spoken_words(clip.text), words_of(events))
    assert score.words > 150
    assert score.wer <= MOST_WER


def test_the_end_of_a_clip_is_not_lost(clips, heard):
    """Nothing lies behind the last word; most are heard right."""
    ends = [
        spoken_words(clip.text)[-1] in words_of(events)[-2:]
        for clip, events in zip(clips, heard, strict=True)
    ]
    assert sum(ends) >= len(clips) - 1


def test_lines_obey_the_rules(heard):
    for events in heard:
        lines = finals(events)
        for line in lines:
            assert columns(line.text) <= 2 * COLUMNS
            assert not is_mark(line.text[0]) or is_opener(line.text[0])
            assert len(line.words) >= LINE_WORDS or len(lines) == 1
            assert line.text == " ".join(word.text for word in line.words)


def test_words_have_times_that_rise_and_never_run_ahead(clips, heard):
    for clip, events in zip(clips, heard, strict=True):
        at = 0.0
        for word in itertools.chain.from_iterable(line.words for line in finals(events)):
            assert at <= word.start_ms <= word.end_ms <= word.emitted_ms + 1e-6
            at = word.end_ms
        assert at <= 1000 * len(clip.samples) / RATE_HZ + 1


def test_drafts_keep_the_words_that_are_committed(model, clips):
    """What the stages committed stays the front of every draft until its line is closed."""
    stream = model.stream()
    caption = stream.stages.caption
    n_drafts, committed = 0, ""
    for block in blocks(clips[0].samples, 640):
        for event in stream.push(block):
            if isinstance(event, Final):
                committed = ""
            else:
                n_drafts += 1
                assert event.text.startswith(committed.rstrip(".,;:!?"))
        committed = caption._lines.text
    assert n_drafts > 5


@pytest.mark.parametrize("size", [16, 7 * RATE_HZ, 1 << 30])
def test_any_cutting_gives_the_same_lines(model, clips, heard, size):
    assert finals(hear(model, clips[1].samples, size)) == finals(heard[1])


@pytest.mark.parametrize(
    "kind", ["silence", "white noise", "hum", "clicks", *(k for k in KINDS if "recorded" in k)]
)
def test_nobody_is_written_where_nobody_speaks(model, kind):
    """At four levels, up to loud."""
    samples = np.concatenate(list(sound(kind, 1.0)))
    assert len(words_of(hear(model, samples, RATE_HZ))) <= 1


def test_half_a_second_is_heard(model, clips):
    clip = clips[0]
    events = hear(model, clip.samples[: RATE_HZ // 2])
    assert 1 <= len(words_of(events)) <= 3
    assert hear(model, clip.samples[:160]) == []


def test_a_clip_that_starts_at_full_speech_has_its_first_word(model, clips):
    """Cut where the second word begins: what is said from the first sample on is heard."""
    clip = next(c for c in clips if c.word_ends_ms[2] is not None and c.word_ends_ms[0] is not None)
    at = round(clip.word_ends_ms[0] * RATE_HZ / 1000)
    said = spoken_words(clip.text)[1:]
    found = words_of(hear(model, clip.samples[at : at + 5 * RATE_HZ]))
    assert set(said[:3]) & set(found[:4])
    assert found[0] in said[:2]


def test_an_utterance_behind_silence_has_a_window_and_times_of_its_own(model, clips):
    first, second = clips[3], clips[1]
    gap = np.zeros(5 * RATE_HZ, np.float32)
    start_ms = 1000 * (len(first.samples) + len(gap)) / RATE_HZ
    stream = model.stream()
    events = stream.push(np.concatenate([first.samples, gap, second.samples])) + stream.finish()
    assert abs(10 * stream.stages._first_row - start_ms) < 700
    said = spoken(second, start_ms)
    words = [w for line in finals(events) for w in line.words if w.end_ms > start_ms - 500]
    pairs = matches([w.text for w in said], [(spoken_words(w.text) or [""])[0] for w in words])
    off_ms = [abs(said[i].end_ms - words[j].end_ms) for i, j in pairs if said[i].end_ms is not None]
    assert len(off_ms) > 8
    assert np.percentile(off_ms, 90) < 300
    assert all(word.start_ms > start_ms - 300 for word in words)


def test_four_minutes_lose_nothing_and_memory_stays_flat(model, clips):
    """All clips in turns with pauses: as many errors as each alone, and no growth."""
    stream, process = model.stream(delay="sure"), psutil.Process()
    alone, together = Score(), Score()
    for clip in clips:
        alone.add(spoken_words(clip.text), words_of(stream.push(clip.samples) + stream.finish()))
        stream.reset()
    reference, found, memory_mb, n_samples, turns = [], [], [], 0, 0
    while n_samples < 240 * RATE_HZ:
        for clip in clips:
            samples = np.concatenate([clip.samples, PAUSE[: RATE_HZ * (1 + turns % 2)]])
            found += words_of([e for b in blocks(samples, RATE_HZ) for e in stream.push(b)])
            reference += spoken_words(clip.text)
            n_samples += len(samples)
        turns += 1
        memory_mb.append(process.memory_info().rss / 1e6)
    together.add(reference, found + words_of(stream.finish()))
    assert turns > 1
    # Other windows than alone: two words in a hundred of slack.
    assert together.errors <= 1.1 * turns * alone.errors + 0.02 * together.words
    assert memory_mb[-1] - memory_mb[0] < 50


def test_a_machine_that_is_behind_loses_no_words(model, clips):
    """Two windows instead of thirty, and a notice."""
    stream, score = model.stream(behind_ms=lambda: 60_000.0), Score()
    events = [e for b in blocks(clips[1].samples, 640) for e in stream.push(b)] + stream.finish()
    score.add(spoken_words(clips[1].text), words_of(events))
    assert score.wer < 0.2
    assert sum(isinstance(event, Lag) for event in events) == 1


def test_without_the_gate_people_are_heard_too(model, clips):
    said = spoken_words(clips[2].text)
    score = Score()
    score.add(said, words_of(hear(model, clips[2].samples, vad="off")))
    assert score.wer < 0.3
    assert any(
        isinstance(e, Draft) for e in hear(model, clips[2].samples[: 4 * RATE_HZ], vad="off")
    )
