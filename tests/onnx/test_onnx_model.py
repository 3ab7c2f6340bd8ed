# SPDX-License-Identifier: Apache-2.0
"""A model directory whose decoder is ONNX: the default model's weights, the same captions."""

import hashlib
import shutil

import numpy as np
import pytest
import soundfile

import edgestream as es
from edgestream.cli.doctor import SAMPLE
from edgestream.convert.gguf.llama import read_gguf_llama
from edgestream.convert.onnx.decoder import write_onnx_decoder
from edgestream.errors import ModelError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The default model with its decoder converted."""
    folder = tmp_path_factory.mktemp("model") / "tiny-onnx"
    shutil.copytree(es.load("synthetic-en").folder, folder)
    write_onnx_decoder(folder, *read_gguf_llama(folder / "decoder.gguf"))
    (folder / "decoder.gguf").unlink()
    manifest = (folder / "model.toml").read_text("utf-8").replace("decoder.gguf", "decoder.onnx")
    lines = [line for line in manifest.splitlines() if not line.startswith('"decoder.onnx"')]
    for name in ("decoder.onnx", "embed_tokens.onnx"):
        lines.append(f'"{name}" = "{hashlib.sha256((folder / name).read_bytes()).hexdigest()}"')
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def words(model, samples, rate_hz, cuts):
    stream = model.stream(rate_hz=rate_hz)
    events = [e for part in np.array_split(samples, cuts) for e in stream.push(part)]
    events += stream.finish()
    return [word for e in events if isinstance(e, es.Final) for word in e.words]


def test_it_captions_the_sample_as_the_gguf_decoder_does(folder):
    samples, rate_hz = soundfile.read(SAMPLE, dtype="float32")
    model = es.load(folder)
    assert model.token_texts == es.load("synthetic-en").token_texts
    expected = words(es.load("synthetic-en"), samples, rate_hz, 1)
    assert len(expected) > 10
    assert words(model, samples, rate_hz, 1) == expected
    assert words(model, samples, rate_hz, 37) == expected


def test_its_embeddings_must_be_listed_and_whole(folder, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    (copy / "embed_tokens.onnx").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"embed_tokens.onnx: altered or damaged"):
        es.load(copy)
    lines = (copy / "model.toml").read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith('"embed_tokens')]
    (copy / "model.toml").write_text("\n".join(kept), encoding="utf-8")
    with pytest.raises(ModelError, match=r"an ONNX decoder needs embed_tokens.onnx, listed with"):
        es.load(copy)
