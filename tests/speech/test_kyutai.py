# SPDX-License-Identifier: Apache-2.0
"""Kyutai stt: a checkpoint is converted, loaded and run; transformers says what is right."""

import json
import shutil

import numpy as np
import pytest
import tiny_kyutai as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_events import events_of

import edgestream as es
from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.registry import find_converter
from edgestream.errors import ModelError, UsageError
from edgestream.onnx.encoder import Encoder
from edgestream.policy import WaitK

N_FRAMES = 80
SOUND = tiny.sound(N_FRAMES)
EXPECTED = json.loads((tiny.FOLDER / "expected.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.convert(tiny.FOLDER, tmp_path_factory.mktemp("kyutai") / "f32")


@pytest.fixture(scope="module")
def model(folder):
    return es.load(folder)


@pytest.fixture
def checkpoint(tmp_path):
    return shutil.copytree(tiny.FOLDER, tmp_path / "checkpoint")


def tokens_of(model, samples):
    rows = Encoder(model.encoder).push(samples.reshape(-1, tiny.FRAME, 1))
    return model.loop(WaitK(0), model.manifest.policy.delay_frames).push(rows)[0].tolist()


def test_the_whole_input_gives_what_transformers_writes(model):
    assert tokens_of(model, SOUND)[: len(EXPECTED)] == EXPECTED
    assert len(EXPECTED) == N_FRAMES - 1  # far beyond the windows of encoder and decoder
    assert len(set(EXPECTED)) > 15


def test_the_manifest_says_what_the_checkpoint_does(model):
    m = model.manifest
    assert (m.decoder.step_ms, m.decoder.window, m.decoder.n_sinks) == (80, 24, 0)
    assert m.audio.lead_samples == 24000
    assert m.policy.delay_frames == m.policy.max_delay_frames == 6  # of 0.5 s
    assert model.pieces[:4] == ["", "", "", ""]
    assert model.pieces[4] == "▁w4"


@pytest.fixture(scope="module")
def whole(model):
    return {rate: events_of(model.stream(rate_hz=rate), [SOUND]) for rate in (24000, 16000)}


@settings(max_examples=20)
@given(
    st.sampled_from([24000, 16000]),
    st.lists(st.integers(0, len(SOUND)), max_size=12),
    st.integers(0, 3000),
)
def test_any_cutting_of_the_samples_gives_the_same_events(model, whole, rate, cuts, small):
    stream = model.stream(rate_hz=rate)
    cuts = sorted([*cuts, *range(0, small, 37)])
    for _ in range(2):
        assert events_of(stream, np.split(SOUND, cuts)) == whole[rate]
        stream.reset()


def test_words_have_times_of_the_source(whole):
    finals = [e for e in whole[24000] if isinstance(e, es.Final)]
    words = [word for final in finals for word in final.words]
    assert len(words) > 5
    assert all(0 <= word.start_ms <= word.end_ms <= word.emitted_ms for word in words)
    # The end is silence: what the delay and the last words take after the sound.
    assert words[-1].end_ms <= 1000 * len(SOUND) / 24000 + 1000


def test_the_model_has_one_delay(model):
    with pytest.raises(UsageError, match="480"):
        model.stream(delay_ms=240)
    with pytest.raises(UsageError, match="no tokens for delays"):
        model.stream(confidence=0.5)


def test_eight_bits_are_near(model, tmp_path):
    small = es.load(tiny.convert(tiny.FOLDER, tmp_path / "q8", quant="q8_0"))
    assert (small.folder / "decoder.gguf").stat().st_size < 30_000
    row = np.ones((1, 32), np.float32)
    exact, near = (each._ring(6).step(row) for each in (model, small))
    assert 0 < np.abs(near - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("hidden_act", "gelu", "hidden_act"),
        ("vocab_size", 40, "shape"),
        ("num_codebooks", 5, "num_codebooks"),
        ("sliding_window", None, "sliding_window is missing"),
        ("audio_bos_token_id", 17, "audio_bos_token_id"),
        ("codec_config", {"use_causal_conv": False}, "use_causal_conv"),
        ("codec_config", {"upsampling_ratios": ["8"]}, "upsampling_ratios"),
        ("codec_config", {"num_semantic_quantizers": 40}, "num_semantic_quantizers"),
    ],
)
def test_what_is_not_computed_is_refused(checkpoint, tmp_path, key, value, said):
    path = checkpoint / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {key: value}))
    with pytest.raises(ModelError, match=said) as error:
        tiny.convert(checkpoint, tmp_path / "out")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tokenizer.json", "{}", "vocab is missing"),
        ("tokenizer.json", '{"model": {"vocab": [[1, 0.0]]}}', "vocab"),
        (
            "tokenizer.json",
            '{"model": {"vocab": ' + json.dumps([["a", 0]] * 50) + "}}",
            "50 pieces",
        ),
        ("preprocessor_config.json", '{"audio_delay_seconds": -1}', "delay"),
        ("preprocessor_config.json", '{"audio_silence_prefix_seconds": "1"}', "audio_silence"),
        ("preprocessor_config.json", "[", "JSON"),
    ],
)
def test_damaged_files_beside_the_weights_are_refused(checkpoint, tmp_path, name, text, said):
    (checkpoint / name).write_text(text)
    with pytest.raises(ModelError, match=said):
        tiny.convert(checkpoint, tmp_path / "out")


