# SPDX-License-Identifier: Apache-2.0
"""The decoder's benchmark: its own reference is right, its peer is what it is said to be."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from float64_llama import Float64Llama
from tiny_llama import TinyShape
from typer.testing import CliRunner

from edgestream._native import GgufModel
from edgestream.bench.decoder import measure as bench_decoder
from edgestream.bench.decoder.libllama import LibllamaModel, LibllamaStream
from edgestream.bench.decoder.measure import CHUNK_ROWS, KV_SIZES, QUICK, Run
from edgestream.bench.decoder.parity import (
    after_wrap_max_abs,
    before_wrap_max_abs,
    float64_logits,
    token_rows,
)
from edgestream.bench.decoder.speed import HALF_ROWS, Subject, compare_streams
from edgestream.bench.random_decoder import TINY, Shape, random_weights, write_for_timing
from edgestream.cli.main import app
from edgestream.errors import OperationError

SMALL = Shape(n_layers=1, n_embd=64, n_ff=64, n_heads=2, n_kv_heads=1, n_vocab=32)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_for_timing(tmp_path_factory.mktemp("gguf") / "small.gguf", SMALL)


@pytest.fixture
def peer(path):
    with LibllamaModel(path) as model:
        yield model


def test_the_ring_is_exact_before_and_after_it_wraps(tmp_path):
    assert before_wrap_max_abs(tmp_path) == 0.0
    assert 0.0 < after_wrap_max_abs(tmp_path) <= 1e-4


def test_the_reference_in_one_piece_is_the_one_row_by_row(tmp_path):
    shape = replace(TINY, n_kv_heads=2)
    weights = random_weights(shape)
    rows = np.random.default_rng(0).standard_normal((70, shape.n_embd)).astype(np.float32)
    whole = float64_logits(shape, weights, rows, n_sinks=3, window=20)
    one_by_one = Float64Llama(TinyShape(n_kv_heads=2, tied=True), weights, n_sinks=3, window=20)
    np.testing.assert_allclose(whole, [one_by_one.step(row[None]) for row in rows], atol=1e-9)


def test_files_for_timing_are_models_that_both_sides_read(path, peer):
    model = GgufModel(str(path))
    assert (model.n_embd, model.n_vocab, model.n_layers) == (64, 32, 1)
    assert (peer.n_embd, peer.n_vocab, peer.n_layers, peer.kv_width) == (64, 32, 1, 32)
    assert np.isfinite(token_rows(model, 5)).all()


@pytest.mark.parametrize("flash", [False, True])
def test_a_filled_stream_of_libllama_has_that_many_rows(peer, flash):
    stream = LibllamaStream(peer, 256, flash=flash, max_rows=2)
    stream.fill(255)
    rows = np.random.default_rng(0).standard_normal((2, 64)).astype(np.float32)
    first = stream.step(rows[:1])
    assert np.isfinite(first).all()
    with pytest.raises(OperationError, match="llama_decode failed at row 256"):
        stream.step(rows[:1])  # not one cell is left
    stream.take_back(1)
    np.testing.assert_array_equal(stream.step(rows[:1]), first)
    stream.take_back(1)
    assert np.abs(stream.step(rows[1:]) - first).max() > 0
    stream.drop(4, 100)
    assert stream.pos == 156
    stream.step(rows)
    assert stream.pos == 158
    stream.close()


def test_what_is_filled_in_is_seen(peer):
    row = np.ones((1, 64), np.float32)
    logits = []
    for seed in (0, 1):
        stream = LibllamaStream(peer, 256, flash=False)
        stream.fill(100, seed)
        logits.append(stream.step(row))
        stream.close()
    assert np.abs(logits[0] - logits[1]).max() > 0


def test_streams_are_compared_over_whole_periods_of_the_shift(path, peer):
    figures = compare_streams(Subject("small", path, peer), n_halves=1)
    assert figures["steps"] == HALF_ROWS
    for part in (figures, figures["cpu"]):
        assert all(part[name] > 0 for name in ("mean_ms", "p50_ms", "p99_ms"))
        assert part["p99_over_p50"] == part["p99_ms"] / part["p50_ms"]
        assert {"speedup_vs_shift_half", "speedup_vs_shift_one"} <= part.keys()


def test_a_run_compares_everything_it_has_time_for(path, peer):
    run = Run(replace(QUICK, small=(1, 1), half_billion=(1, 1), stream_halves=1))
    subject = Subject("small", path, peer)
    run.small(subject)
    run.two_threads(subject, subject)
    assert [(row["kv"], row["threads"]) for row in run.one_token] == [
        (kv, threads) for threads in (1, 2, 2) for kv in KV_SIZES
    ]
    assert [row["n"] for row in run.chunks] == list(CHUNK_ROWS)
    for row in run.one_token + run.chunks:
        assert row["ratio"] == row["ratio_to_faster" if row["n"] == 1 else "ratio_to_default"]
        assert row["ratio_to_default"] >= row["ratio_to_faster"] > 0
        kind = "processor" if row["threads"] == 1 else "wall"
        assert row["ratios_are_of"] == f"{kind} time"
    assert run.not_measured == []


def test_what_there_was_no_time_for_is_named(path, peer):
    run = Run(replace(QUICK, limit_s=-1.0))
    run.one_row(Subject("small", path, peer), (1, 1), n_threads=1)
    assert run.one_token == []
    assert run.not_measured[0] == "small, steps of 1, 256 keys, threads: 1"


def test_the_command_writes_what_was_measured(path, peer, tmp_path, monkeypatch):
    def short(model_name, *, quick):
        run = Run(replace(QUICK, small=(1, 1), stream_halves=1))
        run.small(Subject("small", path, peer))
        figures = {"machine": {"cpu": "any", "load_average_1min": time.monotonic()}}
        figures["parity"] = {"before_wrap_max_abs": 0.0, "after_wrap_max_abs_f32": 1e-5}
        return figures | {
            "one_token": run.one_token, "chunks": run.chunks, "stream": run.stream,
            "not_measured": ["the rest"],
        }  # fmt: skip

    monkeypatch.setattr(bench_decoder, "measure", short)
    file = tmp_path / "figures.json"
    done = CliRunner().invoke(app, ["bench", "decoder", "--quick", "--json", str(file)])
    assert done.exit_code == 0, done.output
    assert "No time for the rest" in done.stdout
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert {"shape", "kv", "threads", "ratio"} <= figures["one_token"][0].keys()
    assert {"n", "ratio"} <= figures["chunks"][0].keys()
    assert figures["stream"].keys() >= {
        "p50_ms", "p99_ms", "p99_over_p50", "speedup_vs_shift_half", "speedup_vs_shift_one",
    }  # fmt: skip
