# SPDX-License-Identifier: Apache-2.0
"""Rows that deepstack widens: libllama's logits to the bit, float64's for many laps."""

import numpy as np
import pytest
from float64_exit import Float64Exit
from float64_llama import Float64Llama
from float64_regions import Float64Regions
from hypothesis import given, settings
from hypothesis import strategies as st
from libllama import Libllama
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

SHAPE = TinyShape(architecture="qwen3vl", n_layers=4, n_deepstack=3)
PICTURE = np.array([[0, y, x] for y in range(2) for x in range(3)], np.int32)


def soft_weights(shape):
    """Sharp attention of random weights would amplify float32's rounding layer by layer."""
    return {
        name: values / 2 if ".attn_q." in name or ".attn_k." in name else values
        for name, values in random_weights(shape).items()
    }


def make(folder, shape=SHAPE, kind="f32"):
    return write_gguf(folder / "tiny.gguf", shape, soft_weights(shape), kind)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return GgufModel(str(make(tmp_path_factory.mktemp("gguf"))))


def rows_of(model, n, seed=0, every=2):
    """Tokens, and each `every`-th row of a picture: with numbers for the deepstack layers, too."""
    rng = np.random.default_rng(seed)
    rows = np.stack([model.token_embedding(int(t)) for t in rng.integers(0, model.n_vocab, n)])
    width = model.n_embd // (1 + model.n_deepstack)
    picture = rng.standard_normal((n, model.n_embd - width)).astype(np.float32)
    rows[::every, width:] = picture[::every]
    return rows


def steps(decoder, rows):
    return np.stack([decoder.step(row[None]) for row in rows])


@pytest.mark.parametrize("kind", ["f32", "f16", "q8_0", "q4_K"])
def test_every_logit_is_libllamas_when_each_head_has_its_own_keys(tmp_path, kind):
    shape = TinyShape(architecture="qwen3vl", n_layers=4, n_deepstack=3, n_kv_heads=4)
    path = make(tmp_path, shape, kind)
    model = GgufModel(str(path))
    rows = rows_of(model, 150)
    decoder = RingDecoder(model, n_sinks=4, window=200)
    with Libllama(path) as oracle:
        np.testing.assert_array_equal(steps(decoder, rows), steps(oracle, rows))


@pytest.mark.parametrize("n_deepstack", [1, 3])
def test_tokens_are_embedded_as_libllama_embeds_them(tmp_path, n_deepstack):
    shape = TinyShape(architecture="qwen3vl", n_layers=4, n_deepstack=n_deepstack, n_kv_heads=4)
    path = make(tmp_path, shape, "f16")
    model = GgufModel(str(path))
    decoder = RingDecoder(model, n_sinks=4, window=60)
    with Libllama(path) as oracle:
        for token in range(20):
            ours = decoder.step(model.token_embedding(token)[None])
            np.testing.assert_array_equal(ours, oracle.step_tokens([token]))


def test_many_laps_are_the_float64_definition(model):
    rows = rows_of(model, 4 + 12 * 20)
    decoder = RingDecoder(model, n_sinks=4, window=20, kv_type="f32", max_rows=8, rebase_rows=40)
    reference = Float64Llama(SHAPE, soft_weights(SHAPE), n_sinks=4, window=20)
    np.testing.assert_allclose(steps(decoder, rows), steps(reference, rows), atol=1e-4)


