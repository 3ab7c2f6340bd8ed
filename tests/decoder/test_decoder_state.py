# SPDX-License-Identifier: Apache-2.0
"""A stream saved to a file goes on where it was; any other file is refused in one line."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

SHAPE = TinyShape(n_embd=64, n_ff=64, n_heads=2, n_kv_heads=1, n_vocab=40)
HEAD_BYTES = 40
WINDOWS = [("input", 9), ("output", 6)]
MEMORIES = [
    {"window": 12},
    {"window": 12, "n_sinks": 0, "kv_type": "f32"},
    {"window": 12, "kv_type": "q8_0"},
    {"window": WINDOWS, "kv_type": "bf16"},
    {"window": WINDOWS, "layout": "grouped", "gap": 100},
    {"window": WINDOWS, "layout": "overlap", "kv_type": "q4_0"},
    {"window": 40, "retention": "heavy-hitter", "recent": 8},
    {"window": 40, "retention": "merge", "recent": 8, "kv_type": "q8_0"},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, SHAPE, random_weights(SHAPE))))


def rows_of(model, n, seed=0):
    tokens = np.random.default_rng(seed).integers(0, model.n_vocab, n)
    return np.stack([model.token_embedding(int(t)) for t in tokens])


def make(model, **options):
    return RingDecoder(model, **({"n_sinks": 2, "window": 12, "max_rows": 8} | options))


def advance(decoder, rows):
    """Logits of every row; units of input and, where there is a region for it, output."""
    logits = []
    for i in range(0, len(rows), 5):
        groups = [(0, rows[i : i + 3]), (decoder.n_regions - 1, rows[i + 3 : i + 5])]
        logits.append(decoder.step_groups([g for g in groups if len(g[1])], logits="every"))
        decoder.begin_unit()
    return np.concatenate(logits)


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_restored_stream_goes_on_to_the_bit(model, tmp_path, memory):
    rows = rows_of(model, 200)
    for n_before in (0, 1, 2, 7, 90):
        whole = make(model, **memory)
        for row in rows[:n_before]:
            whole.step(row[None])
        whole.begin_unit()
        path = str(tmp_path / "state")
        whole.save(path)
        restored = make(model, **memory)
        restored.step(rows[-5:])
        restored.restore(path)
        assert restored.pos == n_before
        expected = advance(whole, rows[n_before : n_before + 60])
        np.testing.assert_array_equal(advance(restored, rows[n_before : n_before + 60]), expected)
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_proposal_must_be_closed_before_saving(model, tmp_path):
    decoder = make(model)
    decoder.propose([(0, rows_of(model, 3))])
    with pytest.raises(ValueError, match="a proposal of 3 rows is open"):
        decoder.save(str(tmp_path / "state"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"n_sinks": 3}, {"window": 13}, {"max_rows": 4}, {"kv_type": "f32"},
        {"rebase_rows": 50}, {"window": WINDOWS}, {"window": [("other", 12)]},
        {"max_rows": 1, "retention": "merge"},
    ],
)  # fmt: skip
def test_a_state_of_another_memory_is_refused(model, tmp_path, options):
    path = str(tmp_path / "state")
    make(model, **options).save(path)
    with pytest.raises(ValueError, match=r"is of another memory: n_sinks .*; this one: n_sinks 2"):
        make(model).restore(path)


def test_a_state_of_another_model_is_refused(model, tmp_path):
    path = str(tmp_path / "state")
    weights = random_weights(SHAPE)
    weights["blk.1.ffn_down.weight"][3, 4] += 0.5
    other = GgufModel(str(write_gguf(tmp_path / "other.gguf", SHAPE, weights)))
    make(other).save(path)
    with pytest.raises(ValueError, match="is of another model than this decoder's"):
        make(model).restore(path)


@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_state_is_refused_and_the_stream_goes_on(model, tmp_path_factory, data):
    rows = rows_of(model, 40)
    decoder, untouched = make(model), make(model)
    decoder.step(rows[:30])
    untouched.step(rows[:30])
    path = tmp_path_factory.getbasetemp() / "damaged"
    decoder.save(str(path))
    content = bytearray(path.read_bytes())
    kind = data.draw(st.sampled_from(["flip", "cut", "grow"]))
    if kind == "flip":
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content += b"\0" * data.draw(st.integers(1, 9))
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"state .*(damaged|cut short|no saved state|has version)"
    ) as raised:
        decoder.restore(str(path))
    assert "\n" not in str(raised.value)
    assert decoder.pos == 30
    np.testing.assert_array_equal(decoder.step(rows[30:]), untouched.step(rows[30:]))


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"", "is cut short"),
        (b"GGUF" + bytes(60), "is no saved state"),
        (b"EDGERING" + struct.pack("<I", 7) + bytes(60), "has version 7; this program reads"),
        (struct.pack("<8sIIQQQ", b"EDGERING", 2, 2**31, 0, 2**62, 2**63), "not what its head says"),
    ],
)
def test_what_is_no_state_is_said_to_be_none(model, tmp_path, content, finding):
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=finding):
        make(model).restore(str(path))


def test_paths_that_cannot_be_used_are_named(model, tmp_path):
    decoder = make(model)
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ValueError, match=f"state {path}: "):
            decoder.restore(str(path))
    with pytest.raises(RuntimeError, match="cannot be written"):
        decoder.save(str(tmp_path / "no" / "folder"))


def resealed(content):
    """The content with the checksum that belongs to it, as a forger would make it."""
    mask = (1 << 64) - 1
    value = 0xCBF29CE484222325

    def mix(word):
        nonlocal value
        value ^= word
        value = ((value << 29 | value >> 35) & mask) * 0x100000001B3 & mask

    n_memory = struct.unpack_from("<I", content, 12)[0]
    n_plan, n_ring = struct.unpack_from("<QQ", content, 24)
    at = 0
    for size in (HEAD_BYTES, n_memory, 8 * n_plan, n_ring):
        piece = content[at : at + size]
        padded = piece + bytes(-len(piece) % 8)
        whole = len(piece) // 8 * 8
        for word in struct.unpack(f"<{whole // 8}Q", piece[:whole]):
            mix(word)
        mix(int.from_bytes(padded[whole:], "little"))
        mix(size)
        at += size
    return content[:at] + struct.pack("<Q", value)


@settings(max_examples=100)
@given(
    data=st.data(),
    memory=st.sampled_from(
        [{"window": WINDOWS, "layout": "overlap"}, {"window": 40, "retention": "merge"}]
    ),
)
def test_forged_plans_are_refused_or_harmless(model, tmp_path_factory, data, memory):
    decoder = make(model, **(memory | {"max_rows": 4}))
    decoder.step(rows_of(model, 50))
    path = tmp_path_factory.getbasetemp() / "forged"
    decoder.save(str(path))
    content = path.read_bytes()
    assert resealed(content) == content
    forged = bytearray(content)
    n_memory = struct.unpack_from("<I", content, 12)[0]
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, struct.unpack_from("<Q", content, 24)[0] - 1))
        value = data.draw(st.sampled_from([-1, 0, 1, 2, 31, 2**31, 2**59, 2**62, -(2**63)]))
        struct.pack_into("<q", forged, HEAD_BYTES + n_memory + 8 * number, value)
    path.write_bytes(resealed(bytes(forged)))
    with suppress(ValueError, RuntimeError):
        decoder.restore(str(path))
        last = decoder.n_regions - 1
        decoder.step_groups([(0, rows_of(model, 9)), (last, rows_of(model, 9))], logits="every")
        decoder.begin_unit()
        decoder.step(rows_of(model, 30))
