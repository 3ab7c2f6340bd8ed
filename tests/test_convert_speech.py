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
from edgestream.errors import ModelError, UsageError

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
def test_the_result_is_its_source(tmp_path, kind):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = checkpoint(tmp_path / "source", KINDS[kind])
    result = convert(source, tmp_path / "out", "--verify")
    assert result.exit_code == 0, result.output
    assert "same argmax 100.0%" in result.output


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
    for more in (["--to", "gguf"], ["--quant", "q4"]):
        assert isinstance(convert(source, tmp_path / "out", *more).exception, UsageError)
