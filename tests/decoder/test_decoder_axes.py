# SPDX-License-Identifier: Apache-2.0
"""Rows with time, height and width of their own (M-RoPE) against float64, in every layout."""

import numpy as np
import pytest
from float64_regions import Float64Regions
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

LAYOUTS = ["one-clock", "grouped", "overlap"]
PICTURE = np.array([[0, y, x] for y in range(2) for x in range(3)], np.int32)


@pytest.fixture(scope="module", params=["qwen2vl", "qwen3vl"])
def shape_and_model(request, tmp_path_factory):
    shape = TinyShape(architecture=request.param)
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return shape, GgufModel(str(write_gguf(path, shape, random_weights(shape))))


def rows_of(model, n, seed):
    tokens = np.random.default_rng(seed).integers(0, model.n_vocab, n)
    return np.stack([model.token_embedding(int(t)) for t in tokens])


def units(model, n_units, vision):
    """Two sinks; then in each unit a picture in the region `vision` and text in the last one."""
    first = [(0, rows_of(model, 2, 1000))]
    yield first
    for i in range(n_units):
        picture = (vision, rows_of(model, len(PICTURE), 2 * i), PICTURE)
        yield [picture, (1, rows_of(model, 1 + i % 3, 2 * i + 1))]


def make(shape, model, layout, max_rows=4):
    windows = [("vision", 14), ("text", 7)]
    reference = Float64Regions(
        shape, random_weights(shape), n_sinks=2, windows=[w for _, w in windows], layout=layout
    )
    options = {"kv_type": "f32", "max_rows": max_rows, "rebase_rows": 40}
    return RingDecoder(model, n_sinks=2, window=windows, layout=layout, **options), reference


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_lie_on_their_axes_before_and_after_eviction(shape_and_model, layout):
    shape, model = shape_and_model
    decoder, reference = make(shape, model, layout)
    whole, _ = make(shape, model, layout, max_rows=16)
    for i, unit in enumerate(units(model, 30, vision=0)):
        ours = decoder.step_groups(unit, logits="every")
        np.testing.assert_allclose(ours, reference.step_groups(unit), atol=2e-4)
        np.testing.assert_allclose(whole.step_groups(unit, logits="every"), ours, atol=2e-4)
        for each in (decoder, reference, whole) if i else ():
            each.begin_unit()


def test_axes_change_what_is_seen(shape_and_model):
    shape, model = shape_and_model
    with_axes, _ = make(shape, model, "one-clock")
    as_text, _ = make(shape, model, "one-clock")
    for unit in units(model, 3, vision=0):
        ours = with_axes.step_groups(unit)
        theirs = as_text.step_groups([group[:2] for group in unit])
    assert np.abs(ours - theirs).max() > 0.1


def test_a_saved_picture_goes_on_to_the_bit(shape_and_model, tmp_path):
    shape, model = shape_and_model
    decoder, _ = make(shape, model, "one-clock")
    restored, _ = make(shape, model, "one-clock")
    *before, last = units(model, 9, vision=0)
    for unit in before:
        decoder.step_groups(unit)
    decoder.save(str(tmp_path / "state"))
    restored.restore(str(tmp_path / "state"))
    for each in (decoder, restored):
        each.begin_unit()
    np.testing.assert_array_equal(decoder.step_groups(last), restored.step_groups(last))


def test_axes_out_of_place_are_refused(shape_and_model, tmp_path):
    shape, model = shape_and_model
    decoder, _ = make(shape, model, "one-clock")
    rows = rows_of(model, len(PICTURE), 0)
    with pytest.raises(
        ValueError, match="the first 2 rows are attention sinks and cannot have axes"
    ):
        decoder.step_groups([(0, rows, PICTURE)])
    decoder.step(rows)
    with pytest.raises(ValueError, match="got 15 numbers on axes for 6 rows; each has 3"):
        decoder.step_groups([(0, rows, PICTURE[:5])])
    with pytest.raises(ValueError, match="a row is at -1 on an axis, it must be 0 to 1048576"):
        decoder.step_groups([(0, rows, PICTURE - 1)])
    decoder.propose([(0, rows[:2], PICTURE[:2]), (1, rows[:1])])
    with pytest.raises(ValueError, match="rows with axes cannot be taken back, keep all of them"):
        decoder.keep(1)
    decoder.keep(2)
    assert decoder.pos == len(rows) + 2
    plain = TinyShape()
    path = write_gguf(tmp_path / "plain.gguf", plain, random_weights(plain))
    one_axis = RingDecoder(GgufModel(str(path)), n_sinks=0, window=8)
    with pytest.raises(ValueError, match="this model's positions have one axis"):
        one_axis.step_groups([(0, rows, PICTURE)])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_is_proposed_with_text_behind_it_and_only_that_taken_back(
    shape_and_model, layout
):
    shape, model = shape_and_model
    decoder, reference = make(shape, model, layout, max_rows=16)
    for i, unit in enumerate(units(model, 12, vision=0)):
        if i == 0:
            decoder.step_groups(unit)
            reference.step_groups(unit)
            continue
        picture, text = unit
        more = (1, np.concatenate([text[1], text[1]]))
        decoder.propose([picture, more])
        decoder.keep(len(PICTURE) + len(text[1]))
        reference.step_groups([picture, text])
        last = [(1, rows_of(model, 1, 500 + i))]
        ours, expected = decoder.step_groups(last), reference.step_groups(last)
        np.testing.assert_allclose(ours, expected, atol=2e-4)
        for each in (decoder, reference):
            each.begin_unit()
