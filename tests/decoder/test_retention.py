# SPDX-License-Identifier: Apache-2.0
"""Rows that leave by attention, or are merged, against float64 that decides likewise."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from float64_retention import Float64Retention
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decoder_architectures import SHAPES, soften_and_silence
from tiny_llama import TinyShape, random_weights, write_gguf

import edgestream as es
from edgestream._native import GgufModel, RingDecoder

TOOLS = Path(__file__).resolve().parents[2] / "tools" / "bench"
RETENTIONS = ["heavy-hitter", "merge"]
N_SINKS, WINDOW, RECENT, EVICT_ROWS = 4, 40, 10, 8
LAPS = 22
MEMORY = {"n_sinks": N_SINKS, "window": WINDOW, "recent": RECENT, "evict_rows": EVICT_ROWS}


def make(folder, name="llama", edit=lambda key, values: None):
    shape = TinyShape(**({"architecture": name.split("-")[0]} | SHAPES[name]))
    weights = random_weights(shape)
    for key, values in weights.items():
        edit(key, values)
    path = write_gguf(folder / f"{name}.gguf", shape, weights)
    return GgufModel(str(path)), shape, weights


def token_rows(model, n, seed=1):
    tokens = np.random.default_rng(seed).integers(0, model.n_vocab, n)
    return np.stack([model.token_embedding(int(t)) for t in tokens])


def steps(decoder, rows):
    return np.stack([decoder.step(row[None]) for row in rows])


def reference_of(shape, weights, retention):
    return Float64Retention(shape, weights, merges=retention == "merge", **MEMORY)


def ring(model, retention, **options):
    options = MEMORY | {"kv_type": "f32", "max_rows": 8, "retention": retention} | options
    return RingDecoder(model, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gguf")


@pytest.fixture(scope="module")
def streamed(folder):
    """Of each retention: the model, rows for many laps, and the float64 logits after each."""
    model, shape, weights = make(folder)
    rows = token_rows(model, N_SINKS + LAPS * WINDOW, seed=2)
    expected = {}
    for retention in RETENTIONS:
        reference = reference_of(shape, weights, retention)
        expected[retention] = steps(reference, rows)
        # float32 is off by 1e-6 of a row's mass: no decision may hang on that.
        assert reference.least_gap > 1e-5
    return model, rows, expected


@pytest.mark.parametrize("retention", RETENTIONS)
def test_after_many_laps_it_still_is_the_float64_definition(streamed, retention):
    model, rows, expected = streamed
    difference = np.abs(steps(ring(model, retention), rows) - expected[retention]).max(axis=1)
    assert difference.max() <= 1e-4
    lap, last_lap = difference[WINDOW : 2 * WINDOW], difference[-WINDOW:]
    assert last_lap.max() <= 3 * lap.max(), "the error grows"


@pytest.mark.parametrize("retention", RETENTIONS)
def test_the_comparison_notices_another_retention(streamed, retention):
    model, rows, expected = streamed
    for other in {"window", *RETENTIONS} - {retention}:
        options = {"recent": 0, "evict_rows": 0} if other == "window" else {}
        difference = np.abs(steps(ring(model, other, **options), rows) - expected[retention])
        assert difference[: N_SINKS + WINDOW].max() <= 1e-4, "nothing has left yet"
        assert difference[N_SINKS + 2 * WINDOW :].max() > 1.0


@pytest.mark.parametrize("retention", RETENTIONS)
@pytest.mark.parametrize("name", SHAPES)
def test_every_architecture_keeps_rows_exactly(folder, name, retention):
    model, shape, weights = make(folder, name, soften_and_silence)
    rows = token_rows(model, N_SINKS + 4 * WINDOW)
    reference = reference_of(shape, weights, retention)
    expected = steps(reference, rows)
    assert reference.least_gap > 1e-6
    assert np.abs(steps(ring(model, retention), rows) - expected).max() <= 1e-4


@pytest.mark.parametrize("retention", RETENTIONS)
@pytest.mark.parametrize(
    ("kv_type", "bound"), [("f16", 0.08), ("bf16", 1.0), ("q8_0", 2.0), ("q4_0", 16.0)]
)
def test_rows_of_every_type_leave_and_are_merged(streamed, retention, kv_type, bound):
    """Over the first eviction: later ones may be decided otherwise, by what rounding changed."""
    model, rows, expected = streamed
    rows = rows[: N_SINKS + WINDOW + EVICT_ROWS]
    difference = np.abs(
        steps(ring(model, retention, kv_type=kv_type), rows) - expected[retention][: len(rows)]
    )
    assert difference.max() <= bound


@settings(max_examples=20)
@given(
    retention=st.sampled_from(RETENTIONS),
    cuts=st.lists(st.integers(1, 70), min_size=1, max_size=40),
    max_rows=st.sampled_from([1, 4, 8]),
    wanted=st.sampled_from(["every", "last"]),
)
def test_how_a_stream_is_cut_does_not_matter(streamed, retention, cuts, max_rows, wanted):
    model, rows, expected = streamed
    decoder = ring(model, retention, max_rows=max_rows)
    at = 0
    for n in cuts:
        chunk = rows[at : at + n]
        if not len(chunk):
            break
        logits = decoder.step_groups([(0, chunk)], logits=wanted)
        at += len(chunk)
        np.testing.assert_allclose(logits, expected[retention][at - len(logits) : at], atol=1e-4)
    assert decoder.pos == at


@settings(max_examples=20)
@given(
    retention=st.sampled_from(RETENTIONS),
    proposals=st.lists(st.tuples(st.integers(1, 8), st.floats(0, 1)), min_size=1, max_size=40),
)
def test_what_is_kept_of_proposals_is_the_stream(streamed, retention, proposals):
    model, rows, expected = streamed
    decoder = ring(model, retention)
    at = 30
    decoder.step(rows[:at])
    for n_rows, kept_share in proposals:
        kept = round(kept_share * n_rows)
        wrong = token_rows(model, n_rows - kept, seed=at) if kept < n_rows else rows[:0]
        logits = decoder.propose([(0, np.concatenate([rows[at : at + kept], wrong]))])
        decoder.keep(kept)
        np.testing.assert_allclose(logits[:kept], expected[retention][at : at + kept], atol=1e-4)
        at += kept
    np.testing.assert_allclose(decoder.step(rows[at][None]), expected[retention][at], atol=1e-4)


@pytest.mark.parametrize("retention", RETENTIONS)
def test_a_fork_and_a_reset_stream_go_on_to_the_bit(streamed, retention):
    model, rows, _ = streamed
    decoder = ring(model, retention)
    first = steps(decoder, rows[:200])
    other = decoder.fork()
    expected = steps(decoder, rows[200:300])
    np.testing.assert_array_equal(steps(other, rows[200:300]), expected)
    decoder.reset()
    np.testing.assert_array_equal(steps(decoder, rows[:200]), first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retention": "h2o"}, "the retention 'h2o' is not known; known: window, heavy-hitter, m"),
        ({"retention": "window"}, "recent and evict_rows are for a retention by attention"),
        ({"window": [("a", 40), ("b", 40)]}, "retention by attention is for one region"),
        ({"attention_layers": [0]}, "'merge' the kept rows do not lie side by side"),
        ({"recent": 30}, "a window of 40 with 30 recent rows is too small"),
        ({"evict_rows": 4}, "evict_rows is 4, it must be 8 to 10"),
    ],
)
def test_what_does_not_fit_together_is_refused(streamed, options, message):
    with pytest.raises(ValueError, match=message) as raised:
        ring(streamed[0], **({"retention": "merge"} | options))
    assert "\n" not in str(raised.value)


def test_rows_with_axes_are_refused(folder):
    model, _, _ = make(folder, "qwen2vl")
    rows = token_rows(model, N_SINKS + 1)
    decoder = ring(model, "merge")
    decoder.step(rows[:N_SINKS])
    with pytest.raises(ValueError, match="rows with axes need the retention 'window', not 'merge'"):
        decoder.step_groups([(0, rows[:1], np.zeros((1, 3), np.int32))])
    assert decoder.pos == N_SINKS


@pytest.fixture(scope="module")
def needles():
    """The tool that measures whether what was read long ago is still found."""
    sys.path.insert(0, str(TOOLS))
    try:
        return importlib.import_module("retention")
    finally:
        sys.path.remove(str(TOOLS))


def test_what_draws_attention_is_found_far_behind_the_window(needles):
    within = [d <= needles.NEEDLE_MEMORY["window"] - 2 for d in needles.DISTANCES]
    found = {
        (name, retention): list(needles.find_needles(retention, values, mark_rate, 2) == 1)
        for name, (values, mark_rate) in needles.NEEDLES.items()
        for retention in ("window", "heavy-hitter", "merge")
    }
    assert found["marked", "window"] == found["not marked", "window"] == within
    assert all(found["marked", "heavy-hitter"])
    assert all(found["marked", "merge"])
    far = len(within) // 2
    assert not any(found["not marked", "heavy-hitter"][far:])


def test_the_perplexity_of_a_stream_is_that_of_its_memory(needles):
    model = es.load("synthetic-en")
    rows, tokens = needles.own_stream(model, 0.3)
    ring = needles.tiny_ring(model, model.manifest.decoder.window, "window")
    logits = np.stack([ring.step(row[None]) for row in rows])[2:]
    pad, pad_bias = model.manifest.tokens.pad, model.manifest.policy.pad_bias
    biased = logits[:, : model.manifest.tokens.n_text].astype(np.float64)
    losses = needles.cross_entropy(biased, tokens)
    assert losses.shape == tokens.shape
    assert np.exp(losses.mean()) < 1.2
    # What it read is what it wrote: it would write the same again.
    biased[:, pad] -= pad_bias
    np.testing.assert_array_equal(biased.argmax(axis=1), tokens)
