# SPDX-License-Identifier: Apache-2.0
"""The voice gate over a random network of Silero VAD's signature, and where it comes from."""

import numpy as np
import pytest
import tiny_silero
import tiny_whisper
from hypothesis import given
from hypothesis import strategies as st
from loopback_hub import Hub, Repository
from test_hub import fetch, talk_to
from test_pull import SAMPLE, start
from transformers_whisper import sound

import edgestream as es
from edgestream.errors import ModelError, UsageError
from edgestream.library.folders import read_verified
from edgestream.library.manifest.manifest import FORMAT, VOICE, Manifest
from edgestream.library.manifest.write import write_manifest
from edgestream.library.needs import Speed
from edgestream.speech.reencoded.model import ReencodedModel
from edgestream.speech.reencoded.voice import (
    BLOCK_SAMPLES,
    ROW_SAMPLES,
    VoiceGate,
    VoiceWeights,
    load_voice,
)

GATE = "someone/gate"
N_BLOCKS = 60
SAMPLES = (
    np.random.default_rng(3).standard_normal(N_BLOCKS * BLOCK_SAMPLES)
    * np.repeat(np.random.default_rng(4).uniform(0, 0.3, N_BLOCKS), BLOCK_SAMPLES)
).astype(np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return VoiceWeights(tiny_silero.write(tmp_path_factory.mktemp("vad") / "silero_vad.onnx"))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return ReencodedModel(tiny_whisper.write(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def pulled(home, monkeypatch, tmp_path):
    """A gate that somebody published."""
    (tmp_path / "gate").mkdir()
    tiny_silero.write(tmp_path / "gate" / "silero_vad.onnx")
    made = Manifest(
        format=FORMAT, name="gate", family=VOICE, description="a gate", languages=(),
        license="MIT", files={},
    )  # fmt: skip
    write_manifest(tmp_path / "gate", made)
    with Hub() as hub:
        talk_to(monkeypatch, hub.url)
        monkeypatch.setattr("edgestream.hub.pull.probe", lambda: Speed(1e-10, 1e10, 1e12))
        files = {path.name: path.read_bytes() for path in (tmp_path / "gate").iterdir()}
        hub.repositories[GATE] = Repository(files)
        return fetch(GATE)


def test_answers_are_those_of_the_network_run_block_by_block(weights):
    expected = np.array(tiny_silero.probabilities(SAMPLES))
    assert np.abs(expected - 0.5).min() > 1e-4  # no answer hangs on rounding
    assert 5 < (expected > 0.5).sum() < N_BLOCKS - 5
    given = VoiceGate(weights).push(SAMPLES)
    middles = (np.arange(len(given)) + 0.5) * ROW_SAMPLES
    of_rows = expected[(middles // BLOCK_SAMPLES).astype(int)]
    assert np.array_equal(given >= 0.5, of_rows >= 0.5)
    assert np.abs(given - of_rows).max() < 1e-3


@given(st.lists(st.integers(0, len(SAMPLES)), max_size=8))
def test_any_cutting_gives_the_answers_of_the_whole(weights, cuts):
    gate = VoiceGate(weights)
    whole = np.concatenate([gate.push(SAMPLES[:-100]), gate.finish()])
    gate.reset()
    parts = [gate.push(part) for part in np.split(SAMPLES[:-100], sorted(cuts))]
    assert np.array_equal(np.concatenate([*parts, gate.finish()]), whole)


def test_a_stream_hears_only_what_the_gate_lets_through(whisper, tmp_path):
    nobody = tiny_silero.write(tmp_path / "nobody.onnx", offset=-100)
    always = tiny_silero.write(tmp_path / "always.onnx", offset=100)
    assert [e for e in events(whisper, vad="off") if isinstance(e, es.Final)]
    assert events(whisper, vad=nobody) == []
    assert events(whisper, vad=always) == events(whisper, vad="off")


def events(model, **options):
    stream = model.stream(language="en", **options)
    return stream.push(sound(2, 6.0)) + stream.finish()


def test_the_gate_is_pulled_by_its_name(pulled, whisper, weights):
    folder, told = pulled
    assert {path.name for path in folder.iterdir()} == {
        "model.toml", "lock.toml", "silero_vad.onnx",
    }  # fmt: skip
    assert read_verified(folder, Manifest).family == "voice"
    assert "keys and values 0 MB" in told[0]
    assert "for each 32 ms of sound" in told[0]
    assert events(whisper, vad=GATE) == events(whisper, vad=weights.path)
    assert events(whisper, vad=folder) == events(whisper, vad=weights.path)


def test_a_gate_that_was_altered_is_refused(pulled):
    folder, _ = pulled
    with (folder / "silero_vad.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match=r"silero_vad\.onnx: altered or damaged"):
        load_voice(GATE)


def test_what_is_no_gate_is_one_line(home, whisper, tmp_path):
    with pytest.raises(ModelError, match="edgestream models pull someone/gate"):
        whisper.stream(vad=GATE)
    with pytest.raises(ModelError, match="no voice gate"):
        load_voice("synthetic-en")
    (tmp_path / "x.onnx").write_bytes(b"no ONNX")
    with pytest.raises(ModelError, match="onnxruntime cannot load it"):
        load_voice(tmp_path / "x.onnx")
    with pytest.raises(UsageError, match="vad is for models of another family"):
        es.listen(SAMPLE, fast=True, model="synthetic-en", vad=GATE)


def test_a_gate_is_no_model_that_listens(pulled):
    with pytest.raises(ModelError, match="'voice' is not one that can be used here"):
        es.load(GATE)


def test_the_option_of_the_command_line(home, whisper, tmp_path):
    def run(*more):
        process = start(
            "listen", SAMPLE, "--fast", "-m", whisper.folder, "--format", "jsonl", *more
        )
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    nobody = tiny_silero.write(tmp_path / "nobody.onnx", offset=-100)
    code, out, err = run()
    assert (code, '"final"' in out) == (0, True), err
    assert run("--vad", nobody) == (0, "", "")
    code, out, err = run("--vad", GATE)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "edgestream models pull someone/gate" in err
