# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of Whisper and Moonshine through the command line, and what becomes of bad ones."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import tiny_moonshine
import tiny_whisper
from safetensors.numpy import save_file
from transformers_whisper import sound
from typer.testing import CliRunner

import edgestream
from edgestream.cli.main import app
from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.models import speech
from edgestream.convert.models.speech import SUFFIX
from edgestream.convert.verify.decoder import BOUNDS, Comparison
from edgestream.convert.verify.speech import compare_speech
from edgestream.errors import ConversionError, ModelError, UsageError
from edgestream.speech.reencoded.model import DECODER, ENCODER

KINDS = {"whisper": tiny_whisper, "moonshine": tiny_moonshine}


def checkpoint(folder, tiny, tensors=None, **changes):
    """A checkpoint as its makers would publish it."""
    folder.mkdir()
    save_file(tiny.tensors(1) if tensors is None else tensors, folder / "model.safetensors")
    files = {"config.json": {**tiny.CONFIG, **changes}, "tokenizer.json": tiny.tokenizer()}
    if tiny is tiny_whisper:
        files["generation_config.json"] = tiny.GENERATION
    for name, data in files.items():
        (folder / name).write_text(json.dumps(data), encoding="utf-8")
    return folder


def convert(source, out, *more):
    return CliRunner().invoke(app, ["convert", str(source), "-o", str(out), *more])


@pytest.mark.parametrize("kind", KINDS)
def test_a_converted_checkpoint_captions(tmp_path, kind):
    source = checkpoint(tmp_path / "source", KINDS[kind])
    result = convert(source, tmp_path / "out")
    assert result.exit_code == 0, result.output
    stream = edgestream.load(tmp_path / "out").stream(vad="off")
    assert stream.push(sound(0)) + stream.finish()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quant", SUFFIX)
def test_the_result_is_its_source(tmp_path, kind, quant):
    """On random weights the logits; their words hang on nothing, so that 4 bits change them."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = checkpoint(tmp_path / "source", KINDS[kind])
    result = convert(source, tmp_path / "out", "--quant", quant)
    assert result.exit_code == 0, result.output
    compared = compare_speech(Checkpoint(source), tmp_path / "out", quant)
    assert compared.logits.holds, compared
    assert quant == "q4" or compared.holds
    assert quant != "f32" or compared.logits.same_argmax == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", [None, "zero", "turned"])
def test_verify_keeps_what_is_whole_and_nothing_else(tmp_path, monkeypatch, kind, damage):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    name, write = "model.decoder.layers.1.self_attn.k_proj.weight", speech.WRITERS[kind]

    def write_damaged(config, tensors, *args, **kwargs):
        wrong = {"zero": tensors[name] * 0, "turned": tensors[name].T, None: tensors[name]}[damage]
        write(config, {**tensors, name: wrong}, *args, **kwargs)

    monkeypatch.setitem(speech.WRITERS, kind, write_damaged)
    result = convert(checkpoint(tmp_path / "source", KINDS[kind]), tmp_path / "out", "--verify")
    assert "other than the source's (bound 0%)" in result.output
    assert (
        result.exit_code == 0 if damage is None else isinstance(result.exception, ConversionError)
    )
    assert (tmp_path / "out").exists() == (damage is None)


def test_verify_of_a_real_whisper_of_faster_whisper(tmp_path):
    """With EDGESTREAM_WHISPER naming such a folder of tiny.en or base."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    folder = os.environ.get("EDGESTREAM_WHISPER")
    if not folder:
        pytest.skip("EDGESTREAM_WHISPER names no folder of faster-whisper")
    for quant in SUFFIX:
        result = convert(folder, tmp_path / quant, "--quant", quant, "--verify")
        assert result.exit_code == 0, result.output
        assert "a person's 22 words, 0 other" in result.output


def logits_of(folder):
    """Of some tokens after a noise, the last ones out of the cache [n, n_vocab]."""
    model = edgestream.load(folder)
    rows = np.ones((300, 1 + model.weights.payload), np.float32)
    rows[:, 1:] = np.random.default_rng(0).normal(-1, 0.3, (300, model.weights.payload))
    rows[:, 0] = -model.weights.payload
    states = model.weights.encode(rows)
    first, cache, _ = model.weights.decode([model.config.start, *range(3, 30)], states, {})
    return np.concatenate([first, model.weights.decode([30], states, cache).logits])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quant", [quant for quant in SUFFIX if quant != "f32"])
def test_smaller_weights_run_and_are_near_to_large_ones(tmp_path, kind, quant):
    """The merged decoder's both branches, by the bound that --verify has, then a stream."""
    source = checkpoint(tmp_path / "source", KINDS[kind])
    for name in ("f32", quant):
        result = convert(source, tmp_path / name, "--quant", name)
        assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / quant).glob("*.onnx")}
    assert names == {f"{name}{SUFFIX[quant]}.onnx" for name in (ENCODER, DECODER)}
    compared = Comparison.of_logits(
        logits_of(tmp_path / quant), logits_of(tmp_path / "f32"), BOUNDS[quant], None
    )
    assert compared.holds, compared
    assert compared.max_abs > 0  # they are not the same weights
    model = edgestream.load(tmp_path / quant)
    streams = [model.stream(vad="off") for _ in range(3)]
    assert any(s.push(sound(seed)) + s.finish() for seed, s in enumerate(streams))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["missing", "shape", "layers", "type"])
def test_a_checkpoint_that_lies_leaves_nothing(tmp_path, kind, damage):
    tiny, changes = KINDS[kind], {}
    tensors = tiny.tensors(1)
    name = "model.decoder.layers.0.self_attn.q_proj.weight"
    layers = "decoder_layers" if kind == "whisper" else "decoder_num_hidden_layers"
    if damage == "missing":
        del tensors[name]
    elif damage == "shape":
        tensors[name] = np.ones((3, 5), np.float32)
    else:
        changes[layers] = 1 << 40 if damage == "layers" else "two"
    source = checkpoint(tmp_path / "source", tiny, tensors, **changes)
    result = convert(source, tmp_path / "out")
    assert isinstance(result.exception, ModelError), result.output
    assert not (tmp_path / "out").exists()


def test_other_formats_are_refused(tmp_path):
    source = checkpoint(tmp_path / "source", tiny_whisper)
    for more in (["--to", "gguf"], ["--quant", "q4_k_m"]):
        assert isinstance(convert(source, tmp_path / "out", *more).exception, UsageError)


@pytest.mark.parametrize("quant", ["f32", "int8"])
def test_no_weight_is_stored_twice(tmp_path, quant):
    """The table of tokens is the largest by far: both graphs are no larger than weights once."""
    source = checkpoint(tmp_path / "source", tiny_whisper)
    assert convert(source, tmp_path / "out", "--quant", quant).exit_code == 0
    size = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.onnx"))
    n = sum(tensor.size for tensor in tiny_whisper.tensors(1).values())
    width = 4 if quant == "f32" else 1 + 4 / 32  # blocks of 32 here, with a scale each
    positions = 2 * (1500 + 448) * 32 if quant == "int8" else 0  # float16
    graphs = 90_000  # nodes and names
    assert size < width * n + positions + graphs


def test_the_same_weights_give_the_same_bytes(tmp_path):
    source = checkpoint(tmp_path / "source", tiny_whisper)
    for name in ("a", "b"):
        assert convert(source, tmp_path / name, "--quant", "int8").exit_code == 0
    for path in (tmp_path / "a").glob("*.onnx"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
