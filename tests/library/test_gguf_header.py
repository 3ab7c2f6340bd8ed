# SPDX-License-Identifier: Apache-2.0
"""The decoder's shape from the start of its file: whatever is read at once, whatever is in it."""

import contextlib
import struct

import gguf
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgestream as es
from edgestream.errors import ModelError
from edgestream.library.gguf_header import DecoderShape, read_shape

TINY = (es.load("synthetic-en").folder / "decoder.gguf").read_bytes()[:40_000]


def shape_of(data, read=None):
    return read_shape(read or (lambda n_bytes: data[:n_bytes]), "m.gguf")


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def number(key, value):
    return text(key) + struct.pack("<II", 4, value)


def written(path, n_tokens=100, **heads):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(3)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    for name, value in heads.items():
        getattr(writer, f"add_{name}")(value)
    writer.add_token_list([f"token {i}" for i in range(n_tokens)])
    writer.add_token_merges([f"{i} {i}" for i in range(n_tokens)])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path.read_bytes()


def test_the_built_in_decoder_has_the_shape_that_the_native_reader_finds():
    model, shape = es.load("synthetic-en").decoder, shape_of(TINY)
    assert (shape.n_vocab, shape.n_embd) == (model.n_vocab, model.n_embd)
    assert shape.n_layers == model.n_layers
    assert shape == DecoderShape(1011, 256, 704, 4, 6, 6 * 2 * 2 * 64)


@pytest.mark.parametrize(
    ("heads", "kv_width"),
    [
        ({}, 3 * 4 * 32),
        ({"head_count_kv": 2}, 3 * 2 * 32),
        ({"head_count_kv": [1, 2, 0]}, 3 * 32),
        ({"head_count_kv": 2, "key_length": 24, "value_length": 8}, 3 * 2 * 32),
    ],
)
def test_keys_and_values_are_counted_over_the_layers(tmp_path, heads, kv_width):
    assert shape_of(written(tmp_path / "m.gguf", **heads)).kv_width == kv_width


def test_of_a_large_vocabulary_only_the_start_is_read(tmp_path):
    data, asked = written(tmp_path / "m.gguf", n_tokens=50_000), []
    assert shape_of(data, lambda n: asked.append(n) or data[:n]).n_vocab == 50_000
    assert sum(asked) < len(data) / 10


def test_a_shape_behind_the_tokens_is_found_by_reading_on(tmp_path):
    data = written(tmp_path / "m.gguf", n_tokens=50_000)
    keys = number("late.block_count", 2) + number("late.embedding_length", 8)
    keys += number("late.attention.head_count", 2) + number("late.feed_forward_length", 8)
    data = data.replace(text("llama"), text("late"), 1)  # its own keys are of no architecture now
    n_keys = struct.unpack("<Q", data[16:24])[0]
    data = data[:16] + struct.pack("<Q", n_keys + 4) + data[24:].rstrip(b"\0") + keys
    asked = []
    assert shape_of(data, lambda n: asked.append(n) or data[:n]).kv_width == 2 * 2 * 8
    assert len(asked) > 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "ends within"),
        (b"PK\x03\x04", "not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "missing"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), "ends within"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63), "ends within"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<I", 77), "type 77"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 9, 1),
            "array of the GGUF type 9",
        ),
        (TINY[:300], "ends within"),
    ],
)
def test_what_is_no_decoder_is_one_line(data, said):
    with pytest.raises(ModelError, match=said):
        shape_of(data)


@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), max_size=8))
def test_changed_bytes_end_in_a_shape_or_an_error(changes):
    data = bytearray(TINY)
    for at, value in changes:
        data[at] = value
    with contextlib.suppress(ModelError):
        shape = shape_of(bytes(data))
        assert shape.kv_width >= 0
        assert min(shape.n_vocab, shape.n_embd, shape.n_ff, shape.n_heads, shape.n_layers) > 0
