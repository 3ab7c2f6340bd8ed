# SPDX-License-Identifier: Apache-2.0
"""Every architecture against libllama before the ring wraps, and against float64 long after."""

import numpy as np
import pytest
from float64_llama import Float64Llama
from libllama import Libllama
from test_decoder_parity import FOLDED_BOUND, LAPS, N_SINKS, WINDOW, steps, token_rows
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

# Each with what its files can have that others cannot.
SHAPES = {
    "llama": {"rope_factors": True},
    "llama-linear": {"rope_scaling": "linear", "rope_factor": 4.0},
    "llama-yarn": {"rope_scaling": "yarn", "rope_factor": 4.0},
    "smollm3": {"n_layers": 5, "tied": True},
    "qwen2": {"tied": True},
    "qwen3": {"head_width": 32},
    # libllama takes no epsilon from files of this architecture, but zero.
    "qwen2vl": {"rms_epsilon": 1e-30},
    "qwen3vl": {},
    "gemma3-local": {"local_window": 12, "local_period": 2, "rope_base": 1e6, "tied": True},
    "gemma3": {"n_layers": 4, "head_width": 128, "rope_base": 1e6, "tied": True},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gguf")


def make(folder, name, kind="f32", **changes):
    architecture = name.split("-")[0]
    shape = TinyShape(**({"architecture": architecture} | SHAPES[name] | changes))
    weights = random_weights(shape)
    return write_gguf(folder / f"{name}.gguf", shape, weights, kind), shape, weights


@pytest.mark.parametrize("kind", ["f16", "q8_0", "q4_K"])
@pytest.mark.parametrize("name", SHAPES)
def test_every_logit_is_libllamas_when_each_head_has_its_own_keys(folder, name, kind):
    path, _, _ = make(folder, name, kind, n_kv_heads=4)
    model = GgufModel(str(path))
    rows = token_rows(model, 150)
    decoder = RingDecoder(model, n_sinks=4, window=200)
    with Libllama(path) as oracle:
        np.testing.assert_array_equal(steps(decoder, rows), steps(oracle, rows))


@pytest.mark.parametrize("name", SHAPES)
def test_folded_heads_and_chunks_are_libllamas_up_to_the_order_of_sums(folder, name):
    path, _, _ = make(folder, name, "f16")
    model = GgufModel(str(path))
    rows = token_rows(model, 127)
    decoder = RingDecoder(model, n_sinks=4, window=200)
    with Libllama(path) as oracle:
        at = 0
        for n in (4, 32, 16, 8, 1, 2, 64):
            chunk = rows[at : at + n]
            assert np.abs(decoder.step(chunk) - oracle.step(chunk)).max() <= FOLDED_BOUND["f16"]
            at += n


@pytest.mark.parametrize("name", SHAPES)
def test_tokens_are_embedded_as_libllama_embeds_them(folder, name):
    path, shape, _ = make(folder, name, n_kv_heads=4)
    model = GgufModel(str(path))
    tokens = [int(t) for t in np.random.default_rng(3).integers(0, shape.n_vocab, 20)]
    decoder = RingDecoder(model, n_sinks=4, window=200)
    with Libllama(path) as oracle:
        for token in tokens:
            ours = decoder.step(model.token_embedding(token)[None])
            np.testing.assert_array_equal(ours, oracle.step_tokens([token]))


def drift(folder, name, edit, **defect):
    """Largest difference from float64 of each row's logits, over many laps of the ring."""
    # Logits of the size that the others have, and no deeper than it takes to have every kind.
    shape = TinyShape(
        **SHAPES[name] | {"architecture": name.split("-")[0], "tied": False},
        **{} if "n_layers" in SHAPES[name] else {"n_layers": 2},
    )
    weights = random_weights(shape)
    for key, values in weights.items():
        edit(key, values)
    model = GgufModel(str(write_gguf(folder / "drift.gguf", shape, weights)))
    rows = token_rows(model, N_SINKS + LAPS * WINDOW)
    reference = Float64Llama(shape, weights, n_sinks=N_SINKS, window=WINDOW, **defect)
    decoder = RingDecoder(
        model, n_sinks=N_SINKS, window=WINDOW, kv_type="f32", max_rows=8, rebase_rows=40
    )
    return np.abs(steps(decoder, rows) - steps(reference, rows)).max(axis=1)


def soften(key, values):
    """Sharp attention of random weights would amplify float32's rounding layer by layer."""
    if ".attn_q." in key or ".attn_k." in key:
        values *= 0.5


def soften_and_silence(key, values):
    """Without what feed-forward adds: ggml has GELU in a table of float16."""
    soften(key, values)
    if ".post_ffw_norm." in key:
        values[:] = 0


@pytest.mark.parametrize("name", SHAPES)
def test_after_many_laps_it_still_is_the_float64_definition(folder, name):
    difference = drift(folder, name, soften_and_silence)
    assert difference.max() <= 1e-4


def test_gelus_table_is_all_that_sets_gemma_apart_from_float64(folder):
    difference = drift(folder, "gemma3", soften)
    assert difference.max() <= 1e-2
    assert np.median(difference) <= 1e-4


@pytest.mark.parametrize("name", SHAPES)
def test_the_comparison_notices_sinks_that_are_not_turned(folder, name):
    difference = drift(folder, name, soften_and_silence, turn_sinks=False)
    assert difference[:WINDOW].max() <= 1e-4, "nothing has left the window yet"
    assert difference[-WINDOW:].max() > 0.1


@pytest.mark.parametrize("layout", ["grouped", "one-clock"])
def test_axes_of_positions_hold_in_regions(folder, layout):
    """Where text has one number on every axis, axes turn nothing that one position does not."""
    path, _, weights = make(folder, "qwen2vl")
    plain = write_gguf(
        folder / "plain.gguf", TinyShape(architecture="qwen2", rms_epsilon=1e-30), weights
    )
    windows = {"window": [("input", 9), ("output", 5)], "layout": layout}
    with_axes, without = (
        RingDecoder(GgufModel(str(p)), n_sinks=2, kv_type="f32", max_rows=4, **windows)
        for p in (path, plain)
    )
    rows = token_rows(with_axes, 120)
    for at in range(0, 120, 6):
        groups = [(0, rows[at : at + 4]), (1, rows[at + 4 : at + 6])]
        ours, expected = (d.step_groups(groups, logits="every") for d in (with_axes, without))
        np.testing.assert_array_equal(ours, expected)
        with_axes.begin_unit()
        without.begin_unit()
