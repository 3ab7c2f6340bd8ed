# SPDX-License-Identifier: Apache-2.0
"""Models of other programs: one line says what it is and the way out, and nothing is opened."""

import json
import re

import pytest
import typer.testing
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from tiny_checkpoint import write_checkpoint
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream.cli.main import app
from edgestream.errors import ModelError
from edgestream.library.foreign import CONVERT, foreign

# As they are published: files by name with their contents, what is said, what the way out names.
PUBLISHED = {
    "whisper.cpp": ({"ggml-base.en.bin": b"lmgg\0"}, "whisper.cpp's ggml", "whisper-base.en"),
    "mlx-whisper": (
        {"weights.npz": b"PK", "config.json": {"model_type": "whisper", "n_mels": 80}}, "MLX's",
        "whisper-base.en"),
    "mlx-voxtral": (
        {"model.safetensors": b"", "config.json": {"model_type": "voxtral_realtime",
                                                   "quantization": {"bits": 4}}},
        "quantized by MLX", "checkpoint that it was made of"),
    "kyutai-candle": (
        {"model.safetensors": b"", "config.json": {"model_type": "stt", "mimi_name": "mimi.s"},
         "mimi.safetensors": b"", "tokenizer_en_fr_audio_8000.model": b""},
        "Kyutai's own layout", "kyutai-stt-1b-en_fr"),
    "kyutai-gguf": (
        {"stt-1b-en_fr-q4_0.gguf": b"GGUF", "mimi-encoder-f16.safetensors": b"",
         "tokenizer.model": b""}, "GGUF of another program", "converts the checkpoint"),
    "mistral": (
        {"consolidated.safetensors": b"", "params.json": {}, "tekken.json": {}},
        "Mistral's own layout", "voxtral-mini-4b-realtime"),
    "onnx-community-voxtral": (
        {"config.json": {"model_type": "voxtral_realtime"}, "onnx/audio_encoder_q4f16.onnx": b"",
         "onnx/decoder_model_merged_q4f16.onnx": b"", "onnx/embed_tokens_q4f16.onnx": b""},
        r"Voxtral for transformers\.js", "voxtral-mini-4b-realtime"),
    "moonshine-streaming": (
        {"frontend.ort": b"", "encoder.ort": b"", "adapter.ort": b"", "cross_kv.ort": b"",
         "decoder_kv.ort": b"", "streaming_config.json": {}}, "streaming layout", "moonshine-tiny"),
    "sherpa-onnx": (
        {"encoder-epoch-99.onnx": b"", "decoder-epoch-99.onnx": b"", "joiner-epoch-99.onnx": b"",
         "tokens.txt": b""}, "a transducer", "does not run"),
    "nemo": ({"parakeet.nemo": b""}, "NeMo's archive", "does not run"),
    "openai-whisper": ({"base.en.pt": b"PK"}, "pickled weights", "safetensors"),
    "pytorch": (
        {"config.json": {"model_type": "whisper"}, "pytorch_model.bin": b"PK"}, "pickled weights",
        "safetensors"),
}  # fmt: skip


def publish(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return folder


def told(*arguments):
    """The one line of a command that refuses."""
    result = typer.testing.CliRunner().invoke(app, [*map(str, arguments)])
    line = str(result.exception) if isinstance(result.exception, ModelError) else result.output
    code = ModelError.exit_code if isinstance(result.exception, ModelError) else result.exit_code
    assert code == 2
    assert len(line.strip().splitlines()) == 1
    return line


@pytest.mark.parametrize("kind", PUBLISHED)
def test_a_folder_of_another_program_is_named(tmp_path, kind):
    files, says, way_out = PUBLISHED[kind]
    folder = publish(tmp_path / "model", files)
    for arguments in (["listen", "-m", folder, "-"], ["convert", folder, "-o", tmp_path / "out"]):
        line = told(*arguments)
        assert foreign(folder) in line
        assert re.search(says, line)
        assert way_out in line
    assert not (tmp_path / "out").exists()


def test_a_folder_of_faster_whisper_is_shown_the_way(tmp_path):
    files = {"model.bin": b"\6", "config.json": {"lang_ids": [1]}, "vocabulary.txt": b"a"}
    line = told("listen", "-m", publish(tmp_path / "model", files), "-")
    assert "CTranslate2's (faster-whisper); try: edgestream convert" in line


def test_a_file_is_known_by_its_first_bytes(tmp_path):
    shape = TinyShape()
    write_gguf(tmp_path / "model", shape, random_weights(shape))
    (tmp_path / "whisper").write_bytes(b"lmgg" + bytes(40))
    for name, says in (("model", "GGUF of another program"), ("whisper", "whisper.cpp's ggml")):
        for arguments in (
            ["listen", "-m", tmp_path / name, "-"],
            ["convert", tmp_path / name, "-o", tmp_path / "out"],
        ):
            assert says in told(*arguments)


def test_a_checkpoint_is_sent_to_convert_and_is_nothing_foreign_there(tmp_path):
    folder = write_checkpoint(tmp_path / "a", TinyShape(), random_weights(TinyShape()))
    assert "edgestream convert" in told("listen", "-m", folder, "-")
    assert foreign(folder, but=[CONVERT]) == ""
    # Mistral publishes its own layout beside that of transformers.
    (folder / "consolidated.safetensors").touch()
    assert foreign(folder, but=[CONVERT]) == ""


def test_what_is_unknown_is_not_guessed(tmp_path):
    assert foreign(tmp_path) == foreign(tmp_path / "none") == ""
    save_file({}, tmp_path / "other.safetensors")
    assert foreign(tmp_path) == ""
    assert "not a model, a model is a folder with a model.toml" in told(
        "listen", "-m", tmp_path, "-"
    )


def test_a_name_that_a_terminal_would_obey_is_quoted(tmp_path):
    (tmp_path / "ggml\x1b]0;x\n.bin").touch()
    assert foreign(tmp_path).isprintable()


@given(st.binary(max_size=40), st.sampled_from(["x", "config.json", "model.gguf", "ggml.bin"]))
def test_any_contents_give_a_line_or_nothing(tmp_path_factory, data, name):
    folder = tmp_path_factory.mktemp("any")
    (folder / name).write_bytes(data)
    for path in (folder, folder / name):
        assert "\n" not in foreign(path)
