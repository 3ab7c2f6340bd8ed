# SPDX-License-Identifier: Apache-2.0
"""What the docs show works: Python is run, options exist, links lead somewhere."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.testing
from test_convert_tokenizer import STEPS, byte_level
from test_video_file import write as write_video
from tiny_chat import write_chat
from tiny_checkpoint import write_checkpoint
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream.cli.main import app
from edgestream.convert.run import Wish, convert
from edgestream.data import DATA

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("models/*/*.md")])
COMMANDS = ["listen", "watch", "read", "serve", "doctor", "bench", "policy"]
COMMANDS += ["convert", "models", "list", "info", "pull", "verify", "rm", "path"]
CHATML = ROOT / "tests/data/chat/smollm2.jinja"
NEEDS_MICROPHONE = "es.listen():"
NEEDS_LOUDSPEAKER = "LoudspeakerOutput("
NEEDS_CLUSTER = "import ray\n"  # run in tests/serve/test_ray.py


def blocks(language):
    fenced = rf"^```{language}\n(.*?)^```"
    return [
        pytest.param(found, id=f"{page.name}: {found.splitlines()[0][:40]}")
        for page in PAGES
        for found in re.findall(fenced, page.read_text("utf-8"), re.M | re.S)
    ]


@pytest.fixture(scope="module")
def folder_with_files(tmp_path_factory):
    """A folder with the files and the converted checkpoint that docs open."""
    folder = tmp_path_factory.mktemp("docs")
    shape = TinyShape(n_embd=64, n_ff=64, n_vocab=96)
    write_gguf(folder / "model.gguf", shape, random_weights(shape))
    write_video(folder / "clip.avi")
    write_chat(folder / "reader.gguf", CHATML.read_text("utf-8"), eos="<|im_end|>")
    (folder / "talk.txt").write_text("The meeting starts at nine. Anna brings the plans.\n")
    shutil.copy(DATA / "person.flac", folder / "talk.flac")
    shape = TinyShape(n_vocab=600)
    source = write_checkpoint(folder / "source", shape, random_weights(shape))
    (source / "tokenizer.json").write_text(byte_level(STEPS["gpt-2"]).to_str())
    wish = Wish(to="gguf", quant="f32", verify=False, n_threads=1)
    convert(str(source), folder / "small", wish, tell=print, progress=lambda *_: None)
    return folder


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code, folder_with_files):
    if any(needed in code for needed in (NEEDS_MICROPHONE, NEEDS_LOUDSPEAKER, NEEDS_CLUSTER)):
        compile(code, "docs", "exec")
        return
    if "edgestream.speaking" in code and shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is missing")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder_with_files
    )
    assert done.returncode == 0, done.stderr


def edgestream_commands(shell):
    """Argument lists of the edgestream calls in a shell block."""
    for line in re.sub(r"\\\n", " ", shell).splitlines():
        for part in re.split(r"[|;&]", line.split("#")[0]):
            if re.match(r"\s*(\S*/)?edgestream\s", part):
                yield shlex.split(part)[1:]


@pytest.mark.parametrize("shell", blocks("sh"))
def test_shown_options_exist(shell):
    for words in edgestream_commands(shell):
        commands = []
        for word in words:
            if word not in COMMANDS or (commands and commands[0] not in ("bench", "models")):
                break
            commands.append(word)
        shown = typer.testing.CliRunner().invoke(
            app, [*commands, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
        )
        assert shown.exit_code == 0, commands
        for option in (w.split("=")[0] for w in words if w.startswith("-") and w != "-"):
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", shown.output), (commands, option)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    for target in re.findall(r"`((?:docs|tools|models|tests|native|edgestream)/[\w./-]+)`", text):
        assert (ROOT / target).exists() or list(ROOT.glob(target + "*")), target
