# SPDX-License-Identifier: Apache-2.0
"""Early exit: its float64 definition, the streaming law, and what it must leave alone."""

import numpy as np
import pytest
from float64_exit import Float64Exit
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import (
    GgufModel,
    InterleavedLoop,
    LoopConfig,
    NgramDrafter,
    RingDecoder,
    WaitK,
)
from edgestream.speech.concatenated.model import load

SHAPE = TinyShape(n_layers=4, n_embd=64, n_ff=64, n_heads=4, n_kv_heads=2, n_vocab=40)
MEMORY = {"n_sinks": 3, "window": 20}
BOUND = 1e-4
SOME = 0.45  # about every second row of these random weights is as sure as this
thresholds = st.sampled_from([0.0, 0.3, SOME, 0.7, 1.5])
exit_layers = st.integers(1, SHAPE.n_layers - 1)
cuts = st.lists(st.integers(1, 12), min_size=1, max_size=30)


def weights():
    """Softer attention than a random one: what a row attends to does not hang by rounding."""
    return {
        name: values / 2 if ".attn_q." in name or ".attn_k." in name else values
        for name, values in random_weights(SHAPE).items()
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, SHAPE, weights())))


def rows_of(model, n, seed=0):
    tokens = np.random.default_rng(seed).integers(0, model.n_vocab, n)
    return np.stack([model.token_embedding(int(t)) for t in tokens])


def ring(model, **options):
    return RingDecoder(model, **(MEMORY | {"kv_type": "f32", "max_rows": 8} | options))


def definition(exit_layer, exit_threshold):
    return Float64Exit(
        SHAPE, weights(), **MEMORY, exit_layer=exit_layer, exit_threshold=exit_threshold
    )


def assume_clear(reference):
    """Nothing is said of rows that are as sure as the threshold up to rounding."""
    confidences = np.array(reference.confidences)
    assume(np.abs(confidences - reference.exit_threshold).min() > BOUND)


@settings(max_examples=25)
@given(exit_layer=exit_layers, threshold=thresholds, pieces=cuts, seed=st.integers(0, 99))
def test_any_cutting_is_the_definition(model, exit_layer, threshold, pieces, seed):
    reference = definition(exit_layer, threshold)
    decoder = ring(model, exit_layer=exit_layer, exit_threshold=threshold)
    rows = rows_of(model, sum(pieces), seed)
    for i, piece in enumerate(np.split(rows, np.cumsum(pieces)[:-1])):
        wanted = np.stack([reference.step(row[None]) for row in piece])
        assume_clear(reference)
        asked = ("none", "last", "every")[i % 3]
        ours = decoder.step_groups([(0, piece)], logits=asked)
        expected = {"none": wanted[:0], "last": wanted[-1:], "every": wanted}[asked]
        np.testing.assert_allclose(ours, expected, atol=BOUND)
        assert decoder.n_exits == reference.n_exits


def test_some_rows_exit_and_some_do_not(model):
    rows = rows_of(model, 200)
    decoder = ring(model, exit_layer=2, exit_threshold=SOME)
    decoder.step(rows)
    assert 40 < decoder.n_exits < 160
    decoder.reset()
    assert decoder.n_exits == 0


def test_a_threshold_above_one_is_the_decoder_without_exit_to_the_bit(model):
    rows = rows_of(model, 120)
    plain, never = ring(model), ring(model, exit_layer=2, exit_threshold=1.5)
    for n in (1, 1, 8, 5, 3, 30, 1, 71):
        piece, rows = rows[:n], rows[n:]
        theirs = plain.step_groups([(0, piece)], logits="every")
        np.testing.assert_array_equal(never.step_groups([(0, piece)], logits="every"), theirs)
    assert never.n_exits == 0


def test_with_threshold_zero_every_row_exits_and_no_later_layer_counts(model, tmp_path):
    rows = rows_of(model, 60)
    decoder = ring(model, exit_layer=2, exit_threshold=0.0)
    cut_off = TinyShape(**{**SHAPE.__dict__, "n_layers": 2})
    kept = {n: w for n, w in weights().items() if not n.startswith(("blk.2.", "blk.3."))}
    front = ring(GgufModel(str(write_gguf(tmp_path / "front.gguf", cut_off, kept))))
    for row in rows:
        np.testing.assert_array_equal(decoder.step(row[None]), front.step(row[None]))
    assert decoder.n_exits == len(rows)


def test_the_comparison_notices_keys_that_were_not_written(model):
    """Without the fill, rows that go on would see stale keys of those that exited."""
    reference = definition(2, SOME)
    forgetful = definition(2, SOME)
    remember = forgetful._remember

    def forget(x, i):
        # In the layers behind the exit every second row leaves what the row before it left.
        old = forgetful.keys[i]
        if i >= 2 and len(old) % 2:
            old.append(old[-1])
            forgetful.values[i].append(forgetful.values[i][-1])
        else:
            remember(x, i)

    forgetful._remember = forget
    rows = rows_of(model, 30)
    off = [np.abs(reference.step(r[None]) - forgetful.step(r[None])).max() for r in rows]
    assert max(off) > 100 * BOUND