def test_parts_change_what_is_said(model):
    rows = rows_of(model, 20)
    plain = rows.copy()
    plain[:, model.n_embd // 4 :] = 0
    with_parts, without = (RingDecoder(model, n_sinks=0, window=20) for _ in range(2))
    assert np.abs(steps(with_parts, rows) - steps(without, plain)).max() > 0.1


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(1, 12), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_any_cutting_gives_the_result_of_the_whole(model, cuts, seed):
    rows = rows_of(model, sum(cuts), seed, every=3)
    whole, cut = (
        RingDecoder(model, n_sinks=2, window=16, kv_type="f32", max_rows=8) for _ in range(2)
    )
    expected = whole.step_groups([(0, rows)], logits="every")
    ends = np.cumsum(cuts)
    given_rows = [
        cut.step_groups([(0, part)], logits="every") for part in np.split(rows, ends[:-1])
    ]
    np.testing.assert_allclose(np.concatenate(given_rows), expected, atol=1e-4)


@pytest.mark.parametrize("layout", ["one-clock", "grouped", "overlap"])
def test_pictures_with_axes_and_parts_in_regions(model, layout):
    windows = [("vision", 14), ("text", 7)]
    decoder = RingDecoder(
        model, n_sinks=2, window=windows, layout=layout, kv_type="f32", max_rows=4
    )
    reference = Float64Regions(
        SHAPE, soft_weights(SHAPE), n_sinks=2, windows=[14, 7], layout=layout
    )
    units = [[(0, rows_of(model, 2, 1000, every=9))]]
    units += [
        [
            (0, rows_of(model, 6, 2 * i, every=1), PICTURE),
            (1, rows_of(model, 2, 2 * i + 1, every=9)),
        ]
        for i in range(20)
    ]
    for i, unit in enumerate(units):
        ours = decoder.step_groups(unit, logits="every")
        np.testing.assert_allclose(ours, reference.step_groups(unit), atol=2e-4)
        for each in (decoder, reference) if i else ():
            each.begin_unit()


@pytest.mark.parametrize("exit_layer", [1, 2, 3])
def test_rows_that_exit_early_take_the_parts_of_layers_they_pass(model, exit_layer):
    """Thresholds with rows on both sides; a part behind the exit is for those that go on."""
    rows = rows_of(model, 60)
    memory = {"n_sinks": 3, "window": 20}
    reference = Float64Exit(
        SHAPE, soft_weights(SHAPE), **memory, exit_layer=exit_layer, exit_threshold=0.45
    )
    decoder = RingDecoder(
        model, **memory, kv_type="f32", max_rows=8, exit_layer=exit_layer, exit_threshold=0.45
    )
    expected = steps(reference, rows)
    assert min(abs(c - 0.45) for c in reference.confidences) > 1e-5
    np.testing.assert_allclose(steps(decoder, rows), expected, atol=1e-4)
    assert 0 < decoder.n_exits == reference.n_exits < len(rows)


def test_a_saved_stream_goes_on_to_the_bit(model, tmp_path):
    before, after = np.split(rows_of(model, 60), [50])
    stream, restored = (RingDecoder(model, n_sinks=2, window=16) for _ in range(2))
    stream.step(before)
    stream.save(str(tmp_path / "state"))
    restored.restore(str(tmp_path / "state"))
    fork = stream.fork()
    expected = stream.step(after)
    np.testing.assert_array_equal(restored.step(after), expected)
    np.testing.assert_array_equal(fork.step(after), expected)


def test_the_width_is_told_and_another_is_refused(model):
    decoder = RingDecoder(model, n_sinks=1, window=8)
    width = (1 + SHAPE.n_deepstack) * SHAPE.n_embd
    assert (model.n_embd, decoder.n_embd, model.n_deepstack) == (width, width, 3)
    assert not model.token_embedding(3)[SHAPE.n_embd :].any()
    for wrong in (SHAPE.n_embd, 3 * SHAPE.n_embd, width + 1):
        message = f"got rows of {wrong} numbers, this decoder takes 1024; deepstack layers, if its"
        with pytest.raises(ValueError, match=message):
            decoder.step(np.zeros((2, wrong), np.float32))
    rows = np.zeros((2, width), np.float32)
    rows[1, -1] = np.inf
    with pytest.raises(ValueError, match="row 1 of the step holds a number that is not finite"):
        decoder.step(rows)
    assert decoder.pos == 0


@pytest.mark.parametrize(
    ("n_layers", "n_deepstack", "said"),
    [
        (2, 2, "qwen3vl.n_deepstack_layers is 2, it must be 0 to 1"),
        (3, 1 << 31, "qwen3vl.n_deepstack_layers is 2147483648, it must be 0 to 2"),
    ],
)
def test_files_that_ask_for_more_parts_than_layers_are_refused(
    tmp_path, n_layers, n_deepstack, said
):
    shape = TinyShape(architecture="qwen3vl", n_layers=n_layers, n_deepstack=n_deepstack)
    with pytest.raises(ValueError, match=said):
        GgufModel(str(make(tmp_path, shape)))
