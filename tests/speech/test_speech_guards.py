# SPDX-License-Identifier: Apache-2.0
"""Around an encoder-decoder: the voice gate, rules, guards, files that are not its."""

from __future__ import annotations

import contextlib
import json
import shutil

import numpy as np
import onnx
import pytest
import tiny_silero
import tiny_whisper as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from transformers_whisper import sound
from typer.testing import CliRunner

from edgestream.cli.main import app
from edgestream.errors import EdgestreamError, ModelError, UsageError
from edgestream.events import Draft, Final, Lag
from edgestream.speech.reencoded.config import read_speech_config, read_token_bytes
from edgestream.speech.reencoded.model import ReencodedModel, WindowSpec
from edgestream.speech.reencoded.rules import FORBIDDEN, HypothesisRules
from edgestream.speech.reencoded.voice import BLOCK_SAMPLES, VoiceGate, VoiceWeights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    return VoiceWeights(
        tiny_silero.write_loudness(tmp_path_factory.mktemp("vad") / "silero_vad.onnx")
    )


def answers(gate, samples, sizes):
    stream, at, found = VoiceGate(gate), 0, []
    for i in range(len(samples)):
        found.append(stream.push(samples[at : at + sizes[i % len(sizes)]]))
        at += sizes[i % len(sizes)]
        if at >= len(samples):
            break
    return np.concatenate([*found, stream.finish()]), stream


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=4))
def test_any_cutting_gives_the_voices_of_the_whole(gate, sizes):
    samples = np.concatenate([np.zeros(5000, np.float32), sound(0, 0.5)])
    whole, _ = answers(gate, samples, [len(samples)])
    pieces, stream = answers(gate, samples, sizes)
    assert np.array_equal(pieces, whole)
    assert len(whole) >= len(samples) // 160
    assert whole[:28].max() < 0.2  # 5000 samples are 31 rows; a block of 512 hears both
    assert whole[35:80].min() > 0.9
    assert stream._state[0, 0, 0] == np.ceil(len(samples) / BLOCK_SAMPLES)


def test_what_nobody_says_is_not_computed(folder, gate, monkeypatch):
    model = ReencodedModel(folder, WindowSpec(unit_ms=500, keep_ms=1500, max_ms=4000))
    model.voice = gate
    runs = []
    encode = model.weights.encode
    monkeypatch.setattr(model.weights, "encode", lambda rows: runs.append(1) or encode(rows))
    stream = model.stream(language="en")
    assert stream.push(np.zeros(80000, np.float32)) + stream.finish() == []
    assert not runs
    stream.reset()
    assert stream.push(sound(0, 4.0)) + stream.finish()
    assert runs


def test_a_file_that_is_no_vad_is_refused(folder):
    with pytest.raises(ModelError, match="Silero VAD takes"):
        VoiceWeights(folder / "onnx" / "encoder_model.onnx")


@pytest.fixture(scope="module")
def rules(folder):
    config = read_speech_config(folder)
    return HypothesisRules(config, read_token_bytes(folder, config), times=True)


@pytest.mark.parametrize(
    ("written", "loop"),
    [([5, 6, 7, 8] * 4, True), ([9] * 4, True), ([9] * 3, False), (list(range(40, 72)), False),
     ([*range(40, 72)] * 5, True), ([], False)],
)  # fmt: skip
def test_a_text_that_repeats_itself_ends(rules, written, loop):
    assert rules.is_loop(written) == loop
    logits = np.zeros(tiny.N_VOCAB, np.float32)
    rules.apply(logits, written)
    allowed = np.flatnonzero(logits > FORBIDDEN)
    assert (allowed.tolist() == [tiny.END]) == loop


@given(st.lists(st.integers(0, tiny.N_VOCAB - 1), max_size=30), st.integers(0, 99))
def test_there_is_always_something_that_may_follow(rules, written, seed):
    logits = np.random.default_rng(seed).normal(0, 5, tiny.N_VOCAB).astype(np.float32)
    rules.apply(logits, written)
    assert (logits > FORBIDDEN).any()
    assert not (logits[tiny.GENERATION["suppress_tokens"]] > FORBIDDEN).any()


