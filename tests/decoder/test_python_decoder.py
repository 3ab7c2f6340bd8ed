# SPDX-License-Identifier: Apache-2.0
"""A decoder written in Python behind the native interface: rules of the calls, errors, forks."""

import gc
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream._native import ConcatenatedLoop, Decoder, Policy, SpecialTokens, WaitK

N_EMBD, N_VOCAB = 6, 9
TABLE = np.random.default_rng(0).standard_normal((N_VOCAB, N_EMBD)).astype(np.float32)


class Remembering(Decoder):
    """Logits are the sum of all rows so far times the embeddings: every row and its order count."""

    def __init__(self, max_proposal=8):
        super().__init__(n_embd=N_EMBD, n_vocab=N_VOCAB, max_proposal=max_proposal)
        self.rows, self.addresses = [], []

    def _step(self, rows, logits):
        given = []
        for together in rows:
            assert not together.flags.writeable
            self.addresses.append(together.ctypes.data)
            for row in together:
                self.rows.append(row.copy())
                given.append(self.result())
        n = {"none": 0, "last": 1, "every": len(given)}[logits]
        return np.array(given[len(given) - n :], np.float32).reshape(n, N_VOCAB)

    def result(self):
        weights = np.arange(1, len(self.rows) + 1)
        return (TABLE @ (weights @ np.array(self.rows)) / len(self.rows)).astype(np.float32)

    def _take_back(self, n_rows):
        del self.rows[-n_rows:]

    def _token_embedding(self, token):
        return TABLE[token]

    def _fork(self):
        other = Remembering(self.max_proposal)
        other.rows = list(self.rows)
        return other

    def _reset(self):
        self.rows.clear()


def rows_of(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, N_EMBD)).astype(np.float32)


def test_steps_go_to_python_and_back():
    decoder, rows = Remembering(), rows_of(5)
    assert (decoder.n_embd, decoder.n_vocab, decoder.n_regions) == (N_EMBD, N_VOCAB, 1)
    last = decoder.step(rows)
    assert decoder.addresses == [rows.ctypes.data], "the rows were copied"
    np.testing.assert_array_equal(last, decoder.result())
    assert decoder.pos == 5
    every = decoder.step_groups([(0, rows[:2]), (0, rows[2:])], logits="every")
    assert every.shape == (5, N_VOCAB)
    np.testing.assert_array_equal(every[-1], decoder.result())
    assert decoder.step_groups([(0, rows)], logits="none").shape == (0, N_VOCAB)
    assert decoder.attention(0).shape == (0,)
    np.testing.assert_array_equal(decoder.token_embedding(3), TABLE[3])
    decoder.reset()
    assert (decoder.pos, decoder.rows) == (0, [])


