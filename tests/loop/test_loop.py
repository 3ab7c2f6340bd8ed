# SPDX-License-Identifier: Apache-2.0
"""The loops that write in turns over a real ring: the streaming law, drafts, definitions."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import (
    Action,
    AlignAtt,
    Decoder,
    DecoderDrafter,
    GgufModel,
    GroupedLoop,
    InterleavedLoop,
    LoopConfig,
    NgramDrafter,
    Policy,
    ReencodedLoop,
    RingDecoder,
    SamplerConfig,
    SilenceThreshold,
    WaitK,
)

SHAPE = TinyShape(n_embd=64, n_ff=64, n_heads=4, n_kv_heads=2, n_vocab=40)
SMALL = TinyShape(n_layers=1, n_embd=32, n_ff=32, n_heads=2, n_kv_heads=1, n_vocab=40)
END, SILENCE = 7, 2
texts = st.lists(st.integers(0, SHAPE.n_vocab - 1), min_size=1, max_size=60)
cuts = st.lists(st.integers(0, 60), max_size=8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, SHAPE, random_weights(SHAPE), "f32")))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    return GgufModel(str(write_gguf(path, SMALL, random_weights(SMALL, seed=1), "f32")))


def ring(model, max_rows=8):
    return RingDecoder(model, n_sinks=3, window=30, kv_type="f32", max_rows=max_rows)


def interleaved(decoder, policy, sampler=None, **options):
    config = LoopConfig(
        unit_rows=2,
        max_tokens_per_unit=6,
        silence=SILENCE,
        end_of_turn=[END, 9],
        sampler=sampler or SamplerConfig(),
    )
    chat = {"prompt": [1, 4, 5], "before_unit": [6], "after_unit": [8], "after_turn": [3]}
    return InterleavedLoop(decoder, policy, config, **chat, **options)


def stream(loop, tokens, at=()):
    """What is written for tokens cut at the places `at`: [(token, units read), ...]"""
    loop.reset()
    written = []
    for piece in np.split(np.asarray(tokens, np.int32), sorted(min(i, len(tokens)) for i in at)):
        ids, _, read = loop.push_tokens(piece.tolist())
        written += zip(ids.tolist(), read.tolist(), strict=True)
    ids, _, read = loop.finish()
    return written + list(zip(ids.tolist(), read.tolist(), strict=True))


def interleaved_by_definition(decoder, tokens, k):
    """Wait-k over a chat of units of two tokens, one row at a time."""
    written, logits = [], None

    def enter(ids):
        nonlocal logits
        for token in ids:
            logits = decoder.step(decoder.token_embedding(token)[None])

    def turn(limit, read, finished):
        """Returns what ends the turn, and whether finish() would go on with it."""
        n = 0
        while n < limit:
            token = int(np.argmax(logits))
            if token in (END, 9):
                return [token, 3], False
            if token == SILENCE:
                return ([END, 3] if n else [SILENCE]), False
            if not finished and read - len(written) < k:
                break
            written.append((token, read))
            enter([token])
            n += 1
        return ([END, 3] if n else [SILENCE]), True

    closing, open_turn = [1, 4, 5], False
    units = [tokens[i : i + 2] for i in range(0, len(tokens), 2)]
    for read, unit in enumerate(units, 1):
        enter([*closing, 6, *unit, 8])
        closing, open_turn = turn(6, read, finished=len(unit) < 2)
    if open_turn:
        turn(256, len(units), finished=True)
    return written


@settings(max_examples=30)
@given(tokens=texts, at=cuts, k=st.integers(0, 4), n_draft=st.integers(0, 7))
def test_interleaved_writes_what_its_definition_says(model, tokens, at, k, n_draft):
    expected = interleaved_by_definition(ring(model), tokens, k)
    drafter = NgramDrafter(min_ngram=1, max_ngram=3, window=100)
    loop = interleaved(ring(model), WaitK(k), n_draft=n_draft, drafter=drafter)
    assert stream(loop, tokens, at) == expected
    assert loop.written == len(expected)
    assert loop.read == (len(tokens) + 1) // 2


@settings(max_examples=15)
@given(tokens=texts, at=cuts, n_draft=st.integers(1, 7), seed=st.integers(0, 9))
def test_a_smaller_decoder_drafts_and_the_tokens_stay_the_same(
    model, small, tokens, at, n_draft, seed
):
    sampler = SamplerConfig(temperature=0.8 * (seed % 2), top_k=10, seed=seed)
    plain = interleaved(ring(model), WaitK(1), sampler)
    for drafting in (small, model):
        drafter = DecoderDrafter(ring(drafting))
        loop = interleaved(ring(model), WaitK(1), sampler, n_draft=n_draft, drafter=drafter)
        assert stream(loop, tokens, at) == stream(plain, tokens)


def test_the_same_weights_guess_right(model):
    loop = InterleavedLoop(ring(model), WaitK(9), n_draft=7, drafter=DecoderDrafter(ring(model)))
    assert len(stream(loop, [3, 1, 4, 1, 5])) == 256
    counts = loop.draft_counts
    assert counts.verified > 0.9 * counts.drafted
    assert counts.batches < 50


def grouped_by_definition(decoder, tokens, k):
    """Wait-k over units of two tokens, one row at a time: an output row enters for good just before
    a token is written behind it, until then it is computed anew over all input that is there."""
    written, newest = [], [5, 6]

    def enter(stream, region, ids):
        for token in ids:
            group = (region, stream.token_embedding(token)[None])
            logits = stream.step_groups([group])[0]
        return logits

    def turn(limit, read, finished):
        """Returns whether finish() would go on with it."""
        nonlocal newest
        for _ in range(limit):
            token = int(np.argmax(enter(decoder.fork(), 1, newest)))
            if token == END:
                enter(decoder, 1, newest)
                newest = [token, 3]
                return False
            if not finished and read - len(written) < k:
                break
            written.append((token, read))
            enter(decoder, 1, newest)
            newest = [token]
        return True

    units = [tokens[i : i + 2] for i in range(0, len(tokens), 2)]
    enter(decoder, 0, [1, 4])
    open_turn = False
    for read, unit in enumerate(units, 1):
        decoder.begin_unit()
        enter(decoder, 0, unit)
        open_turn = turn(3, read, finished=len(unit) < 2)
    if open_turn:
        turn(12, len(units), finished=True)
    return written


LAYOUTS = [
    {"layout": "grouped"},
    {"layout": "grouped", "gap": 1000},
    {"layout": "overlap"},
]


@settings(max_examples=30)
@given(
    tokens=texts,
    at=cuts,
    k=st.integers(0, 4),
    n_draft=st.integers(0, 5),
    layout=st.sampled_from(LAYOUTS),
)
def test_grouped_writes_what_its_definition_says(model, tokens, at, k, n_draft, layout):
    def decoder():
        windows = [("input", 9), ("output", 7)]
        return RingDecoder(
            model, n_sinks=2, window=windows, kv_type="f32", max_rows=8, **layout
        )  # fmt: skip

    config = LoopConfig(
        unit_rows=2, max_tokens_per_unit=3, max_tokens_at_end=12, end_of_turn=[END]
    )  # fmt: skip
    prompts = {"input_prompt": [1, 4], "output_prompt": [5, 6], "after_turn": [3]}
    drafter = NgramDrafter(min_ngram=1, max_ngram=3, window=100)
    loop = GroupedLoop(decoder(), WaitK(k), config, **prompts, n_draft=n_draft, drafter=drafter)
    assert stream(loop, tokens, at) == grouped_by_definition(decoder(), tokens, k)


def test_attention_guides_the_writing(model):
    def loop(**options):
        windows = [("input", 9), ("output", 7)]
        decoder = RingDecoder(model, n_sinks=0, window=windows, layout="grouped", **options)
        config = LoopConfig(max_tokens_per_unit=3)
        return GroupedLoop(decoder, AlignAtt(f=1), config, output_prompt=[5])

    tokens = list(range(30))
    guided = stream(loop(attention_layers=[1]), tokens)
    units = {read for _, read in guided}
    assert 2 < len(units) < 30  # some units were waited with
    with pytest.raises(ValueError, match="attention"):
        stream(loop(), tokens)


@settings(max_examples=15)
@given(tokens=texts, at=cuts, n_draft=st.integers(1, 7), k=st.integers(1, 5))
def test_reencoded_with_a_draft_is_reencoded_without(model, tokens, at, n_draft, k):
    def loop(n_draft):
        decoder = RingDecoder(model, n_sinks=0, window=128, kv_type="f32", max_rows=16)
        return ReencodedLoop(
            decoder, WaitK(k), LoopConfig(max_tokens_per_unit=3, end_of_turn=[END]),
            max_rows=24, keep_rows=16, before_window=[1], after_window=[5, 6], max_hypothesis=8,
            n_draft=n_draft,
        )  # fmt: skip

    drafted, plain = loop(n_draft), loop(0)
    written = stream(plain, tokens)
    assert stream(drafted, tokens, at) == written
    assert drafted.hypothesis == plain.hypothesis
    assert plain.draft_counts.verified == 0
    assert drafted.draft_counts.batches <= plain.draft_counts.batches


def test_rows_are_embeddings_of_tokens(model):
    tokens = [3, 1, 4, 1, 5, 9, 2, 6]
    loop = interleaved(ring(model), WaitK(1))
    expected = stream(loop, tokens)
    loop.reset()
    rows = np.stack([model.token_embedding(t) for t in tokens])
    ids, probabilities, read = (
        np.concatenate(p) for p in zip(loop.push(rows), loop.finish(), strict=True)
    )
    assert list(zip(ids.tolist(), read.tolist(), strict=True)) == expected
    assert ((probabilities > 0) & (probabilities <= 1)).all()
    assert (ids.dtype, probabilities.dtype, read.dtype) == (np.int32, np.float32, np.int64)


def test_a_failed_call_ends_the_stream_until_reset(model):
    loop = interleaved(ring(model), WaitK(0))
    rows = np.full((2, SHAPE.n_embd), np.nan, np.float32)
    with pytest.raises(ValueError, match="holds a number that is not finite"):
        loop.push(rows)
    with pytest.raises(RuntimeError, match="an earlier call failed; reset the stream"):
        loop.finish()
    loop.reset()
    assert len(loop.push_tokens([1, 2])[0]) + len(loop.finish()[0]) > 0


def test_what_does_not_fit_is_refused(model, small):
    decoder = ring(model)
    with pytest.raises(ValueError, match="a token of prompt is 40, must be a token from 0 to 39"):
        InterleavedLoop(decoder, WaitK(0), prompt=[40])
    with pytest.raises(ValueError, match="n_draft is 3 and there is no drafter"):
        InterleavedLoop(decoder, WaitK(0), n_draft=3)
    with pytest.raises(ValueError, match="keep_rows is 9, must be from 1 to max_rows"):
        ReencodedLoop(decoder, WaitK(0), max_rows=8, keep_rows=9)
    with pytest.raises(ValueError, match="temperature is -1"):
        InterleavedLoop(decoder, WaitK(0), LoopConfig(sampler=SamplerConfig(temperature=-1)))
    with pytest.raises(ValueError, match="1 <= min_ngram <= max_ngram < window"):
        NgramDrafter(min_ngram=3, max_ngram=2)
    loop = InterleavedLoop(decoder, WaitK(0))
    with pytest.raises(ValueError, match="got rows of 32 numbers, takes rows of 64"):
        loop.push(np.zeros((1, 32), np.float32))
    with pytest.raises(ValueError, match="an input token is -1"):
        loop.push_tokens([-1])


def test_a_drafter_of_another_vocabulary_is_refused(model, tmp_path):
    shape = TinyShape(n_layers=1, n_embd=32, n_ff=32, n_heads=2, n_kv_heads=1, n_vocab=41)
    path = write_gguf(tmp_path / "other.gguf", shape, random_weights(shape), "f32")
    drafter = DecoderDrafter(ring(GgufModel(str(path))))
    with pytest.raises(ValueError, match="the drafter has 41 tokens, the decoder 40"):
        InterleavedLoop(ring(model), WaitK(0), n_draft=2, drafter=drafter)


@given(st.lists(st.integers(0, SHAPE.n_vocab - 1), min_size=2, max_size=50), st.integers(1, 9))
@settings(max_examples=25)
@pytest.mark.parametrize("k", [0, 1, 3])
@pytest.mark.parametrize("n_draft", [0, 4])
def test_what_is_asked_aside_leaves_no_trace_and_knows_all(model, k, n_draft, tokens, seed):
    """A fork that follows answers as the stream itself would, were it asked there."""
    options = {"n_draft": n_draft, "drafter": NgramDrafter(min_ngram=1)} if n_draft else {}
    decoder = ring(model)
    loop = interleaved(decoder, WaitK(k), **options)
    question = np.random.default_rng(seed).integers(0, SHAPE.n_vocab, 2).tolist()
    written, answers = [], []
    for i in range(0, len(tokens) - 1, 2):
        written += loop.push_tokens(tokens[i : i + 2])[0].tolist()
        loop.settle()
        aside = interleaved(decoder.fork(), WaitK(k))
        aside.follow(loop)
        answers.append(aside.push_tokens(question)[0].tolist())
    written += loop.finish()[0].tolist()
    plain = interleaved(ring(model), WaitK(k))
    assert written == [token for token, _ in stream(plain, tokens[: len(tokens) // 2 * 2])]
    asked = interleaved(ring(model), WaitK(k))
    for i in range(0, len(tokens) - 1, 2):
        asked.push_tokens(tokens[i : i + 2])
    assert asked.push_tokens(question)[0].tolist() == answers[-1]


@given(st.lists(st.integers(0, SHAPE.n_vocab - 1), min_size=1, max_size=50))
@settings(max_examples=25)
@pytest.mark.parametrize("n_draft", [0, 4])
def test_a_loop_goes_on_behind_what_the_decoder_read_without_it(model, n_draft, tokens):
    """As if the loop had read it: its prompt does not enter, and drafters know the text."""
    options = {"n_draft": n_draft, "drafter": NgramDrafter(min_ngram=1)} if n_draft else {}
    decoder = ring(model)
    decoder.step_groups([(0, embedded(decoder, [1, 4, 5, *tokens]))], logits="none")
    loop = interleaved(decoder.fork(), EAGER, **options)
    loop.go_on(tokens)
    written = loop.push_tokens([11, 12])[0].tolist()
    twin = ring(model)
    for token in [1, 4, 5, *tokens, 6, 11, 12, 8]:
        logits = twin.step(twin.token_embedding(token)[None])
    expected = []
    while len(expected) < 6 and (token := int(np.argmax(logits))) not in (END, 9, SILENCE):
        expected.append(token)
        logits = twin.step(twin.token_embedding(token)[None])
    assert written == expected
    assert decoder.pos == 3 + len(tokens)  # the fork left no trace


def test_what_a_loop_goes_on_behind_are_tokens(model):
    with pytest.raises(ValueError, match="a token that was seen is 40"):
        interleaved(ring(model), EAGER).go_on([40])


def test_a_loop_that_has_written_does_not_go_on_elsewhere(model):
    loop = interleaved(ring(model), EAGER)
    random = np.random.default_rng(0)

    def go_on():
        for _ in range(500):
            loop.push_tokens(random.integers(0, SHAPE.n_vocab, 2).tolist())
            loop.go_on([])

    with pytest.raises(ValueError, match="not in the decoder yet"):
        go_on()


def test_a_loop_whose_units_have_their_own_region_does_not_go_on(model):
    decoder = RingDecoder(model, n_sinks=3, window=[("text", 30), ("units", 30)])
    loop = interleaved(decoder, EAGER, input_region=1)
    with pytest.raises(ValueError, match="share a region"):
        loop.go_on([])


@given(st.lists(st.integers(0, SHAPE.n_vocab - 1), min_size=2, max_size=30))
@settings(max_examples=25)
def test_a_loop_that_follows_knows_that_a_word_is_being_written(model, tokens):
    """A limit cut the turn in the middle of a word; the policy is not asked before its end."""
    begins_word = [i % 3 == 0 for i in range(SHAPE.n_vocab)]
    config = LoopConfig(max_tokens_per_unit=1, begins_word=begins_word)

    class Once(Policy):  # the first word of a unit, and no second one
        def decide(self, seen):
            return Action.WRITE if seen.turn == 0 and seen.read == 1 else Action.READ

    decoder, policy = ring(model), Once()
    loop = InterleavedLoop(decoder, policy, config)
    loop.push_tokens(tokens[:1])
    loop.settle()
    other = InterleavedLoop(decoder.fork(), policy, config)
    other.follow(loop)
    for token in tokens[1:]:
        assert loop.push_tokens([token])[0].tolist() == other.push_tokens([token])[0].tolist()


def embedded(decoder, tokens):
    return np.stack([decoder.token_embedding(token) for token in tokens])


def test_a_stream_must_settle_before_it_is_followed(model):
    """A turn that the model ended leaves the rows of its last token open in the decoder."""
    decoder, random = ring(model), np.random.default_rng(0)
    loop = interleaved(decoder, EAGER)

    def go_on():
        for _ in range(500):
            loop.push_tokens(random.integers(0, SHAPE.n_vocab, 2).tolist())
            decoder.fork()

    with pytest.raises(ValueError, match="a proposal of 1 rows is open"):
        go_on()
    with pytest.raises(ValueError, match=r"settle\(\)"):
        interleaved(ring(model), EAGER).follow(loop)
    loop.settle()
    interleaved(decoder.fork(), EAGER).follow(loop)


EAGER = SilenceThreshold(0.5)  # and there is no silence


class Sleepy(Decoder):
    """A tiny decoder whose every call takes a while; it never ends a turn by itself."""

    def __init__(self, step_s):
        super().__init__(n_embd=2, n_vocab=3, max_proposal=1)
        self.step_s = step_s

    def _step(self, rows, logits):
        time.sleep(self.step_s)
        return np.tile(np.float32([0, 1, 0]), (1, 1))

    def _take_back(self, n_rows):
        pass

    def _token_embedding(self, token):
        return np.float32([1, token])

    def _fork(self):
        return Sleepy(self.step_s)

    def _reset(self):
        pass


def n_written(loop, max_tokens, max_ms, n_units=3):
    loop.limit_turns(max_tokens=max_tokens, max_ms=max_ms)
    return [len(loop.push(np.ones((1, 2), np.float32))[0]) for _ in range(n_units)]


def test_a_turn_is_limited_in_tokens_from_the_next_unit_on():
    loop = InterleavedLoop(Sleepy(0), EAGER, LoopConfig(max_tokens_per_unit=9))
    assert n_written(loop, 4, math.inf) == [4, 4, 4]
    assert n_written(loop, 40, math.inf) == [9, 9, 9]
    loop.reset()
    assert n_written(loop, 2, math.inf) == [2, 2, 2]


def test_a_turn_has_one_token_even_with_no_time_left():
    loop = InterleavedLoop(Sleepy(0.002), EAGER, LoopConfig(max_tokens_per_unit=9))
    assert n_written(loop, 9, 0) == [1, 1, 1]


def test_no_token_is_begun_that_would_be_done_too_late():
    """Reading takes 30 ms, and so does each token but the first: at 100 ms two more at most."""
    loop = InterleavedLoop(Sleepy(0.03), EAGER, LoopConfig(max_tokens_per_unit=9))
    assert max(n_written(loop, 9, 100)) <= 3
    assert max(n_written(loop, 9, 60)) <= 2


def test_the_end_of_the_source_is_not_limited():
    loop = InterleavedLoop(Sleepy(0), EAGER, LoopConfig(max_tokens_at_end=7))
    assert n_written(loop, 1, 0) == [1, 1, 1]
    assert len(loop.finish()[0]) == 7


def test_limits_that_are_none_are_refused():
    loop = InterleavedLoop(Sleepy(0), EAGER)
    for max_tokens, max_ms in [(0, 1.0), (1, -1.0), (1, math.nan)]:
        with pytest.raises(ValueError, match="one token and 0 ms"):
            loop.limit_turns(max_tokens=max_tokens, max_ms=max_ms)
