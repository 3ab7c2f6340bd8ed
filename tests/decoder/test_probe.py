# SPDX-License-Identifier: Apache-2.0
"""Branches behind one past: each is what a fork of its own would say, and none leaves a trace."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

SHAPE = TinyShape(n_embd=64, n_ff=64, n_heads=4, n_kv_heads=2, n_vocab=40)
MEMORIES = [
    {"window": 9},
    {"window": 3},  # a branch is longer than that
    {"window": [("input", 9), ("output", 6)], "layout": "one-clock"},
    {"window": [("input", 9), ("output", 6)], "layout": "grouped"},
    {"window": [("input", 9), ("output", 6)], "layout": "grouped", "gap": 500},
    {"window": [("input", 9), ("output", 6)], "layout": "overlap"},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, SHAPE, random_weights(SHAPE))))


def rows_of(model, n, seed=0):
    tokens = np.random.default_rng(seed).integers(0, model.n_vocab, n)
    rows = [model.token_embedding(int(t)) for t in tokens]
    return np.stack(rows) if rows else np.zeros((0, model.n_embd), np.float32)


def make(model, **options):
    return RingDecoder(model, **({"n_sinks": 2, "kv_type": "f32", "max_rows": 8} | options))


def on_forks(decoder, branches, trunk, region):
    """The definition: each branch is asked on a fork of its own."""
    logits = []
    for branch in branches:
        groups = [(region, rows) for rows in (trunk, branch) if len(rows)]
        logits.append(decoder.fork().step_groups(groups))
    return np.concatenate(logits)


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("memory", MEMORIES, ids=str)
@pytest.mark.parametrize("n_sinks", [0, 2])
def test_each_branch_is_what_a_fork_of_its_own_says(model, memory, n_sinks, data):
    """Over wraps of the window, in batches of any size; and later logits are equal to the bit."""
    options = memory | {"n_sinks": n_sinks, "rebase_rows": 40}
    probed, plain = make(model, **options), make(model, **options)
    for seed in range(data.draw(st.integers(1, 12))):
        region = seed % probed.n_regions if seed else 0
        rows = rows_of(model, data.draw(st.integers(n_sinks or 1, 7)), seed)
        if data.draw(st.booleans()):
            n_trunk = data.draw(st.integers(0, 5))
            lengths = data.draw(st.lists(st.integers(1, 8 - n_trunk), min_size=1, max_size=5))
            if probed.pos >= n_sinks:
                trunk = rows_of(model, n_trunk, 100)
                branches = [rows_of(model, n, 200 + i) for i, n in enumerate(lengths)]
                of = data.draw(st.integers(0, probed.n_regions - 1))
                ours = probed.probe(branches, trunk if n_trunk else None, of)
                theirs = on_forks(plain, branches, trunk, of)
                np.testing.assert_allclose(ours, theirs, atol=2e-4)
        np.testing.assert_array_equal(
            probed.step_groups([(region, rows)]), plain.step_groups([(region, rows)])
        )
        assert probed.pos == plain.pos
        if data.draw(st.booleans()):
            probed.begin_unit()
            plain.begin_unit()


def test_every_row_says_what_it_says_as_the_last(model):
    decoder = make(model, window=9)
    decoder.step(rows_of(model, 30))
    branches, trunk = [rows_of(model, n, n) for n in (3, 1, 4)], rows_of(model, 4, 50)
    ours = decoder.probe(branches, trunk, logits="every")
    parts = [trunk] + [np.concatenate([trunk, b[: i + 1]]) for b in branches for i in range(len(b))]
    np.testing.assert_allclose(ours, on_forks(decoder, parts, [], 0), atol=2e-4)
    alone = decoder.probe(branches, logits="every")
    assert alone.shape == (8, model.n_vocab)
    with pytest.raises(ValueError, match=r"logits of .none. rows .* known: last, every"):
        decoder.probe(branches, logits="none")


def test_other_branches_change_nothing(model):
    """Alone or between others a branch says the same to the bit, where its rows are computed in
    steps of the same length."""
    decoder = make(model, window=20)
    decoder.step(rows_of(model, 30))
    branches = [rows_of(model, 2, seed) for seed in range(8)]
    together = decoder.probe(branches[:4])
    swapped = decoder.probe([branches[0], *branches[5:]])
    np.testing.assert_array_equal(together[0], swapped[0])
    assert np.abs(together[1:] - swapped[1:]).max() > 0.1


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_a_probe_leaves_no_trace_in_a_saved_stream(tmp_path, kv_type):
    shape = TinyShape()
    model = GgufModel(str(write_gguf(tmp_path / "tiny.gguf", shape, random_weights(shape))))
    probed, plain = (make(model, window=20, kv_type=kv_type, attention_layers=[1]) for _ in "ab")
    for decoder in (probed, plain):
        decoder.step(rows_of(model, 50))
    attention = probed.attention(0)
    probed.probe([rows_of(model, 3, 7), rows_of(model, 4, 8)], rows_of(model, 2, 9))
    np.testing.assert_array_equal(probed.attention(0), attention)
    probed.save(str(tmp_path / "state"))
    restored = make(model, window=20, kv_type=kv_type, attention_layers=[1])
    restored.restore(str(tmp_path / "state"))
    for seed in range(30):
        row = rows_of(model, 1, seed)
        expected = plain.step(row)
        np.testing.assert_array_equal(probed.step(row), expected)
        np.testing.assert_array_equal(restored.step(row), expected)


def test_rows_that_exit_early_are_not_counted(model):
    exits = {"window": 20, "exit_layer": 1, "exit_threshold": 0.2}
    probed, plain = make(model, **exits), make(model, **exits)
    for decoder in (probed, plain):
        decoder.step(rows_of(model, 30))
    branches = [rows_of(model, n, n) for n in (1, 2, 3)]
    trunk = rows_of(model, 2, 50)
    ours = probed.probe(branches, trunk)
    np.testing.assert_allclose(ours, on_forks(plain, branches, trunk, 0), atol=2e-4)
    assert probed.n_exits == plain.n_exits
    np.testing.assert_array_equal(probed.step(branches[1]), plain.step(branches[1]))


@pytest.mark.parametrize(
    ("memory", "n_before", "lengths", "n_trunk", "region", "message"),
    [
        ({}, 5, [], 0, 0, "a probe of no branches"),
        ({}, 5, [4, 6], 3, 0, r"a branch of 9 rows, with the 3 that it shares; .* up to 8"),
        ({}, 5, [0], 0, 0, "a step takes one or more rows"),
        ({}, 1, [3], 0, 0, "needs all 2 attention sinks, 1 have come"),
        ({}, 5, [3], 0, 1, "there is no region 1"),
        ({"retention": "merge"}, 5, [3], 0, 0, "needs the retention 'window', not 'merge'"),
    ],
)
def test_a_probe_that_cannot_be_is_refused(
    model, memory, n_before, lengths, n_trunk, region, message
):
    decoder = make(model, window=60, **memory)
    decoder.step(rows_of(model, n_before))
    trunk = rows_of(model, n_trunk) if n_trunk else None
    with pytest.raises(ValueError, match=message):
        decoder.probe([rows_of(model, n) for n in lengths], trunk, region)
    decoder.step(rows_of(model, 1))
    assert decoder.pos == n_before + 1


def test_an_open_proposal_comes_first(model):
    decoder = make(model, window=30)
    decoder.step(rows_of(model, 5))
    decoder.propose([(0, rows_of(model, 2))])
    with pytest.raises(ValueError, match="a proposal of 2 rows is open"):
        decoder.probe([rows_of(model, 1)])
