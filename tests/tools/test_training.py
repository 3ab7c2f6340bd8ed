# SPDX-License-Identifier: Apache-2.0
"""The training recipe agrees with the runtime, and keeps its test sentences apart."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

from edgestream._native import LogMel

TOOLS = Path(__file__).parents[2] / "tools" / "train" / "captions"
MEL_TOLERANCE = 2e-3  # natural log: float32 sums in another order, near the floor


@pytest.fixture(autouse=True)
def _tools_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(TOOLS), *sys.path])


def test_training_mel_is_the_runtime_mel() -> None:
    from features import log_mel

    rng = np.random.default_rng(3)
    t = np.arange(48000) / 16000
    tone = 0.2 * np.sin(2 * np.pi * (200 + 900 * t) * t)
    samples = (tone + 0.01 * rng.standard_normal(len(t))).astype(np.float32)
    samples[20000:24000] = 0
    native = LogMel(
        sample_rate_hz=16000, window_samples=400, hop_samples=160, fft_size=512, n_bins=80,
        min_hz=20.0, max_hz=7600.0, log_floor=1e-5,
    )  # fmt: skip
    assert np.abs(native.push(samples) - log_mel(samples)).max() < MEL_TOLERANCE


def test_quantised_mel_is_within_half_a_step() -> None:
    from features import QUANT_STEP, quantise, restore

    mel = np.linspace(-11.5, 8.7, 999, dtype=np.float32)
    assert np.abs(restore(quantise(mel)) - mel).max() <= QUANT_STEP / 2 + 1e-5


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        (
            "Mr. Smith paid 42% in 1969!",
            "mister smith paid forty two percent in nineteen sixty nine.",
        ),
        ("It's well-known -- isn't it?", "it's well known, isn't it?"),
        ("1,000,001 nights", "one million one nights."),
        ("in 2005", "in two thousand five."),
        ("'Quoted' words (here)", "quoted words here."),
    ],
)
def test_normalise(written: str, spoken: str) -> None:
    from normalise import normalise

    assert normalise(written) == spoken


def test_the_grammar_makes_varied_plain_sentences() -> None:
    from everyday import everyday_sentence, read_grammar
    from normalise import USABLE

    rules, rng = read_grammar(), Random(1)
    sentences = [everyday_sentence(rules, rng) for _ in range(2000)]
    assert len(set(sentences)) > 1800
    for sentence in sentences:
        assert USABLE.fullmatch(sentence), sentence
        assert sentence.endswith((".", "?")), sentence


def test_held_out_sentences_are_many_and_apart() -> None:
    names = ["everyday_dev.txt", "everyday_test.txt", "wider_dev.txt", "wider_test.txt"]
    lists = [(TOOLS / name).read_text(encoding="utf-8").splitlines() for name in names]
    assert [len(sentences) for sentences in lists] == [64, 130, 60, 120]
    everything = [sentence for sentences in lists for sentence in sentences]
    assert len(set(everything)) == len(everything)
    grammar = (TOOLS / "everyday.grammar").read_text(encoding="utf-8")
    assert not [sentence for sentence in everything if sentence.rstrip(".?") in grammar]


def test_words_are_aligned_letter_by_letter() -> None:
    pytest.importorskip("soxr")
    from speech import align_words

    split = [("I", 0.1), ("do", 0.3), ("n't", 0.4), ("know", 0.7)]
    assert align_words("i don't know.", split) == [0.1, 0.4, 0.7]
    assert align_words("i can't know.", split) is None
