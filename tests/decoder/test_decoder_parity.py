# SPDX-License-Identifier: Apache-2.0
"""The ring decoder against libllama before it wraps, and against float64 long after."""

from pathlib import Path

import numpy as np
import pytest
from float64_llama import Float64Llama
from hypothesis import given, settings
from hypothesis import strategies as st
from libllama import Libllama
from tiny_llama import TinyShape, random_weights, stored_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

KINDS = ["f32", "f16", "q8_0", "q4_K"]
# ggml picks another kernel, that is another order of summation, when query heads are folded into
# one product, and rounds activations to the weights' precision. What that can come to in logits of
# about 17, as measured on random weights (which amplify it most), with room to spare:
FOLDED_BOUND = {"f32": 0.02, "f16": 0.05, "q8_0": 0.6, "q4_K": 1.2}
N_SINKS, WINDOW = 4, 28
DEFAULT_MODEL = Path(__file__).resolve().parents[2] / "models" / "synthetic-en" / "decoder.gguf"
LAPS = 22


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gguf")


def make(folder, kind="f32", **shape_changes):
    """A tiny model file and the shape and weights that it was made of."""
    shape = TinyShape(**shape_changes)
    weights = random_weights(shape)
    return write_gguf(folder / "tiny.gguf", shape, weights, kind), shape, weights


def token_rows(model, n, seed=1):
    tokens = np.random.default_rng(seed).integers(0, model.n_vocab, n)
    return np.stack([model.token_embedding(int(t)) for t in tokens])


def steps(decoder, rows):
    return np.stack([decoder.step(row[None]) for row in rows])


