# SPDX-License-Identifier: Apache-2.0
"""Whisper: parity with transformers, the streaming law, rules, guards, bad files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_whisper
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers_whisper import ANSWERS, SEEDS, sound

import edgestream
from edgestream._native import WaitK
from edgestream.events import Draft, Final
from edgestream.policy import ChosenPolicy
from edgestream.speech.reencoded.model import ReencodedModel, WindowSpec
from edgestream.speech.reencoded.rules import HypothesisRules
from edgestream.speech.reencoded.window import CentredMel

EXPECTED = json.loads(ANSWERS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_whisper.write(tmp_path_factory.mktemp("model") / "tiny-whisper")


@pytest.fixture(scope="module")
def model(folder):
    return ReencodedModel(folder)


def cut(samples, sizes):
    """The samples in blocks of the sizes, over and over."""
    at, i = 0, 0
    while at < len(samples):
        yield samples[at : at + sizes[i % len(sizes)]]
        at, i = at + sizes[i % len(sizes)], i + 1


def frames_of(samples, sizes):
    mel = CentredMel(80)
    return np.concatenate([*(mel.push(block) for block in cut(samples, sizes)), mel.finish()])


def test_the_mel_is_that_of_transformers():
    frames = np.full((3000, 80), -10.0, np.float32)
    found = frames_of(sound(9), [len(sound(9))])
    frames[: len(found)] = found
    normal = (np.maximum(frames, frames.max() - 8) + 4) / 4
    assert np.abs(normal.T[:, :732:61].ravel() - EXPECTED["mel"]).max() < 1e-5
    assert len(found) == 732  # all that hear a sample, and none that do not


@given(st.lists(st.integers(1, 700), min_size=1, max_size=5), st.integers(0, 1200))
def test_any_cutting_gives_the_mel_of_the_whole(sizes, n):
    samples = sound(1, 0.1)[:n]
    assert np.array_equal(frames_of(samples, sizes), frames_of(samples, [max(1, n)]))


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_input_gives_the_tokens_of_transformers(tmp_path, monkeypatch, seed, times):
    """All sound as one unit, no guards: the text is what transformers writes greedily. A stream
    begins with the time 0, transformers chose another: so that one is given here."""
    monkeypatch.setattr(HypothesisRules, "is_loop", lambda self, written: False)
    monkeypatch.setattr(HypothesisRules, "is_silent", lambda self, logits: False)
    folder = tiny_whisper.write(tmp_path / "m", tiny_whisper.tensors(seed))
    model = ReencodedModel(folder, WindowSpec(unit_ms=30000, keep_ms=30000, max_ms=30000))
    model.weights.padded = True  # transformers hears 30 s
    expected = EXPECTED[f"{seed} {'times' if times else 'no times'}"]
    prompt = [tiny_whisper.START, tiny_whisper.FIRST_LANGUAGE + 1, tiny_whisper.TRANSCRIBE]
    prompt.append(expected.pop(0) if times else tiny_whisper.NO_TIMES)
    if times:
        monkeypatch.setattr(ReencodedModel, "_prompt", lambda *_, **__: prompt)
    monkeypatch.setattr("edgestream.speech.reencoded.model.CROWD_ROWS", 0)
    stream = model.stream(language="de", times=times, policy=WaitK(0), vad="off")
    written = []
    stages = stream.stages
    assert stages.decoder.prompt == prompt
    stages.decoder._n_before = 3 if times else 4
    stages.caption.push = lambda tokens, *_, **__: written.extend(tokens) or []
    stream.push(sound(seed))
    stream.finish()
    assert (expected[-1] >= tiny_whisper.FIRST_TIME) <= times
    said = [t for t in expected if t < tiny_whisper.FIRST_TIME and t != tiny_whisper.END]
    assert len(said) > 20
    if expected[-1] == tiny_whisper.END:
        assert written == said
    else:
        assert written[: len(said)] == said


SPOKEN = np.concatenate([sound(i, 4.0) for i in range(4)])


def events_of(model, samples, sizes, **options):
    stream = model.stream(vad="off", **options)
    events = [event for block in cut(samples, sizes) for event in stream.push(block)]
    return events + stream.finish()


@pytest.fixture(scope="module")
def short(folder):
    """A window so short that it is trimmed within the test's sound."""
    return ReencodedModel(folder, WindowSpec(unit_ms=500, keep_ms=1500, max_ms=4000))


@pytest.fixture(scope="module")
def whole(short):
    return {
        times: events_of(short, SPOKEN, [len(SPOKEN)], language="en", times=times)
        for times in (True, False)
    }


@settings(max_examples=8)
@given(st.lists(st.integers(1, 30000), min_size=1, max_size=4), st.booleans())
def test_any_cutting_gives_the_captions_of_the_whole(short, whole, sizes, times):
    sizes = [*sizes, 9000]  # never only blocks of a few samples
    assert events_of(short, SPOKEN, sizes, language="en", times=times) == whole[times]


@pytest.mark.parametrize("times", [True, False])
def test_captions_have_rising_times_and_never_run_ahead(whole, times):
    finals = [event for event in whole[times] if isinstance(event, Final)]
    words = [word for final in finals for word in final.words]
    assert words
    at = 0.0
    for word in words:
        assert at <= word.start_ms <= word.end_ms <= word.emitted_ms
        assert word.text == word.text.strip() != ""
        assert word.text.isprintable()
        at = word.end_ms
    assert any(isinstance(event, Draft) for event in whole[times])


@pytest.mark.parametrize("times", [True, False])
def test_drafts_change_the_work_and_not_the_words(short, times):
    written = []
    for n_draft in (0, 64):
        stream = short.stream(language="en", times=times, vad="off")
        stages, decides = stream.stages, ChosenPolicy(edgestream.policy.LocalAgreement(), 2)
        stages.loop = short.loop(
            stages.decoder, decides, stages.decoder.prompt, times=times, n_draft=n_draft
        )
        written.append(stream.push(SPOKEN) + stream.finish())
    assert written[0] == written[1]
    assert stages.loop.draft_counts.verified > 0


def test_the_window_stays_bounded(short):
    stream = short.stream(language="en", vad="off")
    stages = stream.stages
    lengths = []
    for block in cut(SPOKEN, [8000]):
        stream.push(block)
        lengths.append(stages.decoder._n_input)
    assert 300 < max(lengths) <= 400  # rows of 10 ms: 4 s
    assert stages.loop.n_left > 800


def test_a_reset_stream_is_a_new_one(short, whole):
    stream = short.stream(language="en", vad="off")
    stream.push(sound(7))
    stream.reset()
    assert stream.push(SPOKEN) + stream.finish() == whole[True]
