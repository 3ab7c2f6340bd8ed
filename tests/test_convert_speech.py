# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of Whisper and Moonshine through the command line, and what becomes of bad ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_moonshine
import tiny_whisper
from safetensors.numpy import save_file
from transformers_whisper import sound
from typer.testing import CliRunner

import edgestream
from edgestream.cli import app
from edgestream.convert.speech import SUFFIX
from edgestream.convert.verify import BOUNDS, Comparison
from edgestream.errors import ModelError, UsageError
from edgestream.reencoded_model import DECODER, ENCODER

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
    stream = edgestream.load(tmp_path / "out").stream()
    assert stream.push(sound(0)) + stream.finish()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quant", SUFFIX)
def test_the_result_is_its_source(tmp_path, kind, quant):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = checkpoint(tmp_path / "source", KINDS[kind])
    result = convert(source, tmp_path / "out", "--quant", quant, "--verify")
    assert result.exit_code == 0, result.output
    assert f"(bound {BOUNDS[quant]:.1%})" in result.output
    assert quant != "f32" or "same argmax 100.0%" in result.output


def logits_of(folder):
    """Of some tokens after a noise, the last ones out of the cache [n, n_vocab]."""
    model = edgestream.load(folder)
    rows = np.ones((300, 2 + model.weights.payload), np.float32)
    rows[:, 2:] = np.random.default_rng(0).normal(-1, 0.3, (300, model.weights.payload))
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
    stream = edgestream.load(tmp_path / quant).stream()
    assert stream.push(sound(0)) + stream.finish()


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