@given(
    proposals=st.lists(
        st.tuples(st.integers(1, 8), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12
    )
)
def test_what_is_kept_of_proposals_is_the_stream(proposals):
    decoder, plain = Remembering(), Remembering()
    for i, (n_rows, share, first_share) in enumerate(proposals):
        rows, kept = rows_of(n_rows, i), round(share * n_rows)
        before = decoder.pos
        parts = np.split(rows, [round(first_share * n_rows)])  # proposed by and by
        logits = np.concatenate([decoder.propose([(0, part)]) for part in parts if len(part)])
        assert decoder.pos == before
        decoder.keep(kept)
        assert decoder.pos == before + kept
        if kept:
            expected = plain.step_groups([(0, rows[:kept])], logits="every")
            np.testing.assert_array_equal(logits[:kept], expected)
    np.testing.assert_array_equal(decoder.step(rows_of(1)), plain.step(rows_of(1)))


def test_calls_that_do_not_fit_are_refused():
    decoder, rows = Remembering(), rows_of(9)
    with pytest.raises(ValueError, match="a proposal of 9 rows, this decoder takes up to 8"):
        decoder.propose([(0, rows)])
    with pytest.raises(ValueError, match="there is no region 1; this decoder has 1"):
        decoder.step_groups([(1, rows)])
    with pytest.raises(ValueError, match="row 0 of the step holds a number that is not finite"):
        decoder.step(np.full((1, N_EMBD), np.nan, np.float32))
    with pytest.raises(ValueError, match="there is no token 9; this model has 9"):
        decoder.token_embedding(9)
    decoder.propose([(0, rows[:3])])
    with pytest.raises(ValueError, match="a proposal of 12 rows, this decoder takes up to 8"):
        decoder.propose([(0, rows)])
    for call in (decoder.fork, lambda: decoder.step(rows)):
        with pytest.raises(ValueError, match="a proposal of 3 rows is open"):
            call()
    with pytest.raises(ValueError, match="cannot keep 4 rows of an open proposal of 3"):
        decoder.keep(4)
    with pytest.raises(ValueError, match="must be 1 or more"):
        Remembering(0)


def test_a_fork_is_of_the_same_class_and_goes_its_own_way():
    decoder = Remembering()
    decoder.step(rows_of(4))
    other = decoder.fork()
    assert isinstance(other, Remembering)
    assert other.pos == 4
    np.testing.assert_array_equal(other.step(rows_of(2)), decoder.step(rows_of(2)))
    other.step(rows_of(1, 5))
    assert (other.pos, decoder.pos) == (7, 6)


def loop_over(decoder, deferrals=0):
    special = SpecialTokens(pad=0, bos=5, delay_0=6, n_text=5)
    return ConcatenatedLoop(
        decoder, WaitK(1), special, delay_frames=1, pad_bias=0.0, deferrals=deferrals
    )


class Failing(Remembering):
    """Fails at a row, as one's own code does."""

    def _step(self, rows, logits):
        if len(self.rows) >= 6:
            raise LookupError("the seventh row")
        return super()._step(rows, logits)


def test_an_exception_travels_through_the_loop_and_reset_mends_it():
    decoder = Failing()
    loop = loop_over(decoder)
    with pytest.raises(LookupError, match="the seventh row"):
        loop.push(rows_of(20))
    with pytest.raises(RuntimeError, match="an earlier step failed; reset the stream"):
        decoder.step(rows_of(1))
    loop.reset()
    assert len(loop.push(rows_of(4))[0]) == 4


def test_a_call_inside_a_call_is_refused():
    class Nosy(Policy):
        def decide(self, seen):
            loop.push(rows_of(1))

    special = SpecialTokens(pad=0, bos=5, delay_0=6, n_text=5)
    loop = ConcatenatedLoop(Remembering(), Nosy(), special, delay_frames=1, pad_bias=1000.0)
    with pytest.raises(RuntimeError, match="loop: an earlier call is not done yet"):
        loop.push(rows_of(3))
    with pytest.raises(RuntimeError, match="loop: an earlier call failed; reset the stream"):
        loop.push(rows_of(1))


@pytest.mark.parametrize(
    "result",
    [
        None,
        np.zeros((1, 3), np.float32),
        np.zeros((2, N_VOCAB), np.float32),
        np.zeros((1, N_VOCAB)),
    ],
)
def test_a_result_of_another_shape_is_refused(result):
    decoder = Remembering()
    decoder._step = lambda rows, logits: result
    with pytest.raises(RuntimeError, match=r"_step\(\) must return float32 \[1, 9\]"):
        decoder.step(rows_of(1))


def test_logits_that_are_not_finite_are_refused():
    decoder = Remembering()
    decoder._step = lambda rows, logits: np.full((1, N_VOCAB), np.nan, np.float32)
    with pytest.raises(RuntimeError, match="the logits are not finite"):
        decoder.step(rows_of(1))


@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=12), deferrals=st.integers(0, 1))
def test_any_cutting_gives_the_tokens_of_the_whole(cuts, deferrals):
    rows = rows_of(sum(cuts))
    whole = loop_over(Remembering(), deferrals).push(rows)
    loop, parts = loop_over(Remembering(), deferrals), []
    for end, n in zip(np.cumsum(cuts), cuts, strict=True):
        parts.append(loop.push(rows[end - n : end]))
    for i in range(3):
        np.testing.assert_array_equal(np.concatenate([part[i] for part in parts]), whole[i])


def test_loops_in_threads_take_turns():
    rows, results = rows_of(200), [None] * 3
    expected = loop_over(Remembering(), 1).push(rows)[0]

    def work(i):
        results[i] = loop_over(Remembering(), 1).push(rows)[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_the_loop_keeps_the_decoder_and_lets_it_go():
    decoder = Remembering()
    gone = weakref.ref(decoder)
    loop = loop_over(decoder, 1)
    del decoder
    gc.collect()
    assert gone() is not None
    assert len(loop.push(rows_of(5))[0]) >= 3
    del loop
    gc.collect()
    assert gone() is None
