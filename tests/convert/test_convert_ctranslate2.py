# SPDX-License-Identifier: Apache-2.0
"""Folders of faster-whisper through the command line: the same graphs as of the checkpoint, and one
line for what is damaged."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import tiny_ctranslate2 as ct2
import tiny_whisper as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from test_convert_speech import checkpoint, convert, logits_of
from transformers_whisper import sound

import edgestream
from edgestream.convert.models.ctranslate2_file import CTranslate2File
from edgestream.convert.models.ctranslate2_whisper import CTranslate2Checkpoint
from edgestream.convert.verify.decoder import Comparison
from edgestream.errors import ModelError
from edgestream.speech.reencoded.config import read_speech_config

TENSORS = tiny.tensors(1)
GRAPHS = ("encoder_model.onnx", "decoder_model_merged.onnx")


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_the_graphs_are_those_of_the_checkpoint(tmp_path, kind):
    rounded = {name: t.astype(kind).astype(np.float32) for name, t in TENSORS.items()}
    folders = {
        "theirs": ct2.write(tmp_path / "theirs", TENSORS, kind),
        "ours": checkpoint(tmp_path / "ours", tiny, rounded),
    }
    made = {}
    for name, folder in folders.items():
        result = convert(folder, tmp_path / "out" / name)
        assert result.exit_code == 0, result.output
        made[name] = [(tmp_path / "out" / name / graph).read_bytes() for graph in GRAPHS]
    assert made["theirs"] == made["ours"]
    stream = edgestream.load(tmp_path / "out" / "theirs").stream(vad="off")
    assert stream.push(sound(0)) + stream.finish()


def test_int8_with_its_scales_is_near_to_the_checkpoint(tmp_path):
    sources = {
        "int8": ct2.write(tmp_path / "theirs", TENSORS, "int8"),
        "f32": checkpoint(tmp_path / "ours", tiny, TENSORS),
    }
    for name, folder in sources.items():
        assert convert(folder, tmp_path / name).exit_code == 0
    found = Comparison.of_logits(
        logits_of(tmp_path / "int8"), logits_of(tmp_path / "f32"), 0.08, None
    )
    assert 0 < found.relative_rms < found.bound


def test_settings_are_put_together(tmp_path):
    source = ct2.write(tmp_path / "source", TENSORS)
    assert convert(source, tmp_path / "out").exit_code == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert {key: config[key] for key in tiny.CONFIG} == tiny.CONFIG
    read = read_speech_config(tmp_path / "out")
    assert read.alignment_heads == ((1, 0), (1, 3))
    assert (read.no_times, read.previous) == (tiny.NO_TIMES, tiny.PREVIOUS)
    assert list(read.suppressed) == tiny.GENERATION["suppress_tokens"]
    assert read.languages == {}  # so small a vocabulary is an English one
    edgestream.load(tmp_path / "out").stream(prompt="")


def test_a_hubs_cache_is_followed_and_other_links_are_not(tmp_path):
    """As faster-whisper's models lie in a cache: links of a snapshot to blobs beside it."""
    source, snapshot = ct2.write(tmp_path / "source", TENSORS), tmp_path / "m" / "snapshots" / "1a"
    snapshot.mkdir(parents=True)
    (tmp_path / "m" / "blobs").mkdir()
    for path in source.iterdir():
        blob = path.rename(tmp_path / "m" / "blobs" / f"b-{path.name}")
        (snapshot / path.name).symlink_to(f"../../blobs/{blob.name}")
    assert convert(snapshot, tmp_path / "out").exit_code == 0
    blob = tmp_path / "m" / "blobs" / "b-tokenizer.json"
    outside = blob.rename(tmp_path / "tokenizer.json")
    (snapshot / "tokenizer.json").unlink()
    (snapshot / "tokenizer.json").symlink_to(outside)
    error = convert(snapshot, tmp_path / "again").exception
    assert isinstance(error, ModelError)
    assert "a link that leaves the checkpoint" in str(error)


def damaged(tmp_path, change, name="model.bin"):
    """What the conversion says of a folder with one file changed, or without it."""
    source = ct2.write(tmp_path / "source", TENSORS)
    data = change((source / name).read_bytes())
    (source / name).unlink() if data is None else (source / name).write_bytes(data)
    error = convert(source, tmp_path / "out").exception
    assert isinstance(error, ModelError), error
    assert not (tmp_path / "out").exists()
    line = str(error)
    assert str(source) in line
    assert line.isprintable()
    return line