def test_a_machine_that_is_behind_decodes_less_often_and_tells(folder, monkeypatch):
    model, samples = ReencodedModel(folder), np.concatenate([sound(i, 6.0) for i in range(4)])
    lengths, encode = [], model.weights.encode
    monkeypatch.setattr(
        model.weights, "encode", lambda rows: lengths.append(len(rows)) or encode(rows)
    )

    def run(behind_ms):
        lengths.clear()
        stream = model.stream(language="en", vad="off", behind_ms=behind_ms)
        blocks = np.split(samples, range(4000, len(samples), 4000))
        events = [event for block in blocks for event in stream.push(block)]
        return events + stream.finish(), len(lengths)

    usual = run(None)
    assert run(lambda: 0.0) == usual
    assert usual[1] == 61  # of 400 ms, and the end
    events, n_decoded = run(lambda: 60_000.0)
    assert n_decoded == 4  # of 8 s, and the end
    (lag,) = (event for event in events if isinstance(event, Lag))
    assert lag.behind_ms == 60_000
    assert "words every 8.0 s" in lag.action


def test_a_window_that_the_model_calls_silent_has_no_text(folder, monkeypatch):
    model = ReencodedModel(folder)
    assert model.stream(language="en", vad="off").push(sound(0, 3.0))
    monkeypatch.setattr("edgestream.speech.reencoded.rules.NO_SPEECH_THRESHOLD", -1.0)
    stream = model.stream(language="en", vad="off")
    assert stream.push(sound(0, 3.0)) + stream.finish() == []


@pytest.mark.parametrize(
    "options",
    [
        {"language": "xx"}, {"task": "sing"}, {"policy": "head.toml"}, {"delay": "soon"},
        {"delay": "low", "policy": "alignatt"},
    ],
)  # fmt: skip
def test_what_the_model_does_not_know_is_refused(folder, options):
    with pytest.raises(UsageError):
        ReencodedModel(folder).stream(**options)


@pytest.mark.parametrize(
    ("name", "said"),
    [("model.bin", "CTranslate2"), ("model.safetensors", "PyTorch"), ("ggml-base.bin", "ggml"),
     ("model.gguf", "GGUF"), ("parakeet.nemo", "NeMo")],
)  # fmt: skip
def test_a_folder_of_another_program_is_named(folder, tmp_path, name, said):
    for file in folder.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).touch()
    result = CliRunner().invoke(app, ["listen", "-m", str(tmp_path), "-"])
    assert result.exit_code == 2
    assert said in result.output
    assert len(result.output.splitlines()) == 1


def test_options_of_another_family_are_refused(folder):
    for arguments in (["-m", str(folder), "--delay", "200"], ["--language", "en"]):
        result = CliRunner().invoke(app, ["listen", *arguments, __file__])
        assert result.exit_code == 2


@settings(max_examples=60)
@given(
    st.sampled_from(["config.json", "generation_config.json", "tokenizer.json"]),
    st.integers(0, 1 << 30),
    st.integers(0, 255),
)
def test_altered_json_gives_one_line_or_a_model(folder, tmp_path_factory, name, at, byte):
    data = bytearray((folder / name).read_bytes())
    data[at % len(data)] = byte
    other = tmp_path_factory.mktemp("altered")
    for file in folder.glob("*.json"):
        (other / file.name).write_bytes(file.read_bytes())
    (other / name).write_bytes(data)
    with contextlib.suppress(EdgestreamError):  # and nothing else
        config = read_speech_config(other)
        assert len(read_token_bytes(other, config)) == config.n_vocab


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("config.json", "vocab_size", 1 << 40), ("config.json", "model_type", ["whisper"]),
     ("config.json", "num_mel_bins", "80"), ("generation_config.json", "lang_to_id", {"en": -1}),
     ("generation_config.json", "suppress_tokens", [1 << 30]),
     ("tokenizer.json", "model", {"vocab": {"a": 1 << 40}}), ("tokenizer.json", "model", "bpe")],
)  # fmt: skip
def test_wrong_values_are_refused(folder, tmp_path, name, key, value):
    for file in folder.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = json.loads((folder / name).read_text("utf-8"))
    (tmp_path / name).write_text(json.dumps(data | {key: value}), encoding="utf-8")
    with pytest.raises(ModelError):
        read_token_bytes(tmp_path, read_speech_config(tmp_path))


