# SPDX-License-Identifier: Apache-2.0
"""ONNX decoders against float64 and against the native ring with the same weights."""

import numpy as np
import pytest
from float64_llama import Float64Llama
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import TinyShape, random_weights
from tiny_onnx import write_community, write_ours

from edgestream._native import (
    ConcatenatedLoop,
    Decoder,
    GgufModel,
    RingDecoder,
    SpecialTokens,
    WaitK,
)
from edgestream.onnx.decoder import OnnxDecoder
from edgestream.onnx.weights import OnnxModel

SHAPE = TinyShape(n_embd=64, n_ff=64, n_heads=4, n_kv_heads=2, n_vocab=40)
RING = {"n_sinks": 4, "window": 12}
CUT_TOLERANCE = 3e-5  # between cuttings, of logits of about 10: float32 sums in another order


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module", params=["A", "B", "C"])
def model(request, folder):
    at = folder / request.param
    at.mkdir()
    if request.param == "A":
        model = OnnxModel(write_community(at, SHAPE))
    else:
        model = OnnxModel(write_ours(at, SHAPE, layout=request.param))
    assert model.layout == request.param
    return model


def rows_of(model, n, seed=0):
    tokens = np.random.default_rng(seed).integers(0, model.n_vocab, n)
    return np.stack([model.token_embedding(int(t)) for t in tokens])


def errors_against_float64(decoder, rows, **options):
    reference = Float64Llama(SHAPE, random_weights(SHAPE), **RING, **options)
    return np.array([np.abs(decoder.step(r[None]) - reference.step(r[None])).max() for r in rows])


def test_shapes_and_what_runs_it(model):
    decoder = OnnxDecoder(model, **RING)
    assert isinstance(decoder, Decoder)
    assert (decoder.n_embd, decoder.n_vocab, decoder.n_regions, decoder.pos) == (64, 40, 1, 0)
    assert decoder.step(rows_of(model, 5)).shape == (40,)
    assert (decoder.pos, decoder.max_proposal, len(decoder.attention(0))) == (5, 8, 0)
    assert model.providers_asked == model.providers == ("CPUExecutionProvider",)
    np.testing.assert_array_equal(
        decoder.token_embedding(3), random_weights(SHAPE)["token_embd.weight"][3]
    )


def test_before_anything_leaves_and_after_20_laps_it_is_float64s(model):
    errors = errors_against_float64(OnnxDecoder(model, **RING), rows_of(model, 300))
    assert errors[: RING["n_sinks"] + RING["window"]].max() <= 1e-4
    assert errors.max() <= 1e-4


@pytest.mark.parametrize("defect", [{"turn_sinks": False}, {"one_wrong_slot": True}])
def test_a_defect_is_noticed(model, defect):
    errors = errors_against_float64(OnnxDecoder(model, **RING), rows_of(model, 60), **defect)
    kept = RING["n_sinks"] + RING["window"]
    assert errors[:kept].max() <= 1e-4
    assert errors[kept:].max() > 0.5


def test_the_native_ring_gives_the_same_with_the_same_weights(model):
    gguf = GgufModel(str(model.path.parent / "decoder.gguf"))
    native = RingDecoder(gguf, **RING, kv_type="f32")
    decoder = OnnxDecoder(model, **RING)
    for row in rows_of(model, 200):
        np.testing.assert_allclose(decoder.step(row[None]), native.step(row[None]), atol=1e-4)


def test_long_streams_do_not_drift(model):
    native = RingDecoder(GgufModel(str(model.path.parent / "decoder.gguf")), **RING, kv_type="f32")
    decoder, rows = OnnxDecoder(model, **RING), rows_of(model, 500)
    errors = []
    for _ in range(20):
        ours, theirs = (d.step_groups([(0, rows)], logits="every") for d in (decoder, native))
        errors.append(np.abs(ours - theirs).max())
    assert decoder.pos == 10_000
    assert max(errors) <= 1e-4


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(1, 23), min_size=1, max_size=12), max_rows=st.integers(1, 9))
def test_any_cutting_gives_the_result_of_the_whole(model, cuts, max_rows):
    rows = rows_of(model, sum(cuts))
    whole = OnnxDecoder(model, **RING, max_rows=1)
    decoder = OnnxDecoder(model, **RING, max_rows=max_rows)
    expected = whole.step_groups([(0, rows)], logits="every")
    at = 0
    for n in cuts:
        part = decoder.step_groups([(0, rows[at : at + n])], logits="every")
        np.testing.assert_allclose(part, expected[at : at + n], atol=CUT_TOLERANCE)
        at += n


