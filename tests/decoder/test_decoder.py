# SPDX-License-Identifier: Apache-2.0
"""The ring decoder as Python sees it: shapes, errors, streams side by side, libraries."""

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import Decoder, GgufModel, RingDecoder

SHAPE = TinyShape(n_embd=64, n_ff=64, n_heads=4, n_kv_heads=2, n_vocab=40)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, SHAPE, random_weights(SHAPE), "q8_0")))


@pytest.fixture(scope="module")
def model_f32(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, SHAPE, random_weights(SHAPE), "f32")))


@pytest.fixture
def decoder(model):
    return RingDecoder(model, n_sinks=2, window=12)


def rows_of(model, n, seed=0):
    tokens = np.random.default_rng(seed).integers(0, model.n_vocab, n)
    return np.stack([model.token_embedding(int(t)) for t in tokens])


def run(decoder, rows):
    return np.stack([decoder.step(row[None]) for row in rows])


def test_shapes_and_positions(model, decoder):
    assert isinstance(decoder, Decoder)
    assert (decoder.n_embd, decoder.n_vocab, decoder.pos) == (64, 40, 0)
    logits = decoder.step(rows_of(model, 5))
    assert logits.shape == (40,)
    assert logits.dtype == np.float32
    assert decoder.pos == 5
    row = decoder.token_embedding(3)
    assert row.shape == (64,)
    np.testing.assert_array_equal(row, model.token_embedding(3))


def test_reset_begins_a_stream_like_the_first(model, decoder):
    rows = rows_of(model, 40)
    first = run(decoder, rows)
    decoder.reset()
    assert decoder.pos == 0
    np.testing.assert_array_equal(run(decoder, rows), first)


def test_the_logits_stay_what_they_were(model, decoder):
    rows = rows_of(model, 2)
    first = decoder.step(rows[:1])
    kept = first.copy()
    decoder.step(rows[1:])
    np.testing.assert_array_equal(first, kept)


def test_logits_of_every_row_are_those_of_single_steps(model_f32):
    rows = rows_of(model_f32, 45)
    single, decoder = (RingDecoder(model_f32, n_sinks=2, window=12, kv_type="f32") for _ in "ab")
    single = run(single, rows)
    every = decoder.step_groups([(0, rows[:20]), (0, rows[20:])], logits="every")
    np.testing.assert_allclose(every, single, atol=1e-4)
    assert decoder.pos == 45
    assert decoder.step_groups([(0, rows[:3])], logits="none").shape == (0, 40)
    assert decoder.step_groups([(0, rows[:3])]).shape == (1, 40)


