# SPDX-License-Identifier: Apache-2.0
"""A ring of regions against float64 with its own list of who sees whom, and against itself cut."""

import numpy as np
import pytest
from float64_regions import Float64Regions
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

SHAPE = TinyShape(n_embd=64, n_ff=64, n_heads=4, n_kv_heads=2, n_vocab=40)
WINDOWS = [("input", 9), ("output", 6)]
LAYOUTS = [("one-clock", 0), ("grouped", 0), ("grouped", 10000), ("overlap", 0)]
# An angle in float32 is off by 6e-8 of the position, which a gap of 10,000 makes visible.
BOUNDS = {0: 1e-4, 10000: 0.05}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, SHAPE, random_weights(SHAPE))))


def rows_of(model, n, seed=0):
    tokens = np.random.default_rng(seed).integers(0, model.n_vocab, n)
    return np.stack([model.token_embedding(int(t)) for t in tokens])


def make(model, layout, gap=0, **options):
    return RingDecoder(
        model, window=WINDOWS, layout=layout, gap=gap,
        **({"n_sinks": 2, "kv_type": "f32", "max_rows": 8} | options),
    )  # fmt: skip


def make_reference(layout, gap=0, n_sinks=2):
    windows = [window for _, window in WINDOWS]
    return Float64Regions(
        SHAPE, random_weights(SHAPE), n_sinks=n_sinks, windows=windows, layout=layout, gap=gap
    )


def random_groups(model, n_units, seed=3):
    """Units of input rows and of the output rows about them."""
    rng = np.random.default_rng(seed)
    units = [[(0, rows_of(model, 2, seed=99))]]
    for i in range(n_units):
        n_in, n_out = rng.integers(1, 6), rng.integers(0, 5)
        unit = [
            (0, rows_of(model, n_in, seed=2 * i)),
            (1, rows_of(model, max(n_out, 1), 2 * i + 1)),
        ]
        units.append(unit[: 1 + (n_out > 0)])
    return units


@pytest.mark.parametrize(("layout", "gap"), LAYOUTS)
def test_every_layout_is_its_float64_definition_before_and_after_eviction(model, layout, gap):
    decoder, reference = make(model, layout, gap), make_reference(layout, gap)
    first, worst = True, 0.0
    for unit in random_groups(model, 40):
        if not first:
            decoder.begin_unit()
            reference.begin_unit()
        first = False
        ours = decoder.step_groups(unit, logits="every")
        worst = max(worst, np.abs(ours - reference.step_groups(unit)).max())
    assert worst <= BOUNDS[gap]


@pytest.mark.parametrize(("layout", "gap"), LAYOUTS)
def test_the_layouts_are_not_each_other(model, layout, gap):
    others = [make_reference(*other) for other in LAYOUTS if other != (layout, gap)]
    decoder = make(model, layout, gap)
    for unit in random_groups(model, 12):
        ours = decoder.step_groups(unit, logits="every")
        theirs = [other.step_groups(unit) for other in others]
    # The last unit has output rows, all of whose positions or neighbours differ.
    for other in theirs:
        assert np.abs(ours - other).max() > 0.1


@pytest.mark.parametrize("layout", ["one-clock", "grouped"])
@pytest.mark.parametrize(("kv_type", "bound"), [("f16", 0.1), ("bf16", 1.0), ("q8_0", 3.0)])
def test_keys_of_every_type_are_placed_and_turned(tmp_path, layout, kv_type, bound):
    shape = TinyShape()
    model = GgufModel(str(write_gguf(tmp_path / "tiny.gguf", shape, random_weights(shape))))
    reference = Float64Regions(
        shape, random_weights(shape), n_sinks=2, windows=[9, 6], layout=layout
    )
    decoder = make(model, layout, kv_type=kv_type, rebase_rows=24)
    worst = []
    for i, unit in enumerate(random_groups(model, 40)):
        if i:
            decoder.begin_unit()
            reference.begin_unit()
        worst.append(np.abs(decoder.step_groups(unit) - reference.step_groups(unit)[-1:]).max())
    assert max(worst) <= bound
    assert np.median(worst[-10:]) <= 3 * np.median(worst[1:11]), "the error grows"


def test_input_never_sees_output(model):
    with_output, without = make(model, "grouped"), make(model, "grouped")
    for unit in random_groups(model, 30):
        logits = with_output.step_groups(unit, logits="every")
        alone = without.step_groups(unit[:1], logits="every")
        np.testing.assert_allclose(logits[: len(alone)], alone, atol=1e-4)


