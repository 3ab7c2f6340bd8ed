# SPDX-License-Identifier: Apache-2.0
"""Layers that depend on the stream's delay: a table of scales before each feed-forward."""

import gguf
import numpy as np
import pytest
from tiny_llama import F32, TinyShape, add_metadata, random_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

SHAPE = TinyShape(n_embd=64, n_ff=64, n_heads=4, n_kv_heads=2, n_vocab=40)
N_DELAYS = 5
WEIGHTS = random_weights(SHAPE)
SCALES = np.random.default_rng(1).uniform(0.2, 2.0, (SHAPE.n_layers, N_DELAYS, 64))
SCALES = SCALES.astype(np.float32)
TABLES = {f"blk.{i}.ffn_delay_scale": SCALES[i] for i in range(SHAPE.n_layers)}


def ring(path, **options):
    return RingDecoder(GgufModel(str(path)), n_sinks=1, window=6, kv_type="f32", **options)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "delays.gguf", SHAPE, WEIGHTS | TABLES)


def rows(n):
    return np.random.default_rng(2).standard_normal((n, 64)).astype(np.float32)


@pytest.mark.parametrize("delay", range(N_DELAYS))
def test_a_delays_scales_are_those_that_its_norms_could_have_had(path, tmp_path, delay):
    folded = {
        f"blk.{i}.ffn_norm.weight": WEIGHTS[f"blk.{i}.ffn_norm.weight"] * SCALES[i, delay]
        for i in range(SHAPE.n_layers)
    }
    plain = ring(write_gguf(tmp_path / "plain.gguf", SHAPE, WEIGHTS | folded))
    told = ring(path, delay=delay)
    for row in rows(20):
        np.testing.assert_allclose(told.step(row[None]), plain.step(row[None]), atol=1e-4)
    other = ring(path, delay=(delay + 1) % N_DELAYS)
    assert np.abs(other.step(rows(1)) - ring(path, delay=delay).step(rows(1))).max() > 0.1


def test_a_fork_keeps_the_delay(path):
    first = ring(path, delay=3)
    first.step(rows(4))
    fork = first.fork()
    np.testing.assert_array_equal(fork.step(rows(1)), first.step(rows(1)))


def test_delays_that_the_model_has_not_are_refused(path, tmp_path):
    assert GgufModel(str(path)).n_delays == N_DELAYS
    for delay in (-1, N_DELAYS):
        with pytest.raises(ValueError, match="this model has 0 to 4"):
            ring(path, delay=delay)
    with pytest.raises(ValueError, match="not told its delay"):
        ring(write_gguf(tmp_path / "plain.gguf", SHAPE, WEIGHTS), delay=1)


def write(path, tables):
    writer = gguf.GGUFWriter(path, "llama")
    add_metadata(writer, SHAPE)
    for name, (values, kind) in tables.items():
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


Q8_0 = gguf.GGMLQuantizationType.Q8_0
ONE, TWO = TABLES


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({ONE: (SCALES[0], F32)}, f"{TWO} is missing"),
        ({TWO: (SCALES[1], F32)}, f"{TWO} has no place"),
        ({ONE: (SCALES[0], F32), TWO: (SCALES[1, :4], F32)}, TWO),
        ({ONE: (SCALES[0], Q8_0), TWO: (SCALES[1], F32)}, "must be F32"),
        ({ONE: (SCALES[0, :, :32].copy(), F32), TWO: (SCALES[1], F32)}, ONE),
        ({ONE: (np.ones((4097, 64), np.float32), F32), TWO: (SCALES[1], F32)}, "4097 delays"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, tables, said):
    whole = {name: (values, F32) for name, values in WEIGHTS.items()}
    with pytest.raises(ValueError, match=said) as error:
        GgufModel(write(tmp_path / "damaged.gguf", whole | tables))
    assert "\n" not in str(error.value)
