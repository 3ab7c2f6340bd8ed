# SPDX-License-Identifier: Apache-2.0
"""The ring on a device that is not the CPU, where this build of ggml has one.

`pytest -rP tests/decoder/test_decoder_device.py` prints the differences from float64 that
docs/decoder.md lists. A device may multiply in float16 where the CPU does in float32; a defect of
the ring is larger than that by far.
"""

import numpy as np
import pytest
from float64_exit import Float64Exit
from float64_llama import Float64Llama
from float64_regions import Float64Regions
from float64_retention import Float64Retention
from test_decoder_architectures import SHAPES, soften
from test_decoder_parity import token_rows
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import (
    GgufModel,
    InterleavedLoop,
    LoopConfig,
    RingDecoder,
    WaitK,
    device_names,
)

OTHERS = [name for name in device_names().split(", ") if name != "CPU"]
pytestmark = pytest.mark.skipif(not OTHERS, reason="ggml has no device beside the CPU")
BOUND, DEFECT = 0.05, 0.1
LAPS = 21
N_SINKS, WINDOW = 2, 6
MEMORY = {"n_sinks": N_SINKS, "window": WINDOW}
CUT = [1, 1, 2, 1, 4, 1]  # rows of a step, again and again


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gguf")


@pytest.fixture(params=OTHERS)
def device(request):
    return request.param


def soft_weights(shape):
    weights = random_weights(shape)
    for key, values in weights.items():
        soften(key, values)
    return weights


def make(folder, device, name="llama", kind="f32"):
    shape = TinyShape(
        **SHAPES[name] | {"architecture": name.split("-")[0], "tied": False},
        **{} if "n_layers" in SHAPES[name] else {"n_layers": 2},
    )
    weights = soft_weights(shape)
    path = write_gguf(folder / f"{name}-{kind}.gguf", shape, weights, kind)
    return GgufModel(str(path), device=device), shape, weights


def ring(model, **options):
    return RingDecoder(model, **(MEMORY | {"kv_type": "f32", "max_rows": 4} | options))


def in_steps(decoder, rows):
    """The logits after each step, however many rows it has."""
    seen, at = [], 0
    while at < len(rows):
        n = CUT[len(seen) % len(CUT)]
        seen.append(decoder.step(rows[at : at + n]))
        at += n
    return np.stack(seen)


def difference(ours, expected, what):
    worst = float(np.abs(ours - expected).max())
    print(f"{what}: {worst:.1e}")
    return worst


@pytest.mark.parametrize("name", SHAPES)
def test_after_many_laps_it_is_the_float64_definition(folder, device, name):
    model, shape, weights = make(folder, device, name)
    assert model.device == device
    rows = token_rows(model, N_SINKS + LAPS * WINDOW)
    ours = in_steps(ring(model), rows)
    expected = in_steps(Float64Llama(shape, weights, **MEMORY), rows)
    assert difference(ours, expected, f"{device}, {name}") <= BOUND
    wrong = in_steps(Float64Llama(shape, weights, **MEMORY, turn_sinks=False), rows)
    assert np.abs(ours - wrong).max() > DEFECT, "a defect would not have been seen"


@pytest.mark.parametrize("kv_type", ["f16", "bf16"])
@pytest.mark.parametrize("kind", ["f16", "q8_0", "q4_K"])
def test_it_computes_what_the_cpu_computes_of_the_same_file(folder, device, kind, kv_type):
    model, _, _ = make(folder, device, kind=kind)
    on_cpu = GgufModel(str(folder / f"llama-{kind}.gguf"))
    rows = token_rows(model, N_SINKS + 5 * WINDOW)
    ours, expected = (in_steps(ring(each, kv_type=kv_type), rows) for each in (model, on_cpu))
    # Both round activations where weights are quantized, each in its own way.
    bound = {"f16": BOUND, "q8_0": 0.3, "q4_K": 0.6}[kind]
    assert difference(ours, expected, f"{device}, weights {kind}, keys {kv_type}") <= bound