@pytest.mark.parametrize("name", ["encoder_model.onnx", "decoder_model_merged.onnx"])
def test_a_graph_of_another_kind_is_refused(folder, tmp_path, name):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "onnx" / name).write_bytes(b"no ONNX")
    with pytest.raises(ModelError, match="onnxruntime cannot load it"):
        ReencodedModel(tmp_path)
    tiny_silero.write_loudness(tmp_path / "onnx" / name)
    with pytest.raises(ModelError):
        ReencodedModel(tmp_path)


def test_an_export_with_further_inputs_gives_the_same(folder, tmp_path):
    """cache_position and encoder_attention_mask, as some exporters write them."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "onnx" / "decoder_model_merged.onnx"
    decoder = onnx.load(path)
    for name, shape in (("cache_position", ["n"]), ("encoder_attention_mask", [1, "m"])):
        decoder.graph.input.append(helper.make_tensor_value_info(name, TensorProto.INT64, shape))
    # Each row's logits are off unless its position is that of the row.
    nodes = decoder.graph.node
    nodes[-1].output[0] = "plain"
    past = helper.make_node("Shape", ["past_key_values.0.decoder.key"], ["past"], start=2, end=3)
    rows = helper.make_node("Shape", ["input_ids"], ["rows"], start=1, end=2)
    squeeze = [helper.make_node("Squeeze", [n], [n + "0"]) for n in ("past", "rows")]
    end = helper.make_node("Add", ["past0", "rows0"], ["end0"])
    places = helper.make_node("Range", ["past0", "end0", "one"], ["places"])
    off = helper.make_node("Sub", ["cache_position", "places"], ["off"])
    cast = helper.make_node("Cast", ["off"], ["off_float"], to=TensorProto.FLOAT)
    row = helper.make_node("Unsqueeze", ["off_float", "integers.1"], ["off_rows"])
    scaled = helper.make_node("Sub", ["plain", "off_rows"], ["once"])
    product = helper.make_node("Mul", ["off_rows", "plain"], ["twice"])
    logits = helper.make_node("Sub", ["once", "twice"], ["logits"])
    nodes.extend([past, rows, *squeeze, end, places, off, cast, row, scaled, product, logits])
    onnx.save(decoder, path)
    events = []
    for place in (folder, tmp_path):
        stream = ReencodedModel(place).stream(language="en", vad="off")
        events.append(stream.push(sound(2)) + stream.finish())
    assert events[0] == events[1] != []


def test_int8_files_are_preferred_and_run(folder, tmp_path):
    """As the published `_quantized` files are made: dynamic int8 by onnxruntime's own tool."""
    from onnxruntime.quantization import quantize_dynamic

    shutil.copytree(folder, tmp_path / "m")
    for name in ("encoder_model", "decoder_model_merged"):
        path = tmp_path / "m" / "onnx" / f"{name}.onnx"
        quantize_dynamic(path, path.with_name(f"{name}_quantized.onnx"))
    model = ReencodedModel(tmp_path / "m")
    assert model.weights.encoder_path.name == "encoder_model_quantized.onnx"
    assert model.weights.decoder_path.name == "decoder_model_merged_quantized.onnx"
    stream = model.stream(language="en", vad="off")
    assert stream.push(sound(2)) + stream.finish()


def test_captions_hold_text_alone(folder):
    stream = ReencodedModel(folder).stream(language="en", times=False, vad="off")
    for event in stream.push(sound(3)) + stream.finish():
        assert isinstance(event, (Draft, Final))
        assert event.text.isprintable()