@pytest.mark.parametrize("quant", ["q9", "q4"])
def test_a_type_that_there_is_not_is_refused(tmp_path, quant):
    with pytest.raises(UsageError, match=f"--quant '{quant}'"):
        tiny.convert(tiny.FOLDER, tmp_path / "out", quant)


@pytest.fixture(scope="module")
def original():
    pytest.importorskip("transformers")
    return tiny.make(seed=3)


def test_each_frame_is_the_sum_of_the_embeddings_of_mimis_codes(original, tmp_path):
    """Nearest codes are discrete: where two are equally near, rounding may choose the other."""
    import torch

    folder = tiny.convert(tiny.save(original, tmp_path / "source"), tmp_path / "out")
    rows = Encoder(es.load(folder).encoder).push(SOUND.reshape(-1, tiny.FRAME, 1))
    with torch.no_grad():
        codes = original.codec_model.encode(torch.tensor(SOUND)[None, None]).audio_codes[0]
        starts = tiny.N_TEXT + tiny.N_CODES * torch.arange(tiny.N_BOOKS)[:, None]
        expected = original.model.embed_tokens.embed_tokens(codes + starts).sum(0).numpy()
    assert all(len(set(book)) > 4 for book in codes.tolist())
    off = np.abs(rows - expected).max(axis=1)
    assert (off > 1e-4).sum() <= 1


@pytest.mark.parametrize("seed", [1, 2])
def test_other_weights_write_what_transformers_writes(original, tmp_path, seed):
    model = tiny.make(seed)
    folder = tiny.convert(tiny.save(model, tmp_path / "source"), tmp_path / "out")
    expected = tiny.written(model, SOUND)
    assert tokens_of(es.load(folder), SOUND)[: len(expected)] == expected


def test_bfloat16_tables_lose_nothing(original, tmp_path):
    import torch

    half = tiny.make(seed=4)
    with torch.no_grad():
        for weight in half.parameters():
            weight.copy_(weight.bfloat16().float())
    expected = tiny.written(half, SOUND)
    out = tiny.convert(tiny.save(half, tmp_path / "source"), tmp_path / "out")
    assert tokens_of(es.load(out), SOUND)[: len(expected)] == expected
    whole = tiny.convert(tiny.FOLDER, tmp_path / "whole")
    assert (out / "encoder.onnx").stat().st_size < (whole / "encoder.onnx").stat().st_size


@pytest.mark.parametrize("quant", ["f32", "q8_0"])
def test_verify_compares_with_the_source(original, tmp_path, quant):
    source = tiny.save(original, tmp_path / "source")
    folder = tiny.convert(source, tmp_path / "out", quant)
    checkpoint = Checkpoint(source)
    comparison = find_converter(checkpoint).compare(checkpoint, folder)
    assert comparison.holds
    assert comparison.n_tokens >= 20
    # Another model's weights are seen to be others.
    other = tiny.convert(tiny.FOLDER, tmp_path / "other", quant)
    assert not find_converter(checkpoint).compare(checkpoint, other).holds
