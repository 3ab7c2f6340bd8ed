# SPDX-License-Identifier: Apache-2.0
"""Voxtral Realtime: a checkpoint is converted, loaded and run; transformers says what is right."""

import json
import shutil

import numpy as np
import pytest
import tiny_kyutai
import tiny_voxtral as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_events import events_of

import edgestream as es
from edgestream._native import ConcatenatedLoop, RingDecoder, SpecialTokens
from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.registry import find_converter
from edgestream.errors import ModelError, UsageError
from edgestream.onnx.encoder import Encoder
from edgestream.policy import WaitK

N_STEPS = 60
SOUND = tiny.sound(N_STEPS)
EXPECTED = {
    int(d): ids for d, ids in json.loads((tiny.FOLDER / "expected.json").read_text()).items()
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return es.load(tiny_kyutai.convert(tiny.FOLDER, tmp_path_factory.mktemp("voxtral") / "f32"))


@pytest.fixture
def checkpoint(tmp_path):
    return shutil.copytree(tiny.FOLDER, tmp_path / "checkpoint")


def rows_of(model, samples):
    stages = model.stream().stages
    mel = stages.mel.push(stages.lead.push(samples))
    return Encoder(model.encoder).push(stages.chunker.push(mel))


def tokens_of(model, rows, delay):
    """Slots from the prompt's last on, with keys and values as exact as the reference's."""
    window = model.manifest.decoder.window
    ring = RingDecoder(
        model.decoder, n_sinks=0, window=window, kv_type="f32", max_rows=1, delay=delay
    )
    special = SpecialTokens(
        pad=tiny.PAD, bos=tiny.BOS, n_text=tiny.N_VOCAB, prompt_pads=tiny.PAD_STEPS
    )
    loop = ConcatenatedLoop(ring, WaitK(0), special, delay_frames=delay, pad_bias=0.0)
    tokens = loop.push(rows)[0].tolist()
    n_prompt = tiny.PAD_STEPS + delay
    assert tokens[:n_prompt] == [tiny.PAD] * n_prompt
    return tokens[n_prompt:]


@pytest.mark.parametrize("delay", sorted(EXPECTED))
def test_the_whole_input_gives_what_transformers_writes(model, delay):
    assert tokens_of(model, rows_of(model, SOUND), delay) == EXPECTED[delay]


def test_the_delay_is_heard(model):
    assert len({tuple(ids[:20]) for ids in EXPECTED.values()}) == len(EXPECTED)
    assert all(len(set(ids)) > 5 for ids in EXPECTED.values())
    assert model.decoder.n_delays == 31
    for delay in (-1, 31):
        with pytest.raises(ValueError, match="delay"):
            RingDecoder(model.decoder, n_sinks=0, window=4, delay=delay)
    with pytest.raises(ValueError, match="not told"):
        RingDecoder(es.load("synthetic-en").decoder, n_sinks=0, window=4, delay=1)


def test_a_saved_stream_does_not_go_on_with_another_delay(model, tmp_path):
    def ring(delay):
        return RingDecoder(model.decoder, n_sinks=0, window=4, delay=delay)

    six = ring(6)
    six.step(np.ones((1, six.n_embd), np.float32))
    six.save(str(tmp_path / "state"))
    ring(6).restore(str(tmp_path / "state"))
    with pytest.raises(ValueError, match="delay"):
        ring(7).restore(str(tmp_path / "state"))


def test_the_delay_is_chosen_for_each_stream(model):
    assert model.stream().delay_ms == 480
    assert model.stream(delay_ms=2400).delay_ms == 2400
    for delay_ms in (160, 2480):
        with pytest.raises(UsageError, match="240 to 2400"):
            model.stream(delay_ms=delay_ms)


@pytest.fixture(scope="module")
def whole(model):
    return {d: events_of(model.stream(delay_ms=d), [SOUND]) for d in (240, 480)}


@settings(max_examples=15)
@given(
    st.sampled_from([240, 480]),
    st.lists(st.integers(0, len(SOUND)), max_size=12),
    st.integers(0, 3000),
)
def test_any_cutting_of_the_samples_gives_the_same_events(model, whole, delay_ms, cuts, small):
    parts = np.split(SOUND, sorted([*cuts, *range(0, small, 37)]))
    assert events_of(model.stream(delay_ms=delay_ms), parts) == whole[delay_ms]


def test_words_have_times_of_the_source(whole):
    finals = [e for e in whole[480] if isinstance(e, es.Final)]
    words = [word for final in finals for word in final.words]
    assert words
    assert all(0 <= word.start_ms <= word.end_ms <= word.emitted_ms for word in words)
    assert words[-1].end_ms <= 80 * N_STEPS + 1000


def test_tokens_of_bytes_make_letters(model):
    assert model.pieces[tiny.PAD] == model.pieces[tiny.BOS] == ""
    assert model.pieces[tiny.N_SPECIAL + 256] == "▁a"
    assert model.pieces[tiny.N_SPECIAL + ord("x")] == "x"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("projector_hidden_act", "relu", "projector_hidden_act"),
        ("downsample_factor", 2, "audio_length_per_tok"),
        ("audio_config", {"hidden_act": "gelu"}, "hidden_act"),
        ("audio_config", {"num_mel_bins": 0}, "num_mel_bins"),
        ("text_config", {"vocab_size": 100}, "320 tokens"),
        ("text_config", {"rope_parameters": {"rope_type": "yarn"}}, "rope_type"),
        ("default_num_delay_tokens", 31, "default_num_delay_tokens"),
    ],
)
def test_what_is_not_computed_is_refused(checkpoint, tmp_path, key, value, said):
    path = checkpoint / "config.json"
    config = json.loads(path.read_text())
    part = config.get(key)
    config[key] = part | value if isinstance(part, dict) else value
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match=said) as error:
        tiny_kyutai.convert(checkpoint, tmp_path / "out")
    assert "\n" not in str(error.value)