@settings(max_examples=25)
@given(
    proposals=st.lists(
        st.tuples(st.integers(1, 8), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30
    )
)
def test_what_is_kept_of_proposals_is_the_stream(model_f32, proposals):
    rows = rows_of(model_f32, 200)
    options = {"n_sinks": 2, "window": 12, "kv_type": "f32", "max_rows": 8, "rebase_rows": 20}
    decoder, plain = (RingDecoder(model_f32, **options) for _ in range(2))
    at = 0
    for n_rows, kept_share, first_share in proposals:
        kept = round(kept_share * n_rows)
        chunk = rows[at : at + kept]
        wrong = rows_of(model_f32, n_rows - kept, seed=at) if kept < n_rows else rows[:0]
        proposal = np.concatenate([chunk, wrong])
        parts = np.split(proposal, [round(first_share * n_rows)])  # proposed by and by
        logits = np.concatenate([decoder.propose([(0, part)]) for part in parts if len(part)])
        assert logits.shape == (n_rows, 40)
        assert decoder.pos == at
        decoder.keep(kept)
        at += kept
        assert decoder.pos == at
        if kept:
            expected = plain.step_groups([(0, chunk)], logits="every")
            np.testing.assert_allclose(logits[:kept], expected, atol=1e-4)
    np.testing.assert_allclose(decoder.step(rows[-1:]), plain.step(rows[-1:]), atol=1e-4)


def test_a_fork_goes_its_own_way(model, decoder):
    rows = rows_of(model, 60)
    decoder.step(rows[:30])
    other = decoder.fork()
    assert isinstance(other, RingDecoder)
    assert other.pos == 30
    other.step(rows[:7])
    third = decoder.fork()
    ours = run(decoder, rows[30:])
    np.testing.assert_array_equal(run(third, rows[30:]), ours)
    assert not np.array_equal(other.step(rows[-1:]), ours[-1])


def test_calls_that_do_not_fit_a_proposal_are_refused(model, decoder):
    rows = rows_of(model, 40)
    with pytest.raises(ValueError, match="cannot keep 1 rows of an open proposal of 0"):
        decoder.keep(1)
    with pytest.raises(ValueError, match="a proposal of 40 rows, this decoder takes up to 32"):
        decoder.propose([(0, rows)])
    decoder.propose([(0, rows[:5])])
    with pytest.raises(ValueError, match="a proposal of 33 rows"):
        decoder.propose([(0, rows[:28])])
    for call in (decoder.fork, lambda: decoder.step(rows[:1])):
        with pytest.raises(ValueError, match="a proposal of 5 rows is open"):
            call()
    for n_rows in (-1, 6):
        with pytest.raises(ValueError, match=f"cannot keep {n_rows} rows of an open proposal of 5"):
            decoder.keep(n_rows)
    decoder.keep(0)
    assert decoder.pos == 0
    with pytest.raises(ValueError, match="there is no region 1; this decoder has 1"):
        decoder.step_groups([(1, rows[:1])])
    with pytest.raises(ValueError, match="logits of 'all' rows are not known"):
        decoder.step_groups([(0, rows[:1])], logits="all")
    with pytest.raises(ValueError, match="a step takes one or more groups"):
        decoder.step_groups([])


def test_metadata_and_token_texts(model):
    assert model.token_texts() == [f"<{i}>" for i in range(40)]
    assert model.metadata("general.architecture") == "llama"
    assert model.metadata("llama.block_count") == 2
    assert model.metadata("llama.rope.freq_base") == 10000.0
    assert model.metadata("tokenizer.ggml.token_type") == [1] * 40
    assert model.metadata("no.such.key") is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((1, 63), np.float32), "got rows of 63 numbers, this decoder takes 64"),
        (np.zeros((0, 64), np.float32), "got 0 numbers, a step takes one or more rows of 64"),
        (np.full((1, 64), np.nan, np.float32), "row 0 of the step holds a number that is not"),
        (
            np.concatenate([np.zeros((2, 64)), np.full((1, 64), np.inf)]).astype(np.float32),
            "row 2 of the step holds a number that is not finite",
        ),
        (np.full((1, 64), 1e19, np.float32), "row 0 of the step .* too large"),
    ],
)
def test_a_wrong_step_is_refused_and_nothing_is_taken(model, decoder, rows, message):
    before = decoder.step(rows_of(model, 3))
    with pytest.raises(ValueError, match=message):
        decoder.step(rows)
    assert decoder.pos == 3
    other = RingDecoder(model, n_sinks=2, window=12)
    np.testing.assert_array_equal(other.step(rows_of(model, 3)), before)
    np.testing.assert_array_equal(decoder.step(rows_of(model, 1)), other.step(rows_of(model, 1)))


def test_a_result_that_is_not_finite_fails_the_stream_until_it_is_reset(tmp_path):
    # Only token 1 has anything in column 0, from which the values overflow float16.
    shape = TinyShape(n_layers=1, n_embd=64, n_ff=64)
    weights = random_weights(shape)
    weights["token_embd.weight"][:, 0] = 0.0
    weights["token_embd.weight"][1, 0] = 1.0
    weights["blk.0.attn_v.weight"][:, 0] = 1e7
    model = GgufModel(str(write_gguf(tmp_path / "tiny.gguf", shape, weights)))
    decoder = RingDecoder(model, n_sinks=2, window=12)
    harmless = np.stack([model.token_embedding(t) for t in (0, 2, 3, 4, 5)])
    expected = run(decoder, harmless)
    with pytest.raises(RuntimeError, match="the logits are not finite"):
        decoder.step(model.token_embedding(1)[None])
    with pytest.raises(RuntimeError, match="an earlier step failed; reset the stream"):
        decoder.step(harmless[:1])
    decoder.reset()
    np.testing.assert_array_equal(run(decoder, harmless), expected)