@settings(max_examples=15)
@given(exit_layer=exit_layers, seed=st.integers(0, 99), n_kept=st.lists(st.integers(0, 6)))
def test_proposals_are_taken_back_with_their_exits(model, exit_layer, seed, n_kept):
    reference = definition(exit_layer, SOME)
    decoder = ring(model, exit_layer=exit_layer, exit_threshold=SOME)
    for i, n in enumerate(n_kept):
        proposed = rows_of(model, 6, seed + i)
        decoder.propose([(0, proposed)])
        decoder.keep(n)
        for row in proposed[:n]:
            reference.step(row[None])
        last = rows_of(model, 1, seed + 1000 + i)
        expected = reference.step(last)
        assume_clear(reference)
        np.testing.assert_allclose(decoder.step(last), expected, atol=BOUND)
        assert decoder.n_exits == reference.n_exits


def test_forks_and_saved_states_go_on_with_the_same_rule(model, tmp_path):
    decoder = ring(model, exit_layer=2, exit_threshold=SOME)
    decoder.step(rows_of(model, 50))
    fork = decoder.fork()
    assert fork.n_exits == decoder.n_exits > 0
    decoder.save(str(tmp_path / "state"))
    other = ring(model, exit_layer=2, exit_threshold=SOME)
    other.restore(str(tmp_path / "state"))
    assert other.n_exits == 0
    for row in rows_of(model, 30, seed=5):
        expected = decoder.step(row[None])
        np.testing.assert_array_equal(fork.step(row[None]), expected)
        np.testing.assert_array_equal(other.step(row[None]), expected)
    for differs in ({}, {"exit_layer": 1}, {"exit_layer": 2, "exit_threshold": 0.9}):
        with pytest.raises(ValueError, match=r"is of another memory: .*exit after layer 2"):
            ring(model, **differs).restore(str(tmp_path / "state"))


@pytest.mark.parametrize("layout", ["one-clock", "grouped", "overlap"])
def test_every_layout_exits_the_same_for_any_cutting(model, layout):
    options = {
        "window": [("input", 9), ("output", 6)], "layout": layout,
        "exit_layer": 2, "exit_threshold": SOME,
    }  # fmt: skip
    whole, single = ring(model, **options), ring(model, **options)
    for i in range(20):
        groups = [(0, rows_of(model, 3, 2 * i)), (i % 2, rows_of(model, 2, 2 * i + 1))]
        together = whole.step_groups(groups, logits="every")
        one_by_one = [
            single.step_groups([(region, row[None])])[0] for region, rows in groups for row in rows
        ]
        np.testing.assert_allclose(together, one_by_one, atol=BOUND)
    assert whole.n_exits == single.n_exits > 0


def test_a_loop_with_drafts_writes_what_it_writes_without(model):
    def written(**options):
        decoder = ring(model, exit_layer=2, exit_threshold=SOME)
        config = LoopConfig(max_tokens_at_end=60)
        loop = InterleavedLoop(decoder, WaitK(9), config, **options)
        loop.push_tokens([3, 1, 4, 1, 5])
        return loop.finish()[0].tolist(), decoder.n_exits

    drafter = NgramDrafter(min_ngram=1, max_ngram=3, window=100)
    assert written(n_draft=5, drafter=drafter) == written()
    assert written()[1] > 0


def test_attention_is_captured_before_the_exit_as_without_one(model):
    plain = ring(model, attention_layers=[0, 1])
    exits = ring(model, attention_layers=[0, 1], exit_layer=2, exit_threshold=1.5)
    for row in rows_of(model, 30):
        plain.step(row[None])
        exits.step(row[None])
        np.testing.assert_array_equal(exits.attention(0), plain.attention(0))
    seen = exits.attention(0)
    exits.step_groups([(0, rows_of(model, 1, 7))], logits="none")
    np.testing.assert_array_equal(exits.attention(0), seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exit_layer": 4}, "exit_layer is 4, must be 0 .* to 3: .* this model has 4"),
        ({"exit_layer": -1}, "exit_layer is -1, must be 0"),
        ({"exit_layer": 1, "exit_threshold": -0.5}, "exit_threshold is a probability"),
        ({"exit_layer": 1, "exit_threshold": float("nan")}, "exit_threshold is a probability"),
        ({"exit_layer": 2, "attention_layers": [1, 2]}, "before the exit only, from 0 to 1"),
        ({"exit_layer": 2, "retention": "merge"}, "with the retention 'merge' .* no exit_layer"),
    ],
)
def test_what_cannot_be_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message) as error:
        ring(model, **options)
    assert "\n" not in str(error.value)


def test_the_default_model_writes_the_same_when_no_row_exits():
    model = load("synthetic-en")
    memory = model.manifest.decoder
    rows = np.random.default_rng(3).standard_normal((200, model.decoder.n_embd)).astype(np.float32)

    def written(**options):
        decoder = RingDecoder(
            model.decoder, n_sinks=memory.n_sinks, window=memory.window, max_rows=1, **options
        )
        tokens, _, _ = model.loop(WaitK(0), 6, decoder=decoder).push(rows)
        return tokens.tolist(), decoder.n_exits

    plain = model.loop(WaitK(0), 6).push(rows)[0].tolist()
    assert written() == (plain, 0)
    assert written(exit_layer=3, exit_threshold=1.5) == (plain, 0)
    assert written(exit_layer=3, exit_threshold=0.0)[1] >= len(rows)