def test_a_tokenizer_without_the_tokens_of_the_prompt_is_refused(checkpoint, tmp_path):
    path = checkpoint / "tekken.json"
    path.write_text(path.read_text().replace("[STREAMING_PAD]", "[SOMETHING]"))
    with pytest.raises(ModelError, match="STREAMING_PAD"):
        tiny_kyutai.convert(checkpoint, tmp_path / "out")


@pytest.fixture(scope="module")
def original():
    pytest.importorskip("transformers")
    return tiny.make(seed=3)


def test_mel_and_rows_are_those_of_transformers(original, tmp_path):
    import torch

    folder = tiny_kyutai.convert(tiny.save(original, tmp_path / "source"), tmp_path / "out")
    model, features = es.load(folder), tiny.features(SOUND)
    stages = model.stream().stages
    mel = stages.mel.push(stages.lead.push(SOUND))
    expected = features[0].numpy().T
    assert np.abs((mel[: len(expected)] + 4) / 4 - expected[: len(mel)]).max() < 1e-4
    rows = rows_of(model, SOUND)
    with torch.no_grad():
        expected = original.get_audio_features(features, return_dict=True).pooler_output[0].numpy()
    assert np.abs(rows - expected[: len(rows)]).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("delay", [3, 30])
def test_other_weights_write_what_transformers_writes(original, tmp_path, delay):
    folder = tiny_kyutai.convert(tiny.save(original, tmp_path / "source"), tmp_path / "out")
    model = es.load(folder)
    tokens = tokens_of(model, rows_of(model, SOUND), delay)
    assert tokens == tiny.written(original, SOUND, delay)


@pytest.mark.parametrize("quant", ["f32", "q8_0"])
def test_verify_compares_with_the_source(original, tmp_path, quant):
    source = tiny.save(original, tmp_path / "source")
    folder = tiny_kyutai.convert(source, tmp_path / "out", quant)
    checkpoint = Checkpoint(source)
    comparison = find_converter(checkpoint).compare(checkpoint, folder)
    assert comparison.holds
    assert comparison.n_tokens >= 20
    # Another model's weights are seen to be others.
    other = tiny_kyutai.convert(tiny.FOLDER, tmp_path / "other", quant)
    assert not find_converter(checkpoint).compare(checkpoint, other).holds