@pytest.mark.parametrize("kv_type", ["f16", "f32"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_logit_is_libllamas_when_each_head_has_its_own_keys(folder, kind, kv_type):
    path, _, _ = make(folder, kind, n_kv_heads=4)
    model = GgufModel(str(path))
    rows = token_rows(model, 150)
    decoder = RingDecoder(model, n_sinks=4, window=200, kv_type=kv_type)
    with Libllama(path, kv_type=kv_type) as oracle:
        np.testing.assert_array_equal(steps(decoder, rows), steps(oracle, rows))


@pytest.mark.parametrize("n_kv_heads", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_folded_heads_are_libllamas_up_to_the_order_of_sums(folder, kind, n_kv_heads):
    path, _, _ = make(folder, kind, n_kv_heads=n_kv_heads)
    model = GgufModel(str(path))
    rows = token_rows(model, 150)
    decoder = RingDecoder(model, n_sinks=4, window=200)
    with Libllama(path) as oracle:
        ours, theirs = steps(decoder, rows), steps(oracle, rows)
    assert np.abs(ours - theirs).max() <= FOLDED_BOUND[kind]
    assert np.mean(ours.argmax(1) == theirs.argmax(1)) >= 0.95
    # With one key there is nothing to sum in another order.
    np.testing.assert_array_equal(ours[0], theirs[0])


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_are_libllamas_chunks(folder, kind):
    path, _, _ = make(folder, kind)
    model = GgufModel(str(path))
    rows = token_rows(model, 127)
    decoder = RingDecoder(model, n_sinks=4, window=200)
    with Libllama(path) as oracle:
        at = 0
        for n in (4, 32, 16, 8, 1, 2, 64):
            chunk = rows[at : at + n]
            assert np.abs(decoder.step(chunk) - oracle.step(chunk)).max() <= FOLDED_BOUND[kind]
            at += n


@pytest.mark.parametrize("changes", [{"tied": True}, {"rope_factors": True}])
def test_tied_output_and_rope_factors_are_libllamas(folder, changes):
    path, _, _ = make(folder, "f16", n_kv_heads=4, **changes)
    model = GgufModel(str(path))
    rows = token_rows(model, 80)
    with Libllama(path) as oracle:
        ours = steps(RingDecoder(model, n_sinks=2, window=100), rows)
        np.testing.assert_array_equal(ours, steps(oracle, rows))


KV_BOUNDS = [("f32", 1e-4), ("f16", 0.08), ("bf16", 1.0), ("q8_0", 2.0), ("q4_0", 16.0)]


@pytest.mark.parametrize(("kv_type", "bound"), KV_BOUNDS)
def test_after_many_laps_it_still_is_the_float64_definition(folder, kv_type, bound):
    path, shape, weights = make(folder)
    model = GgufModel(str(path))
    rows = token_rows(model, N_SINKS + LAPS * WINDOW)
    reference = Float64Llama(shape, weights, n_sinks=N_SINKS, window=WINDOW)
    # Rebased in every second lap, to have that happen often.
    decoder = RingDecoder(
        model, n_sinks=N_SINKS, window=WINDOW, kv_type=kv_type, max_rows=8, rebase_rows=40
    )
    expected = steps(reference, rows)
    difference = np.abs(steps(decoder, rows) - expected).max(axis=1)
    assert difference.max() <= bound
    lap, last_lap = difference[WINDOW : 2 * WINDOW], difference[-WINDOW:]
    assert last_lap.max() <= 3 * lap.max(), "the error grows"


@pytest.mark.parametrize("defect", [{"turn_sinks": False}, {"one_wrong_slot": True}])
def test_the_comparison_notices_a_defect(folder, defect):
    path, shape, weights = make(folder)
    model = GgufModel(str(path))
    rows = token_rows(model, N_SINKS + 4 * WINDOW)
    wrong = Float64Llama(shape, weights, n_sinks=N_SINKS, window=WINDOW, **defect)
    ours = steps(RingDecoder(model, n_sinks=N_SINKS, window=WINDOW, kv_type="f32"), rows)
    difference = np.abs(ours - steps(wrong, rows)).max(axis=1)
    assert difference[: N_SINKS + WINDOW].max() < 1e-4, "nothing has left the window yet"
    assert difference[N_SINKS + 2 * WINDOW :].max() > 1.0


@pytest.mark.parametrize("kind", ["q8_0", "q4_K"])
def test_quantized_weights_are_used_as_they_are_stored(folder, kind):
    path, shape, _ = make(folder, kind)
    model = GgufModel(str(path))
    stored = stored_weights(path)
    for token in (0, 17, shape.n_vocab - 1):
        row = model.token_embedding(token)
        np.testing.assert_allclose(row, stored["token_embd.weight"][token], rtol=1e-6)
    rows = token_rows(model, 3 * WINDOW)
    ours = steps(RingDecoder(model, n_sinks=N_SINKS, window=WINDOW, kv_type="f32"), rows)
    expected = steps(Float64Llama(shape, stored, n_sinks=N_SINKS, window=WINDOW), rows)
    # ggml rounds activations to 8 bits before it multiplies.
    assert np.abs(ours - expected).max() < 1.5
    assert np.mean(ours.argmax(1) == expected.argmax(1)) > 0.9


@pytest.mark.skipif(not DEFAULT_MODEL.exists(), reason="the default model is not in this tree")
def test_the_default_model_says_what_it_says_in_libllama():
    model = GgufModel(str(DEFAULT_MODEL))
    rows = token_rows(model, 2 + 125)
    decoder = RingDecoder(model, n_sinks=2, window=125)
    with Libllama(DEFAULT_MODEL) as oracle:
        ours, theirs = steps(decoder, rows), steps(oracle, rows)
    assert np.abs(ours - theirs).max() <= FOLDED_BOUND["q8_0"]
    assert np.mean(ours.argmax(1) == theirs.argmax(1)) >= 0.95
    np.testing.assert_array_equal(ours[0], theirs[0])


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 70), min_size=1, max_size=40),
    n_sinks=st.sampled_from([0, 1, 4]),
    window=st.sampled_from([1, 7, 28]),
    max_rows=st.sampled_from([1, 8, 32]),
)
def test_how_a_stream_is_cut_does_not_matter(streamed_f32, cuts, n_sinks, window, max_rows):
    model, rows, expected = streamed_f32(n_sinks, window)
    decoder = RingDecoder(
        model, n_sinks=n_sinks, window=window, kv_type="f32", max_rows=max_rows,
        rebase_rows=window + max_rows,
    )  # fmt: skip
    at = 0
    for n in cuts:
        chunk = rows[at : at + n]
        if not len(chunk):
            break
        at += len(chunk)
        # Positions far from their base until a late rebase: up to 1.02e-4 was seen.
        np.testing.assert_allclose(decoder.step(chunk), expected[at - 1], atol=1.5e-4)
    assert decoder.pos == at


@pytest.fixture(scope="module")
def streamed_f32(folder):
    """Rows, and the float64 logits after each, for a given ring; computed once per ring."""
    path, shape, weights = make(folder)
    model = GgufModel(str(path))
    rows = token_rows(model, 400)
    known = {}

    def expect(n_sinks, window):
        if (n_sinks, window) not in known:
            reference = Float64Llama(shape, weights, n_sinks=n_sinks, window=window)
            known[n_sinks, window] = steps(reference, rows)
        return model, rows, known[n_sinks, window]

    return expect
