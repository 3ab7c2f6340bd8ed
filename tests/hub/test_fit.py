# SPDX-License-Identifier: Apache-2.0
"""The fit check counts what the decoder really takes, and answers plainly."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgestream as es
from edgestream._native import RingDecoder
from edgestream.hub import fit
from edgestream.hub.fit import Fit
from edgestream.library.gguf_header import read_shape
from edgestream.library.manifest.vlm import (
    VlmDecoderSpec,
    VlmManifest,
    VlmPictureSpec,
    VlmPromptSpec,
    VlmTowerSpec,
)
from edgestream.library.needs import Demand, Needs, Speed, step_s
from edgestream.speech.reencoded.family import STEP_TOKENS, WINDOW_ROWS, window_s
from edgestream.vision.vlm.family import PATCHES, TURN_ROWS

MODEL = es.load("synthetic-en")
SIZES = {name: (MODEL.folder / name).stat().st_size for name in MODEL.manifest.files}
SHAPE = read_shape((MODEL.folder / "decoder.gguf").open("rb").read, "decoder.gguf")


@pytest.mark.parametrize(("n_sinks", "window"), [(0, 32), (2, 125), (4, 1020), (64, 4000)])
def test_keys_and_values_are_what_the_ring_takes(n_sinks, window):
    manifest = dataclasses.replace(
        MODEL.manifest,
        decoder=dataclasses.replace(MODEL.manifest.decoder, n_sinks=n_sinks, window=window),
    )
    needs = fit.needs(manifest, SIZES, SHAPE)
    ring = RingDecoder(MODEL.decoder, n_sinks=n_sinks, window=window, max_rows=1)
    assert needs.kv_bytes <= ring.state_bytes
    decoder_bytes = needs.kv_bytes + needs.activation_bytes - SIZES["encoder.onnx"]
    assert decoder_bytes == pytest.approx(ring.state_bytes, rel=0.1, abs=200_000)


def test_weights_are_those_of_the_files():
    needs = fit.needs(MODEL.manifest, SIZES, SHAPE)
    assert needs.weights_bytes == SIZES["encoder.onnx"] + SIZES["decoder.gguf"]
    assert needs.weights_bytes > MODEL.decoder.weight_bytes


NEEDS = Needs(100_000_000, 20_000_000, 5_000_000)


@given(st.integers(1, 10**12), st.floats(0.1, 1000))
def test_a_problem_is_named_when_there_is_one(free_bytes, compute_ms):
    weighed = Fit(NEEDS, free_bytes, Demand(80, compute_ms))
    fits = NEEDS.total_bytes <= free_bytes and compute_ms <= 80
    assert (weighed.problem is None) == fits
    assert "\n" not in f"{weighed}{weighed.problem}"


@given(st.integers(1, 10**12), st.floats(1e-12, 1e-6), st.floats(1e6, 1e12))
def test_a_step_takes_what_the_slower_of_computing_and_memory_takes(n, s_per_byte, bytes_per_s):
    took = step_s(Speed(s_per_byte, bytes_per_s, 1e9), n)
    assert took == pytest.approx(max(n * s_per_byte, n / bytes_per_s))


def test_the_probe_measures_this_machine():
    probed = fit.probe(0.2)
    assert 1e-13 < probed.s_per_byte < 1e-6
    assert 1e7 < probed.bytes_per_s < 1e13
    assert 1e7 < probed.flop_per_s < 1e15


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.floats(1e9, 1e13))
def test_a_window_takes_its_products_and_then_its_tokens(encoder, decoder, flop_per_s):
    probed = Speed(1e-10, 1e9, flop_per_s)
    sizes = {"config.json": 10**9, "decoder_model_merged_int8.onnx": decoder}
    took = [
        window_s(probed, {**sizes, f"encoder_model{suffix}.onnx": encoder * n_bytes})
        for suffix, n_bytes in (("_quantized", 1), ("_fp16", 2), ("", 4))
    ]
    expected = 2 * encoder * WINDOW_ROWS / flop_per_s
    expected += STEP_TOKENS * step_s(probed, decoder)
    assert took == pytest.approx(3 * [expected])


def test_free_memory_and_disk_are_found(tmp_path):
    assert 1_000_000 < fit.free_memory_bytes() < 1e14
    assert fit.free_disk_bytes(tmp_path / "not" / "there") > 0


@pytest.mark.parametrize(
    ("n_bytes", "said"), [(413_632, "0.414 MB"), (9_148_100, "9.15 MB"), (2.83e9, "2.83 GB")]
)
def test_sizes_are_for_people(n_bytes, said):
    assert fit.mb(n_bytes) == said


def test_a_vision_language_model_needs_what_its_regions_and_files_take():
    manifest = VlmManifest(
        format=1, name="m", family="vlm", description="", languages=("en",), license="",
        files={"d": "0" * 64, "t": "0" * 64},
        tower=VlmTowerSpec("t"), prompt=VlmPromptSpec(""),
        decoder=VlmDecoderSpec("d", text_sink=100, text_window=50, vision_window_s=4.0),
        pictures=VlmPictureSpec(fps=2.0, max_rows=64),
    )  # fmt: skip
    sizes = {"d": 10_000_000, "t": 2_000_000}
    needs = fit.needs(manifest, sizes, SHAPE)
    assert needs.weights_bytes == 12_000_000
    assert needs.kv_bytes == (150 + 8 * (64 + TURN_ROWS)) * SHAPE.kv_width * 2 * 3 // 2
    probed = Speed(s_per_byte=1e-9, bytes_per_s=1e12, flop_per_s=1e11)
    took = fit.fit(manifest, sizes, SHAPE, probed)
    products = 2 * (2e6 * PATCHES + 1e7 * (64 + TURN_ROWS))
    assert took.demand.compute_ms == pytest.approx(1000 * (products / 1e11 + 48 * 1e7 * 1e-9))
    assert took.demand.step_ms > 500  # it may look at fewer pictures than two a second
    assert "ms of pictures" in str(took)
