# SPDX-License-Identifier: Apache-2.0
"""The walk: files import only what comes before them, stay small, and the core has no Python."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgestream
from edgestream.doctor import LLAMA_CPP_PYTHON

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "edgestream"
# In the order that data takes. model.py builds the stages, session.py runs them.
WALK = [
    "reporting", "errors", "process", "names", "checks", "stand_in", "events", "json_file",
    "toml_file", "ring_spec", "config", "commentator_config", "decoder_config", "vlm_config",
    "manifest", "dialects", "onnx_weights", "library", "entry",
    "library_noise", "channels", "sound_parts", "chained", "sound_kind", "sound",
    "source", "pcm", "piped", "resample", "waveform", "devices", "microphone",
    "picture", "picture_source", "container", "video_file", "cameras", "camera",
    "picture_gate", "encoder",
    "rope", "onnx_session", "onnx_operators", "onnx_model", "onnx_ring", "onnx_layouts",
    "onnx_decoder", "decoder_file", "tokenizer",
    "vision_tower", "chat_turns",
    "decoder_model", "policy", "commit_policy", "decoder", "clock", "pieces",
    "governor",
    "shown_text", "writing_systems", "words", "line_tables", "line_breaks", "word_times", "lines",
    "caption", "cues", "screen", "sink", "writer", "outlet", "meter", "session", "window",
    "concatenated",
    "model", "special_tokens", "binary_tokenizer", "speech_config", "prompt_tokens", "voice",
    "hypothesis_rules", "speech_weights",
    "language_ear", "encoder_decoder", "window_rows", "utterances", "pace", "steady_draft",
    "segment_caption", "reencoded", "reencoded_model",
    "listening", "chattiness", "commentator", "picture_stream", "commentator_model",
    "vlm_units", "vlm_answer", "vlm_commentator", "vlm_model", "asking", "watching",
    "gguf_header", "fit", "hub", "pull", "doctor", "bench", "convert",
    "cli_bars", "cli_models", "cli_convert", "cli_session", "cli_watch", "cli", "start", "__main__",
]  # fmt: skip
FILE_LINES = 300
FUNCTION_LINES = 40


def modules():
    return sorted(p.stem for p in PACKAGE.glob("*.py") if p.stem != "__init__")


def rank(name):
    return WALK.index("bench" if name.startswith("bench") else name)


def imported(path):
    """Names of edgestream's modules that a file imports anywhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            if (node.module or "").startswith("edgestream."):
                yield node.module.split(".")[1]


@pytest.mark.parametrize("name", modules())
def test_a_module_imports_only_what_is_before_it(name):
    for other in imported(PACKAGE / f"{name}.py"):
        if other != "_native" and not (name.startswith("bench") and other.startswith("bench")):
            assert rank(other) < rank(name), f"{name} imports {other}, which comes after it"


def test_every_module_has_its_place_in_the_walk():
    assert {rank(name) for name in modules()} <= set(range(len(WALK)))


def test_public_names_are_these():
    assert sorted(edgestream.__all__) == [
        "Answer", "Comment", "Draft", "EdgestreamError", "Final", "Gap", "Lag", "Notice", "Word",
        "listen", "load", "load_watcher", "watch",
    ]  # fmt: skip
    for name in edgestream.__all__:
        assert getattr(edgestream, name) is not None


@pytest.mark.parametrize(
    "path",
    [*PACKAGE.rglob("*.py"), *(ROOT / "native").rglob("*.cc"), *(ROOT / "native").rglob("*.h")],
    ids=lambda p: p.name,
)
def test_files_are_small_and_licensed(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "SPDX-License-Identifier: Apache-2.0" in lines[0]
    if "tests" not in path.parts:
        assert len(lines) <= FILE_LINES


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_functions_are_small(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            # A signature with help texts is a table and a docstring is prose: neither is code.
            first = node.body[1] if ast.get_docstring(node) and node.body[1:] else node.body[0]
            assert node.end_lineno - first.lineno < FUNCTION_LINES, f"{path.name}: {node.name}"


def test_a_start_with_one_family_loads_no_other():
    code = "import sys, edgestream; edgestream.load('synthetic-en'); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "edgestream.model" in run.stdout.split()
    assert "edgestream.reencoded_model" not in run.stdout.split()


def test_the_core_knows_neither_python_nor_ggml():
    for path in (ROOT / "native" / "core").iterdir():
        text = path.read_text(encoding="utf-8")
        found = re.findall(r'#include\s+[<"](Python\.h|nanobind|ggml|gguf|llama)', text)
        assert not found, f"{path.name} includes {found}"


def test_there_are_no_rooms_for_leftovers():
    names = {p.stem for p in PACKAGE.rglob("*")} | {p.stem for p in (ROOT / "native").rglob("*")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "base", "misc"}


def test_versions_are_the_same_everywhere():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pins = re.findall(r"llama-cpp-python==([\d.]+)", project)
    pins += re.findall(r"llama-cpp-python==([\d.]+)", (ROOT / "Makefile").read_text("utf-8"))
    assert len(pins) >= 3
    assert set(pins) == {LLAMA_CPP_PYTHON}
    assert re.search(r'^version = "(.+)"', project, re.M)[1] == edgestream.__version__