def found(**changes):
    """The variables with some changed; None takes one away."""
    variables = ct2.stored(ct2.variables(TENSORS), "float32") | changes
    return {name: values for name, values in variables.items() if values is not None}


WHOLE = ct2.model_bin(found())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut off"), (WHOLE[:-1], "cut off"), (WHOLE + b"\0", "1 bytes behind its end"),
        (b"\x80\x02" + WHOLE[2:], "version that is not known"), (b"PK" * 99, "not known"),
        (ct2.model_bin(found(), spec="TransformerSpec"), "'TransformerSpec' of CTranslate2"),
        (ct2.model_bin(found(), version=7), "not known (7)"),
        (WHOLE[:18] + struct.pack("<II", 3, 1 << 30) + WHOLE[26:], "1073741824 variables"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_whisper_of_ctranslate2_is_one_line(tmp_path, data, said):
    assert said in damaged(tmp_path, lambda _: data)


CROSS = "decoder/layer_0/attention/linear_1/bias"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder/conv1/weight": None}, "encoder/conv1/weight is missing"),
        ({"encoder/layer_1/ffn/linear_1/weight": np.ones((3, 5), np.float32)}, "shape [3, 5]"),
        ({"decoder/embeddings/weight": np.ones((300, 32), np.int8)}, "weight_scale is missing"),
        ({"decoder/embeddings/weight": np.ones((300, 32), np.int16),
          "decoder/embeddings/weight_scale": np.float32(1)}, "converted are float32, float16"),
        ({"decoder/activation": np.int8(0)}, "decoder/activation is 0"),
        ({"decoder/alibi": np.int8(1)}, "decoder/alibi is 1"),
        ({"encoder/num_heads": np.int16(5)}, "encoder of 5 heads"),
        ({"decoder/other": np.ones(3, np.float32)}, "no Whisper has"),
        ({CROSS: np.ones(64, np.float32)}, "bias of keys"),
        ({"encoder/layer_norm/beta": np.full(32, np.nan, np.float32)}, "not finite"),
        ({"encoder/layer_0/ffn/linear_0/weight": None}, "is missing"),
    ],
)  # fmt: skip
def test_variables_that_are_no_whispers_are_one_line(tmp_path, changes, said):
    data = ct2.model_bin(found(**changes))
    assert said in damaged(tmp_path, lambda _: data)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("tokenizer.json", None, "has vocabulary.txt but no tokenizer.json; put beside it"),
        ("tokenizer.json", b'{"added_tokens": 3}', "has no <|startoftranscript|>"),
        ("config.json", None, "no such file"), ("config.json", b"[]", "must be a JSON object"),
        ("config.json", b'{"suppress_ids": "x"}', "suppress_ids"),
    ],
)  # fmt: skip
def test_files_beside_it_are_checked(tmp_path, name, data, said):
    assert said in damaged(tmp_path, lambda _: data, name)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return ct2.write(tmp_path_factory.mktemp("fuzz") / "m", TENSORS)


def read_all(folder):
    """What a conversion reads; the error's line if it is refused."""
    try:
        source = CTranslate2Checkpoint(folder)
        with source.opened():
            for name in source.shapes:
                source.array(name)
    except ModelError as error:
        return str(error)
    return ""


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 4000) | st.integers(len(WHOLE) - 200, len(WHOLE) - 1), st.integers(-1, 255))
def test_altered_bytes_are_read_or_refused_in_one_line(place, at, byte):
    """In the heads of the first variables and in the last names; -1 cuts the file off there."""
    altered = bytearray(WHOLE[:at] if byte < 0 else WHOLE)
    if byte >= 0:
        altered[at] = byte
    (place / "model.bin").write_bytes(altered)
    line = read_all(place)
    assert line == "" or line.isprintable()
    assert line or byte >= 0


def test_variables_come_back_as_they_were_stored(place):
    (place / "model.bin").write_bytes(WHOLE)
    file = CTranslate2File(place / "model.bin")
    for name, values in found().items():
        assert np.array_equal(file.raw(name), values)
    table = file.array("decoder/embeddings/weight")
    assert np.array_equal(file.array("decoder/projection/weight"), table)
