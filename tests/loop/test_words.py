# SPDX-License-Identifier: Apache-2.0
"""Loops that know which tokens begin words: policies are asked of words, and count them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import (
    GgufModel,
    GroupedLoop,
    InterleavedLoop,
    LocalAgreement,
    LoopConfig,
    ReencodedLoop,
    RingDecoder,
    WaitK,
)
from edgestream.policy import Action, Policy

SHAPE = TinyShape(n_embd=64, n_ff=64, n_heads=4, n_kv_heads=2, n_vocab=40)
BEGINS = [token % 3 == 0 for token in range(SHAPE.n_vocab)]
END = 7
inputs = st.lists(st.integers(0, SHAPE.n_vocab - 1), min_size=1, max_size=14)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, SHAPE, random_weights(SHAPE))))


def config(begins=BEGINS):
    return LoopConfig(max_tokens_per_unit=9, end_of_turn=[END], begins_word=begins)


def loops(model, policy, begins=BEGINS):
    yield InterleavedLoop(RingDecoder(model, n_sinks=2, window=60), policy, config(begins))
    regions = RingDecoder(
        model, n_sinks=2, window=[("input", 30), ("output", 30)], layout="grouped"
    )
    yield GroupedLoop(regions, policy, config(begins), output_prompt=[1], input_prompt=[2, 3])
    again = RingDecoder(model, n_sinks=2, window=120)
    yield ReencodedLoop(
        again, policy, config(begins), max_rows=30, keep_rows=20, after_window=[1, 2],
        max_hypothesis=12, n_draft=3,
    )  # fmt: skip


class Asked(Policy):
    """Writes always, and remembers the counts that it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def decide(self, seen):
        self.seen.append((seen.read, seen.written))
        return Action.WRITE


def n_words(tokens):
    return sum(i == 0 or BEGINS[token] for i, token in enumerate(tokens))


@settings(max_examples=20, deadline=None)
@given(tokens=inputs)
def test_a_policy_is_asked_once_for_a_word(model, tokens):
    asked = Asked()
    for loop in loops(model, asked):
        asked.seen.clear()
        written = loop.push_tokens(tokens)[0].tolist()
        assert loop.written == n_words(written)
        counts = [n for _, n in asked.seen]
        assert counts == sorted(counts)
        assert len(asked.seen) <= n_words(written) + len(tokens)  # a turn may go on with a word


@settings(max_examples=20, deadline=None)
@given(tokens=inputs, k=st.integers(1, 4))
def test_wait_k_lags_words_and_writes_whole_ones(model, tokens, k):
    for loop in loops(model, WaitK(k)):
        written = []
        for read, token in enumerate(tokens, 1):
            before = len(written)
            written += loop.push_tokens([token])[0].tolist()
            words = n_words(written)
            if read < k:
                assert not written
            elif len(written) > before:
                assert words <= max(n_words(written[:before]), read - k + 1)


def test_without_words_each_token_counts(model):
    for loop in loops(model, WaitK(2), begins=[]):
        written = loop.push_tokens(list(range(8)))[0]
        assert loop.written == len(written)


def test_hypotheses_agree_in_whole_words(model):
    """Of what two hypotheses share the last word counts where it ends in both."""
    *_, loop = loops(model, LocalAgreement())
    before, n_committed = [], 0
    for token in np.random.default_rng(3).integers(0, SHAPE.n_vocab, 40):
        written = loop.push_tokens([int(token)])[0].tolist()
        now = [*written, *loop.hypothesis]
        shared = [a for a, b in zip(before, now, strict=False)]
        n = next(
            (i for i, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), len(shared)
        )
        whole = [
            i for i in range(n + 1)
            if all(i == len(side) or BEGINS[side[i]] for side in (before, now))
        ]  # fmt: skip
        assert len(written) == max(whole, default=0)
        n_committed += len(written)
        before = list(loop.hypothesis)
    assert n_committed > 5


@pytest.mark.parametrize("begins", [[True], [False] * (SHAPE.n_vocab + 1)])
def test_each_token_is_told_of(model, begins):
    with pytest.raises(ValueError, match="begins_word: its length"):
        next(loops(model, WaitK(1), begins))