@settings(max_examples=20)
@given(
    proposals=st.lists(
        st.tuples(st.integers(1, 8), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20
    )
)
def test_what_is_kept_of_proposals_is_the_stream(model, proposals):
    rows = rows_of(model, 160)
    decoder, plain = (OnnxDecoder(model, **RING) for _ in range(2))
    at = 0
    for n_rows, share, first_share in proposals:
        kept = round(share * n_rows)
        wrong = rows_of(model, n_rows, seed=at + 1)
        proposal = np.concatenate([rows[at : at + kept], wrong[kept:]])
        parts = np.split(proposal, [round(first_share * n_rows)])  # proposed by and by
        logits = np.concatenate([decoder.propose([(0, part)]) for part in parts if len(part)])
        decoder.keep(kept)
        if kept:
            expected = plain.step_groups([(0, rows[at : at + kept])], logits="every")
            np.testing.assert_allclose(logits[:kept], expected, atol=CUT_TOLERANCE)
        at += kept
    np.testing.assert_allclose(decoder.step(rows[:1]), plain.step(rows[:1]), atol=CUT_TOLERANCE)


def test_a_fork_goes_its_own_way_and_reset_begins_anew(model):
    decoder, rows = OnnxDecoder(model, **RING), rows_of(model, 50)
    first = [decoder.step(row[None]) for row in rows]
    decoder.reset()
    again = [decoder.step(row[None]) for row in rows[:30]]
    np.testing.assert_array_equal(again, first[:30])
    other = decoder.fork()
    assert isinstance(other, OnnxDecoder)
    decoder.step(rows[:9])
    np.testing.assert_array_equal([other.step(row[None]) for row in rows[30:]], first[30:])


def test_memory_is_taken_at_the_start(model):
    decoder = OnnxDecoder(model, **RING)
    before = decoder.state_bytes
    decoder.step(rows_of(model, 200))
    assert decoder.state_bytes == before < 1 << 18


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_the_same_loop_drives_onnx_and_gguf_to_the_same_tokens(model, cuts):
    gguf = GgufModel(str(model.path.parent / "decoder.gguf"))
    special = SpecialTokens(pad=0, bos=30, delay_0=31, n_text=30)
    rows = rows_of(model, sum(cuts), seed=len(cuts))

    def loop_over(decoder):
        return ConcatenatedLoop(
            decoder, WaitK(2), special, delay_frames=2, pad_bias=0.0, deferrals=1
        )

    native = loop_over(RingDecoder(gguf, **RING, kv_type="f32", max_rows=1)).push(rows)
    loop = loop_over(OnnxDecoder(model, **RING, max_rows=1))
    parts = [loop.push(part) for part in np.split(rows, np.cumsum(cuts)[:-1])]
    tokens, probabilities, waited = (np.concatenate(p) for p in zip(*parts, strict=True))
    np.testing.assert_array_equal(tokens, native[0])
    np.testing.assert_allclose(probabilities, native[1], atol=1e-4)
    np.testing.assert_array_equal(waited, native[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_sinks": -1}, "n_sinks is -1, it must be 0 to 65536"),
        ({"window": 0}, "window is 0, it must be 1 to 1048576"),
        ({"max_rows": 0}, "max_rows is 0, it must be 1 to 1024"),
    ],
)
def test_a_configuration_out_of_range_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        OnnxDecoder(model, **(RING | options))


def test_no_sinks_at_all(model):
    native = RingDecoder(
        GgufModel(str(model.path.parent / "decoder.gguf")), n_sinks=0, window=9, kv_type="f32"
    )
    decoder, rows = OnnxDecoder(model, n_sinks=0, window=9), rows_of(model, 80)
    expected = native.step_groups([(0, rows)], logits="every")
    given = decoder.step_groups([(0, rows)], logits="every")
    np.testing.assert_allclose(given, expected, atol=1e-4)


def test_layout_c_needs_a_window_of_two(model):
    if model.layout == "C":
        with pytest.raises(ValueError, match="window is 1, layout C needs 2 or more"):
            OnnxDecoder(model, n_sinks=2, window=1)
    else:
        assert OnnxDecoder(model, n_sinks=2, window=1).step(rows_of(model, 9)).shape == (40,)
