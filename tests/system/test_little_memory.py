# SPDX-License-Identifier: Apache-2.0
"""Where memory does not suffice, each command says so in one line, and ends."""

import resource
import subprocess

import pytest
from test_cli import COMMAND, SAMPLE
from test_convert_tokenizer import STEPS, byte_level
from test_video_file import write as write_video
from tiny_checkpoint import write_checkpoint
from tiny_llama import TinyShape, random_weights

from edgestream.system.process import is_out_of_memory

MB = 1 << 20
N_VOCAB = 600


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Where each command finds its input."""
    folder = tmp_path_factory.mktemp("inputs")
    shape = TinyShape(n_vocab=N_VOCAB)
    source = write_checkpoint(folder / "source", shape, random_weights(shape))
    (source / "tokenizer.json").write_text(byte_level(STEPS["gpt-2"]).to_str())
    return {"SOURCE": source, "CLIP": write_video(folder / "clip.avi"), "SAMPLE": SAMPLE}


COMMANDS = {
    "listen": ["listen", "-m", "synthetic-en", "SAMPLE", "--fast"],
    "watch": ["watch", "CLIP", "--fast"],
    "convert": ["convert", "SOURCE", "-o", "out", "--quant", "q4_k_m"],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("limit_mb", [40, 100, 150, 175, 220, 250, 300, 350, 400, 450])
def test_too_little_memory_is_one_line(name, limit_mb, inputs, tmp_path):
    command = [str(inputs.get(word, word)) for word in COMMANDS[name]]
    done = subprocess.run(
        [*COMMAND, *command], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit_mb * MB,) * 2),
    )  # fmt: skip
    if limit_mb < 160 or (name == "watch" and limit_mb < 384):
        assert done.returncode == 1
    if done.returncode == 0:
        assert "Traceback" not in done.stderr
        return
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("edgestream: not enough memory")
    assert list(tmp_path.iterdir()) == []


def test_what_libraries_say_of_little_memory_is_known():
    for said in (
        "[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for requested buffer of size 9",
        "std::bad_alloc",
        "libx.so: failed to map segment from shared object",
    ):
        assert is_out_of_memory(RuntimeError(said))
    assert not is_out_of_memory(RuntimeError("no such file"))
