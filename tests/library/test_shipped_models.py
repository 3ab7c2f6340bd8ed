# SPDX-License-Identifier: Apache-2.0
"""The models that ship for people and cameras: whole, small, licensed, and they hear."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgestream.convert.verify.speech import PERSON, greedy, person_rows
from edgestream.library import folders
from edgestream.library.manifest.manifest import Manifest
from edgestream.scoring.words import spoken_words
from edgestream.speech.reencoded.model import ReencodedModel
from edgestream.speech.reencoded.voice import VoiceGate, load_voice

WHISPER, SILERO, WATCH = "whisper-tiny.en", "silero-vad", "nano-watch"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shipped():
    found = folders.shipped()
    if not {WHISPER, SILERO} <= found.keys():
        pytest.skip("the weights are not in this tree; tools/make/shipped_models.py makes them")
    return found


@pytest.mark.parametrize(
    ("name", "licence", "words"),
    [(WHISPER, "MIT", "MIT License"), (SILERO, "MIT", "MIT License"),
     (WATCH, "Apache-2.0", "Copyright (c) 2021-2022 Megvii Inc.")],
)  # fmt: skip
def test_a_shipped_model_is_whole_licensed_and_no_longer_pulled(shipped, name, licence, words):
    folder = shipped[name]
    manifest = folders.read_verified(folder, Manifest)
    assert (manifest.name, manifest.license) == (name, licence)
    assert words in (folder / "LICENSE").read_text(encoding="utf-8")
    assert "| origin |" in (folder / "README.md").read_text(encoding="utf-8")
    assert name not in folders.catalogue()
    assert {path.name for path in folder.iterdir()} == {*manifest.files, "model.toml", "README.md"}


def test_the_graphs_are_as_small_as_public_ones(shipped):
    assert sum(path.stat().st_size for path in shipped[WHISPER].glob("*.onnx")) <= 46_000_000


def test_the_whisper_writes_what_a_person_said(shipped):
    model = ReencodedModel(shipped[WHISPER])
    states = model.weights.encode(person_rows(model))
    prompt = [model.config.start, model.config.no_times]
    written = greedy(model, lambda tokens: model.weights.decode(tokens, states, {}).logits, prompt)
    text = b"".join(model.token_bytes[token] for token in written).decode()
    said = PERSON.with_suffix(".txt").read_text(encoding="utf-8")
    assert spoken_words(text) == spoken_words(said)


def test_the_gate_hears_the_person_and_no_noise(shipped):
    weights = load_voice(SILERO)
    samples, _ = soundfile.read(PERSON, dtype="float32")
    spoken = VoiceGate(weights).push(samples)
    noise = np.random.default_rng(0).normal(0, 0.02, len(samples)).astype(np.float32)
    assert spoken.mean() > 0.6
    assert VoiceGate(weights).push(noise).mean() < 0.02


def test_the_script_pins_what_it_fetches():
    """Cards and licences lie in the tree; packages are fixed by version and sha256."""
    spec = importlib.util.spec_from_file_location(
        "made", ROOT / "tools" / "make" / "shipped_models.py"
    )
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert set(made.PACKAGES) == {WHISPER, SILERO, WATCH}
    for name, (_, version, sha256, _) in made.PACKAGES.items():
        assert folders.SHA256.fullmatch(sha256)
        assert version[0].isdigit()
        assert all((ROOT / "models" / name / text).is_file() for text in made.TEXTS)
