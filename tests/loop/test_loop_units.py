# SPDX-License-Identifier: Apache-2.0
"""Loops that read whole units of any length, pictures say: sinks of text, places on axes, cuts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import (
    GgufModel,
    GroupedLoop,
    InterleavedLoop,
    LoopConfig,
    NgramDrafter,
    RingDecoder,
    SilenceThreshold,
)

ALWAYS = SilenceThreshold(1.0)  # there is no silence
END, PROMPT, ANSWER, BEHIND = 7, [1, 4, 5], [8], [3]
SHAPES = {
    "one axis": TinyShape(n_embd=64, n_ff=64, n_heads=4, n_kv_heads=2, n_vocab=40),
    "three axes": TinyShape(
        architecture="qwen2vl", n_embd=64, n_ff=64, n_heads=1, n_kv_heads=1, n_vocab=40
    ),
}
REGIONS = [("sink", 9), ("text", 12), ("vision", 20)]
units = st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=9), min_size=1, max_size=12)


@pytest.fixture(scope="module", params=list(SHAPES))
def model(request, tmp_path_factory):
    shape = SHAPES[request.param]
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, shape, random_weights(shape))))


def rows_of(model, tokens):
    return np.stack([model.token_embedding(int(t)) for t in tokens])


def unit_of(model, tokens):
    """Rows of a unit and, where a model has axes, places: three to a line."""
    places = [(0, i // 3, i % 3) for i in range(len(tokens))]
    has_axes = model.metadata("general.architecture") == "qwen2vl"
    return rows_of(model, tokens), np.array(places, np.int32) if has_axes else None


def ring(model, layout="one-clock", regions=REGIONS, n_sinks=0):
    return RingDecoder(
        model, n_sinks=n_sinks, window=regions, layout=layout, kv_type="f32", max_rows=8
    )


def interleaved(model, max_tokens=6, n_draft=0):
    config = LoopConfig(max_tokens_per_unit=max_tokens, end_of_turn=[END])
    return InterleavedLoop(
        ring(model), ALWAYS, config, prompt=PROMPT, after_unit=ANSWER, after_turn=BEHIND,
        input_region=2, output_region=1, attention_sink_region=0, n_sinks=9, n_draft=n_draft,
        drafter=NgramDrafter(min_ngram=1, max_ngram=3, window=100) if n_draft else None,
    )  # fmt: skip


def by_definition(model, given_units, max_tokens=6):
    """The same row by row: text fills the sink, then its window; pictures have theirs."""
    decoder, written, n_text, closing = ring(model), [], 0, PROMPT
    logits = None

    def enter_text(tokens):
        nonlocal n_text, logits
        for token in tokens:
            logits = decoder.step_groups([(int(n_text >= 9), rows_of(model, [token]))])[-1]
            n_text += 1

    for read, tokens in enumerate(given_units, 1):
        decoder.begin_unit()
        enter_text(closing)
        rows, axes = unit_of(model, tokens)
        decoder.step_groups([(2, rows) if axes is None else (2, rows, axes)])
        enter_text(ANSWER)
        closing = [END, *BEHIND]
        for n in range(max_tokens):
            token = int(np.argmax(logits))
            if token == END:
                break
            written.append((token, read))
            if n + 1 < max_tokens:
                enter_text([token])
            else:  # it enters with the next unit
                closing = [token, *closing]
    return written


def stream(loop, model, given_units):
    written = []
    for tokens in given_units:
        ids, _, read = loop.push_unit(*unit_of(model, tokens))
        written += zip(ids.tolist(), read.tolist(), strict=True)
    return written


@settings(max_examples=25)
@given(given_units=units)
def test_units_of_any_length_write_what_the_definition_says(model, given_units):
    loop = interleaved(model)
    assert stream(loop, model, given_units) == by_definition(model, given_units)
    loop.reset()
    assert stream(loop, model, given_units) == by_definition(model, given_units)


@settings(max_examples=10)
@given(given_units=units)
def test_drafts_never_overfill_the_sink(model, given_units):
    """A draft that might not fit goes to the window, so text there differs; nothing is lost."""
    loop = interleaved(model, n_draft=3)
    written = stream(loop, model, given_units)
    assert len(written) == loop.written
    assert loop.read == len(given_units)


@settings(max_examples=15)
@given(given_units=st.lists(st.lists(st.integers(0, 39), min_size=3, max_size=3), min_size=1))
def test_units_pushed_whole_are_units_pushed_in_rows(model, given_units):
    config = LoopConfig(unit_rows=3, max_tokens_per_unit=4, end_of_turn=[END])
    regions = [("vision", 20), ("text", 12)]

    def grouped():
        decoder = ring(model, "grouped", regions)
        return GroupedLoop(decoder, ALWAYS, config, output_prompt=ANSWER, after_turn=BEHIND)

    whole, in_rows, expected = grouped(), grouped(), []
    for tokens in given_units:
        ids, _, _ = in_rows.push(rows_of(model, tokens))
        expected += ids.tolist()
    got = [t for u in given_units for t in whole.push_unit(rows_of(model, u))[0].tolist()]
    assert got == expected


def test_a_turn_that_a_limit_stopped_is_open_until_it_is_cut(model):
    for make in (lambda: interleaved(model, max_tokens=1), lambda: grouped_once(model)):
        loop = make()
        assert not loop.cut_off
        opened = 0
        for i in range(12):
            ids, _, _ = loop.push_unit(*unit_of(model, [i, i + 1]))
            assert loop.cut_off == (len(ids) == 1)
            opened += loop.cut_off
            loop.cut_turn()
            assert not loop.cut_off
        assert opened > 3


def grouped_once(model):
    config = LoopConfig(max_tokens_per_unit=1, end_of_turn=[END])
    decoder = ring(model, "grouped", [("vision", 20), ("text", 12)])
    return GroupedLoop(decoder, ALWAYS, config, output_prompt=ANSWER, after_turn=BEHIND)


def test_a_cut_turn_is_over_for_the_model_too(model):
    """What comes after a cut is what comes after the model's own end, not the sentence's rest."""
    cut, kept = grouped_once(model), grouped_once(model)
    first = [loop.push_unit(*unit_of(model, [2, 9]))[0].tolist() for loop in (cut, kept)]
    assert first[0] == first[1]
    assert len(first[0]) == 1
    cut.cut_turn()
    rest = [
        [loop.push_unit(*unit_of(model, [i, 9]))[0].tolist() for i in range(10)]
        for loop in (cut, kept)
    ]
    assert rest[0] != rest[1]


def test_units_that_cannot_be_taken_are_refused(model):
    loop = interleaved(model)
    with pytest.raises(ValueError, match="got a unit of 0 numbers, takes rows of 64"):
        loop.push_unit(np.zeros((0, 64), np.float32))
    with pytest.raises(ValueError, match="got rows of 32 numbers, takes rows of 64"):
        loop.push_unit(np.zeros((2, 32), np.float32))
    config = LoopConfig(unit_rows=3)
    waiting = InterleavedLoop(ring(model, regions=[("all", 8)]), ALWAYS, config)
    waiting.push(rows_of(model, [1, 2]))
    with pytest.raises(ValueError, match="2 rows wait for their unit; push its rest first"):
        waiting.push_unit(rows_of(model, [1]))
    with pytest.raises(ValueError, match="there is no region 3"):
        InterleavedLoop(ring(model), ALWAYS, config, attention_sink_region=3)


@settings(max_examples=10)
@given(given_units=units)
def test_a_unit_and_the_newest_word_in_one_batch_are_what_they_are_in_two(model, given_units):
    """A decoder that computes few rows at once takes a unit with axes alone, before the word."""
    config = LoopConfig(max_tokens_per_unit=3, end_of_turn=[END])
    regions = [("vision", 20), ("text", 12)]
    written = []
    for max_rows in (2, 16):
        decoder = RingDecoder(
            model, n_sinks=0, window=regions, layout="grouped", kv_type="f32", max_rows=max_rows
        )
        loop = GroupedLoop(decoder, ALWAYS, config, output_prompt=ANSWER)
        written.append(stream(loop, model, given_units))
    assert written[0] == written[1]
