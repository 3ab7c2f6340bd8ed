# SPDX-License-Identifier: Apache-2.0
"""A family registers itself in its own room: adding one touches no other file."""

import hashlib
import textwrap

import numpy as np
import pytest
import soundfile
from test_cli import run

import edgestream as es
from edgestream.errors import ModelError
from edgestream.hub import fit
from edgestream.library import families as known
from edgestream.library.folders import read_verified
from edgestream.library.manifest.manifest import Manifest
from edgestream.library.needs import Speed

ROOM = '''
"""A family that says how long the sound was, in whole seconds."""

from dataclasses import dataclass

from edgestream.captions.clock import Clock
from edgestream.events import Final, Word
from edgestream.library.families import SOUND, Family
from edgestream.library.folders import read_verified
from edgestream.library.manifest.manifest import Manifest
from edgestream.library.needs import Needs, step_demand
from edgestream.speech.stream import Stream


@dataclass(frozen=True, slots=True)
class ToyManifest(Manifest):
    word: str


class Stages:
    def __init__(self, word, rate_hz):
        self.word, self.rate_hz = word, rate_hz

    def reset(self):
        self.n_samples = 0

    def push(self, samples):
        self.n_samples += len(samples)
        return []

    def finish(self, silence):
        end_ms = 1000 * self.n_samples // self.rate_hz
        text = f"{end_ms // 1000} {self.word}"
        return [Final(text, (Word(text, 0.0, end_ms, end_ms),), 0.0, end_ms)]

    def close_line(self):
        return []


class Toy:
    STREAM_OPTIONS = ()

    def __init__(self, folder):
        self.folder, self.manifest = folder, read_verified(folder, ToyManifest)

    def stream(self, *, rate_hz=16000):
        stages = Stages(self.manifest.word, 16000)
        return Stream(stages, Clock(), rate_hz=rate_hz, model_hz=16000, delay_ms=0.0)


FAMILIES = [
    Family(
        "toy", ToyManifest, lambda m: [(m.word.islower(), "word must be small")], SOUND,
        lambda folder, device: Toy(folder),
        needs=lambda manifest, sizes, shape: Needs(7, 8, 9),
        demand=lambda manifest, sizes, needs, speed: step_demand(needs, speed, 100),
    )
]
'''
MODEL = """
format = 1
name = "toy"
family = "toy"
description = "counts seconds"
languages = ["en"]
license = "Apache-2.0"
word = "{word}"

[files]
"nothing.bin" = "{sha256}"
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The folder of a model of a family that has one file of its own, in a room of its own."""
    room = tmp_path / "package" / "toys"
    room.mkdir(parents=True)
    (room / "family.py").write_text(textwrap.dedent(ROOM))
    monkeypatch.setattr(es, "__path__", [*es.__path__, str(room.parent)])
    known._built_in.cache_clear()
    yield model(tmp_path / "model", "seconds")
    known._built_in.cache_clear()


def model(folder, word):
    folder.mkdir()
    (folder / "nothing.bin").write_bytes(b"nothing")
    digest = hashlib.sha256(b"nothing").hexdigest()
    (folder / "model.toml").write_text(MODEL.format(word=word, sha256=digest))
    return folder


def test_a_new_family_touches_no_other_file(toy, tmp_path):
    assert known.family_of(toy).name == "toy"
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, np.zeros(3 * 16000, np.float32), 16000)
    heard = [e.text for e in es.listen(sound, model=toy, fast=True) if isinstance(e, es.Final)]
    assert heard == ["3 seconds"]


def test_its_needs_and_its_rules_are_its_own(toy, tmp_path):
    manifest = read_verified(toy, Manifest)
    speed = Speed(s_per_byte=1e-3, bytes_per_s=1e9, flop_per_s=1e9)
    weighed = fit.fit(manifest, {"nothing.bin": 7}, None, speed)
    assert (weighed.needs.weights_bytes, weighed.demand.step_ms) == (7, 100)
    assert weighed.demand.compute_ms == pytest.approx(7.0)
    with pytest.raises(ModelError, match="word must be small"):
        es.load(model(tmp_path / "wrong", "Seconds"))
    with pytest.raises(ModelError, match="hears, it does not see"):
        es.load_watcher(toy)


def test_a_program_registers_one_of_its_own(toy, tmp_path):
    """For programs that bring no room: the same entry, by a call."""
    path = toy / "model.toml"
    path.write_text(path.read_text().replace('family = "toy"', 'family = "mine"'))
    with pytest.raises(ModelError, match=r"family 'mine' .*known: .*toy"):
        es.load(toy)
    made = known.families()["toy"]
    known.register(known.Family("mine", made.manifest, made.rules, made.takes, made.open))
    try:
        assert es.load(toy).manifest.word == "seconds"
    finally:
        known._registered.clear()


def test_the_command_names_the_families_that_it_knows(toy):
    done = run("listen", "-m", toy)  # another process, which has no such room
    assert done.returncode == 2
    assert "family 'toy'" in done.stderr
    assert "known: commentator, concatenated, decoder, reencoded, tracks, vlm, voice" in done.stderr