@pytest.mark.parametrize("token", [-1, 40, 2**31 - 1])
def test_a_token_that_does_not_exist_is_refused(model, token):
    with pytest.raises(ValueError, match=f"there is no token {token}; this model has 40"):
        model.token_embedding(token)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_sinks": -1}, "n_sinks is -1, it must be 0 to 65536"),
        ({"window": 0}, "window is 0, it must be 1 to 1048576"),
        ({"max_rows": 3}, "max_rows is 3, it must be a power of two"),
        ({"rebase_rows": 1}, "rebase_rows is 1, it must be"),
        ({"n_threads": 0}, "n_threads is 0, it must be 1 to 256"),
        ({"kv_type": "q3"}, "keys and values of the type 'q3' are not supported"),
        ({"kv_type": "q8_0"}, "q8_0 need heads of a multiple of 32, this model's have 16"),
    ],
)
def test_a_configuration_out_of_range_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        RingDecoder(model, **({"n_sinks": 2, "window": 12} | options))


def test_an_unknown_device_is_refused_with_those_there_are(tmp_path):
    path = write_gguf(tmp_path / "tiny.gguf", SHAPE, random_weights(SHAPE))
    with pytest.raises(ValueError, match=r"there is no 'TPU9'; .* has: .*CPU"):
        GgufModel(str(path), device="TPU9")


def test_streams_of_one_model_run_side_by_side(model):
    inputs = [rows_of(model, 120, seed) for seed in range(4)]
    alone = [run(RingDecoder(model, n_sinks=2, window=12), rows) for rows in inputs]
    together = [None] * len(inputs)

    def work(i):
        together[i] = run(RingDecoder(model, n_sinks=2, window=12), inputs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


def test_two_threads_in_one_stream_are_told_apart(tmp_path):
    shape = TinyShape(n_layers=8, n_vocab=4000)
    path = write_gguf(tmp_path / "slower.gguf", shape, random_weights(shape))
    model = GgufModel(str(path))
    decoder = RingDecoder(model, n_sinks=0, window=512)
    rows, errors, done = rows_of(model, 64), [], threading.Event()

    def other():
        while not done.is_set() and not errors:
            try:
                decoder.step(rows[:1])
            except RuntimeError as error:
                errors.append(str(error))

    thread = threading.Thread(target=other)
    thread.start()
    try:
        for _ in range(200):
            decoder.step(rows)
            if errors:
                break
    except RuntimeError as error:
        errors.append(str(error))
    done.set()
    thread.join()
    assert errors
    assert all("another thread is using it" in e for e in errors)


def test_more_threads_give_the_same_logits(model):
    rows = rows_of(model, 30)
    one = run(RingDecoder(model, n_sinks=2, window=12, n_threads=1), rows)
    two = run(RingDecoder(model, n_sinks=2, window=12, n_threads=2), rows)
    np.testing.assert_allclose(two, one, atol=0.1)


def test_memory_is_taken_at_the_start(model, decoder):
    rows, before = rows_of(model, 300), decoder.state_bytes
    for row in rows:
        decoder.step(row[None])
    assert decoder.state_bytes == before
    assert before < 1 << 20


def test_the_model_outlives_its_name(tmp_path):
    path = write_gguf(tmp_path / "tiny.gguf", SHAPE, random_weights(SHAPE))
    decoder = RingDecoder(GgufModel(str(path)), n_sinks=1, window=4)
    path.unlink()
    assert np.isfinite(decoder.step(decoder.token_embedding(1)[None])).all()


@pytest.mark.parametrize(
    "order", [("llama_cpp", "edgestream._native"), ("edgestream._native", "llama_cpp")]
)
def test_both_import_orders_share_one_ggml(model, tmp_path, order):
    path = write_gguf(tmp_path / "tiny.gguf", SHAPE, random_weights(SHAPE))
    script = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parents[1] / "support")!r})
        import {order[0]}
        import {order[1]}
        from pathlib import Path
        from libllama import Libllama
        from edgestream._native import GgufModel, RingDecoder
        model = GgufModel({str(path)!r})
        row = model.token_embedding(5)[None]
        ours = RingDecoder(model, n_sinks=1, window=8).step(row)
        with Libllama(Path({str(path)!r})) as oracle:
            assert (ours == oracle.step(row)).all()
        maps = Path("/proc/self/maps")
        lines = maps.read_text().splitlines() if maps.exists() else []
        ggml = {{line.split()[-1] for line in lines if "libggml" in line}}
        print(len({{Path(p).resolve() for p in ggml if "ggml-base" in p}}))
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip() in {"0", "1"}, "two copies of libggml-base are loaded"
