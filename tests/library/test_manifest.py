# SPDX-License-Identifier: Apache-2.0
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.errors import ModelError
from edgestream.library.manifest.concatenated import ConcatenatedManifest, WaveformSpec
from edgestream.library.manifest.read import read_manifest

GOOD = """
format = 1
name = "m"
family = "concatenated"
description = "d"
languages = ["en"]
license = "Apache-2.0"
[audio]
sample_rate_hz = 16000
window_samples = 400
hop_samples = 160
fft_size = 512
n_mels = 80
min_hz = 20
max_hz = 7600.0
log_floor = 1e-5
[encoder]
file = "encoder.onnx"
chunk_frames = 8
left_frames = 0
right_frames = 0
[decoder]
file = "decoder.gguf"
n_sinks = 2
window = 125
step_ms = 80
[tokens]
pad = 0
bos = 1001
delay_0 = 1002
n_text = 1000
[policy]
delay_frames = 6
min_delay_frames = 1
max_delay_frames = 8
pad_bias = 0.5
[files]
"encoder.onnx" = "0000000000000000000000000000000000000000000000000000000000000000"
"decoder.gguf" = "0000000000000000000000000000000000000000000000000000000000000000"
"""


def read(folder, text):
    path = folder / "model.toml"
    path.write_text(text, encoding="utf-8")
    return read_manifest(path, ConcatenatedManifest)


def test_a_good_manifest_is_read(tmp_path):
    manifest = read(tmp_path, GOOD)
    assert manifest.audio.min_hz == 20.0
    assert manifest.languages == ("en",)
    assert manifest.files["encoder.onnx"] == 64 * "0"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format = 1", "format = 2", "format 2"),
        ("format = 1", "", "'format' is missing"),
        ("format = 1", "format = 1\ncolour = 3", "unknown key 'colour'"),
        ("format = 1", "format = true", "not of type int"),
        ("n_mels = 80", "n_mels = 80.0", "not of type int"),
        ("n_mels = 80", "n_mels = 0", "n_mels"),
        ("[policy]", "[politics]", "unknown key 'politics'"),
        ("delay_frames = 6", "delay_frames = 9", "delay_frames"),
        ("max_hz = 7600.0", "max_hz = nan", "max_hz"),
        ("pad_bias = 0.5", "pad_bias = inf", "pad_bias"),
        ("step_ms = 80", "step_ms = 40", "step_ms"),
        ("step_ms = 80", 'step_ms = 80\nretention = "best"', "retention must be window, heavy"),
        ("step_ms = 80", "step_ms = 80\nexit_threshold = nan", "exit_threshold must be 0 to 1"),
        ("step_ms = 80", "step_ms = 80\nattention_layers = [1, -1]", "must be layers, 0 to 4095"),
        (
            "step_ms = 80",
            'step_ms = 80\nretention = "merge"\nattention_layers = [1]',
            "needs the ret",
        ),
        ('file = "decoder.gguf"', 'file = "decoder.onnx"\ndevice = "auto"', "are for GGUF"),
        ('file = "decoder.gguf"', 'file = "decoder.onnx"\nattention_layers = [1]', "are for GGUF"),
        ('family = "concatenated"', 'family = "other"', "family 'other'"),
        ('languages = ["en"]', "languages = [1]", "languages"),
        ('file = "encoder.onnx"', 'file = "other.onnx"', "listed with its sha256"),
        ('"encoder.onnx" =', '"../encoder.onnx" =', "plain names"),
        ('"encoder.onnx" =', '"/etc/passwd" =', "plain names"),
        ('"encoder.onnx" =', "'a\\b' =", "plain names"),
        ('"encoder.onnx" =', '".cache" =', "plain names"),
        ('"encoder.onnx" =', '"Model.toml" =', "plain names"),
        ('"encoder.onnx" =', '"a\\u001b[2J" =', "plain names"),
        ('"encoder.onnx" = "00', '"encoder.onnx" = "x0', "64 hexadecimal digits"),
        ('description = "d"', 'description = "\\u001b[2J"', "printable"),
        ("[audio]", "[audio", "not valid TOML"),
        ("format = 1", "format = " + 5000 * "1", "not valid TOML"),
    ],
)
def test_a_wrong_manifest_is_refused_in_one_line(tmp_path, old, new, said):
    with pytest.raises(ModelError, match=said) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert "\n" not in str(caught.value)
    assert "model.toml" in str(caught.value)


def test_a_missing_or_huge_manifest_is_refused(tmp_path):
    with pytest.raises(ModelError, match="No such file"):
        read_manifest(tmp_path / "model.toml", ConcatenatedManifest)
    with pytest.raises(ModelError, match="larger than"):
        read(tmp_path, GOOD + "#" * 70_000)


@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, 30))
def test_bytes_put_anywhere_end_in_a_manifest_or_an_error(tmp_path_factory, noise, at, cut):
    path = tmp_path_factory.mktemp("m") / "model.toml"
    path.write_bytes(GOOD[:at].encode() + noise + GOOD[at + cut :].encode())
    with contextlib.suppress(ModelError):
        read_manifest(path, ConcatenatedManifest)


MEL_KEYS = [
    "window_samples", "hop_samples", "fft_size", "n_mels", "min_hz", "max_hz", "log_floor",
]  # fmt: skip


def without(text, *keys):
    return "\n".join(line for line in text.splitlines() if line.split(" ")[0] not in keys)


WAVEFORM = without(GOOD, *MEL_KEYS).replace("chunk_frames = 8", "chunk_frames = 1280")


def test_an_encoder_may_hear_samples_as_they_are(tmp_path):
    manifest = read(tmp_path, WAVEFORM)
    assert manifest.audio == WaveformSpec(16000)
    led = WAVEFORM.replace("[encoder]", "lead_samples = 16000\n[encoder]")
    assert read(tmp_path, led).audio == WaveformSpec(16000, lead_samples=16000)


def test_delays_may_be_without_tokens(tmp_path):
    manifest = read(tmp_path, without(GOOD, "delay_0"))
    assert (manifest.tokens.delay_0, manifest.tokens.prompt_pads) == (None, None)
    prompt = GOOD.replace("delay_0 = 1002", "prompt_pads = 32")
    assert read(tmp_path, prompt).tokens.prompt_pads == 32


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (without(GOOD, "n_mels"), "'n_mels' is missing"),
        (WAVEFORM.replace("[encoder]", "gain = 2\n[encoder]"), "unknown key 'gain'"),
        (WAVEFORM.replace("[encoder]", "lead_samples = -80\n[encoder]"), "lead_samples"),
        (WAVEFORM.replace("1280", "1281"), "step_ms"),
        (GOOD.replace("n_mels = 80", 'n_mels = 80\nscale = "bark"'), "scale"),
        (GOOD.replace("n_text", "prompt_pads = 3\nn_text"), "exclude one another"),
        (GOOD.replace("delay_0 = 1002", "prompt_pads = -1"), "prompt_pads"),
        (GOOD.replace("delay_0 = 1002", "delay_0 = -1"), "negative"),
    ],
)
def test_kinds_of_audio_and_starts_that_are_refused(tmp_path, text, said):
    with pytest.raises(ModelError, match=said):
        read(tmp_path, text)