@pytest.mark.parametrize(("layout", "gap"), LAYOUTS)
def test_a_lone_output_row_equals_the_same_row_in_a_fused_batch(model, layout, gap):
    lone, fused = make(model, layout, gap), make(model, layout, gap)
    bound = BOUNDS[gap]
    for unit in random_groups(model, 25):
        lone.step_groups(unit, logits="none")
        fused.step_groups(unit, logits="none")
        output, new_input = rows_of(model, 1, seed=7), rows_of(model, 4, seed=8)
        # Written first: what is read in the same batch is not seen yet.
        expected = lone.step_groups([(1, output)])
        lone.step_groups([(0, new_input)], logits="none")
        ours = fused.step_groups([(1, output), (0, new_input)], logits="every")
        np.testing.assert_allclose(ours[:1], expected, atol=bound)
        # Read first: it is.
        lone.step_groups([(0, new_input)], logits="none")
        expected = lone.step_groups([(1, output)])
        ours = fused.step_groups([(0, new_input), (1, output)])
        np.testing.assert_allclose(ours, expected, atol=bound)


@settings(max_examples=30)
@given(data=st.data())
@pytest.mark.parametrize(("layout", "gap"), LAYOUTS)
def test_cuts_and_proposals_do_not_matter(model, layout, gap, data):
    options = {"max_rows": data.draw(st.sampled_from([4, 8])), "rebase_rows": 24}
    plain, cut = make(model, layout, gap, **options), make(model, layout, gap, **options)
    for unit in random_groups(model, data.draw(st.integers(1, 25)), seed=5)[: 1 + 25]:
        expected = plain.step_groups(unit)
        pieces = [(region, row[None]) for region, rows in unit for row in rows]
        while pieces:
            n = data.draw(st.integers(1, min(len(pieces), 4)))
            if data.draw(st.booleans()):
                extra = [(r, rows_of(model, 1, 55)) for r in data.draw(st.sampled_from([[], [0]]))]
                extra = extra if cut.pos >= 2 and n < 4 else []
                at = data.draw(st.integers(1, n))
                logits = cut.propose(pieces[:at])[-1:]
                if at < n:
                    logits = cut.propose(pieces[at:n])
                if extra:
                    cut.propose(extra)
                cut.keep(n)
            else:
                logits = cut.step_groups(pieces[:n])
            pieces = pieces[n:]
        np.testing.assert_allclose(logits[-1:], expected, atol=BOUNDS[gap])
        assert cut.pos == plain.pos
        plain.begin_unit()
        cut.begin_unit()


def test_one_region_is_the_ring_as_it_was(model):
    rows = rows_of(model, 80)
    options = {"n_sinks": 2, "kv_type": "f16", "max_rows": 8}
    plain = RingDecoder(model, window=12, **options)
    named = RingDecoder(model, window=[("stream", 12)], layout="grouped", **options)
    for row in rows:
        np.testing.assert_array_equal(plain.step(row[None]), named.step(row[None]))
        named.begin_unit()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": []}, "the number of regions is 0, it must be 1 to 8"),
        ({"window": [("a", 4), ("a", 4)]}, "two regions are called 'a'"),
        ({"window": [("a", 4), ("b", 0)]}, "window of b is 0, it must be 1 to 1048576"),
        ({"window": 4, "layout": "free"}, "the layout 'free' is not known; known: one-clock"),
        ({"window": WINDOWS, "gap": 5}, "gap is 5, it must be 0 to 0"),
        ({"window": 4, "attention_layers": [2]}, "there is no layer 2 .*; this model has 2"),
    ],
)
def test_a_memory_that_cannot_be_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        RingDecoder(model, n_sinks=2, **options)


def test_sinks_enter_region_0(model):
    decoder = make(model, "grouped", n_sinks=3)
    with pytest.raises(
        ValueError, match="the first 3 rows are attention sinks and enter region 0, not 1"
    ):
        decoder.step_groups([(0, rows_of(model, 2)), (1, rows_of(model, 1))])
    assert decoder.pos == 0
    decoder.step_groups([(0, rows_of(model, 3)), (1, rows_of(model, 1))])
    with pytest.raises(ValueError, match="there is no region 2; this decoder has 2"):
        decoder.attention(2)


def test_attention_is_that_of_the_definition(model):
    """Against the float64 softmax weights of the last row, and nothing else changes by it."""
    decoder = make(model, "grouped", attention_layers=[0, 1])
    only_first = make(model, "grouped", attention_layers=[0])
    without, reference = make(model, "grouped"), make_reference("grouped")
    for unit in random_groups(model, 12):
        logits = decoder.step_groups(unit)
        np.testing.assert_array_equal(logits, without.step_groups(unit))
        only_first.step_groups(unit)
        reference.step_groups(unit)
        own = unit[-1][0]
        n_sinks = 2
        seen = [reference._newest(region) for region in range(own + 1)]
        for captured, layers in ((decoder, [0, 1]), (only_first, [0])):
            weights = np.mean([reference.weights_seen[i].mean(axis=0) for i in layers], axis=0)
            at = n_sinks
            for region, rows in enumerate(seen):
                ours = captured.attention(region)
                np.testing.assert_allclose(ours, weights[at : at + len(rows)], atol=1e-5)
                at += len(rows)
        if own == 0:
            assert decoder.attention(1).shape == (0,)
    assert without.attention(0).shape == (0,)