@pytest.mark.parametrize("layout", ["one-clock", "grouped", "overlap"])
def test_regions_are_their_float64_definition(folder, device, layout):
    model, shape, weights = make(folder, device)
    windows = [("input", 9), ("output", 6)]
    ours = ring(model, window=windows, layout=layout)
    reference = Float64Regions(
        shape, weights, n_sinks=N_SINKS, windows=[9, 6], layout=layout, gap=0
    )
    rows = token_rows(model, 120)
    given, expected = [], []
    for at in range(0, 120, 5):
        groups = [(0, rows[at : at + 3]), *([(1, rows[at + 3 : at + 5])] if at else [])]
        given.append(ours.step_groups(groups)[-1])
        expected.append(reference.step_groups(groups)[-1])
        ours.begin_unit()
        reference.begin_unit()
    assert difference(np.stack(given), np.stack(expected), f"{device}, {layout}") <= BOUND


def test_captured_attention_is_the_cpus(folder, device):
    model, _, _ = make(folder, device)
    on_cpu = GgufModel(str(folder / "llama-f32.gguf"))
    rows = token_rows(model, 30)
    for layers in ([0], [0, 1]):
        ours, expected = (ring(each, attention_layers=layers) for each in (model, on_cpu))
        for at, n in [(0, 4), (4, 3), (7, 1), (8, 4), (12, 2)]:
            ours.step(rows[at : at + n])
            expected.step(rows[at : at + n])
            given = ours.attention(0)
            assert difference(given, expected.attention(0), f"{device}, attention") <= 0.005
            assert given.max() > 0.1


@pytest.mark.parametrize("retention", ["heavy-hitter", "merge"])
def test_retention_is_its_float64_definition(folder, device, retention):
    model, shape, weights = make(folder, device)
    memory = {"n_sinks": N_SINKS, "window": 20, "recent": 6, "evict_rows": 4}
    rows = token_rows(model, 80)
    ours = ring(model, **memory, retention=retention)
    reference = Float64Retention(shape, weights, merges=retention == "merge", **memory)
    given, expected = (
        np.stack([each.step(row[None]) for row in rows]) for each in (ours, reference)
    )
    assert difference(given, expected, f"{device}, {retention}") <= BOUND


@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_early_exit_is_its_float64_definition(folder, device, threshold):
    model, shape, weights = make(folder, device)
    rows = token_rows(model, 30)
    options = {"exit_layer": 1, "exit_threshold": threshold}
    ours = in_steps(ring(model, **options), rows)
    expected = in_steps(Float64Exit(shape, weights, **MEMORY, **options), rows)
    assert difference(ours, expected, f"{device}, exits from {threshold}") <= BOUND


def test_a_state_moves_between_devices_and_proposals_are_taken_back(folder, device):
    model, _, _ = make(folder, device)
    on_cpu = GgufModel(str(folder / "llama-f32.gguf"))
    rows = token_rows(model, 60)
    plain, other = ring(on_cpu), ring(model)
    for decoder in (plain, other):
        in_steps(decoder, rows[:40])
        decoder.propose([(0, rows[50:53])])
        decoder.keep(1)
    fork = other.fork()
    other.save(str(folder / "state.bin"))
    moved = ring(on_cpu)
    moved.restore(str(folder / "state.bin"))
    expected = in_steps(plain, rows[40:])
    np.testing.assert_array_equal(in_steps(fork, rows[40:]), in_steps(other, rows[40:]))
    assert difference(in_steps(moved, rows[40:]), expected, f"{device} to CPU") <= BOUND
    back = ring(model)
    plain.save(str(folder / "back.bin"))
    back.restore(str(folder / "back.bin"))
    again = token_rows(model, 12, seed=7)
    assert difference(in_steps(back, again), in_steps(plain, again), "CPU to it") <= BOUND


def test_a_loop_writes_the_same_text_every_time(folder, device):
    model, _, _ = make(folder, device)
    rows = token_rows(model, 12)
    config = LoopConfig(unit_rows=3, max_tokens_per_unit=4)
    texts = []
    for cuts in ([12], [1] * 12):
        loop = InterleavedLoop(ring(model, window=20), WaitK(0), config)
        parts = np.split(rows, np.cumsum(cuts)[:-1])
        tokens = [loop.push(part)[0] for part in parts] + [loop.finish()[0]]
        texts.append(np.concatenate(tokens).tolist())
    assert texts[0] == texts[1]
    assert len(texts[0]) >= 16


@pytest.mark.parametrize("kv_type", ["q8_0", "q4_0"])
def test_what_the_device_cannot_compute_is_refused_before_anything_runs(folder, device, kv_type):
    model, _, _ = make(folder, device)
    with pytest.raises(RuntimeError, match=f"{device} cannot compute .*; use the device CPU"):
        ring(model, kv_type=kv_type)
