# SPDX-License-Identifier: Apache-2.0
"""Names that native code cannot spell, and names that would steer a terminal."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_cli import COMMAND, SAMPLE, run
from test_video_file import write as write_video

import edgestream as es
from edgestream.convert.run import Wish, convert
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import ModelError, SourceError, UsageError, shown
from edgestream.onnx.session import open_session
from edgestream.sources.capture import open_capture
from edgestream.sources.sound_file import FileSource

NO_UTF8 = os.fsdecode(b"v\xff")
STEERING = "\x1b]0;evil\x07\u202e\n"


def one_line(args, **options):
    """The process's only line on stderr, which steers no terminal."""
    done = subprocess.run(
        [*map(os.fsencode, COMMAND), *map(os.fsencode, args)],
        capture_output=True,
        cwd="/",
        **options,
    )
    assert done.stdout == b""
    assert done.returncode in (1, 2), done.stderr
    lines = done.stderr.decode().splitlines()  # it is UTF-8
    assert all(line.isprintable() for line in lines)
    assert len(lines) == 1 + lines[0].startswith("synthetic-en understands")  # of a microphone
    return lines[-1]


@pytest.mark.parametrize(
    "where", ["{}.avi", "http://127.0.0.1:9/{}", "/dev/video{}", "{} ! appsink"]
)
@pytest.mark.parametrize("odd", [NO_UTF8, STEERING])
def test_odd_names_of_pictures_are_one_line(where, odd):
    assert "Traceback" not in one_line(["watch", where.format(odd)])


def test_a_video_whose_name_is_not_utf8_is_refused_by_its_name(tmp_path):
    path = tmp_path / f"{NO_UTF8}.avi"
    shutil.copy(write_video(tmp_path / "clip.avi"), path)
    line = one_line(["watch", path])
    assert "v\\xff.avi: not UTF-8" in line
    assert "rename it" in line


def test_sound_of_any_name_is_heard(tmp_path):
    """soundfile is given a handle."""
    path = tmp_path / f"{NO_UTF8}.flac"
    shutil.copy(SAMPLE, path)
    done = run("listen", "-m", "synthetic-en", path, "--fast", "-o", tmp_path / f"{NO_UTF8}.txt")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / f"{NO_UTF8}.txt").read_text() == run(
        "listen", "-m", "synthetic-en", SAMPLE, "--fast"
    ).stdout


@pytest.mark.parametrize("odd", [NO_UTF8, STEERING])
@pytest.mark.parametrize(
    "args",
    [["listen", "{}"], ["listen", str(SAMPLE), "-m", "{}"], ["watch", "-m", "{}"],
     ["listen", str(SAMPLE), "--policy", "{}"], ["convert", "{}", "-o", "/nothing/here"],
     ["convert", "/", "-o", "/nothing/{}"], ["models", "info", "{}"], ["models", "pull", "{}"],
     ["models", "verify", "{}"], ["listen", str(SAMPLE), "{}"], ["{}"], ["listen", "--{}"],
     ["listen", str(SAMPLE), "-o", "/nothing/{}"],
     ["listen", str(SAMPLE), "--decoder-device", "{}"],
     ["bench", "listen", "--quick", "-m", "{}"], ["listen", "--device", "{}"]],
    ids=lambda args: " ".join(args)[:30],
)  # fmt: skip
def test_odd_names_anywhere_are_one_line(args, odd):
    assert "Traceback" not in one_line([arg.format(odd) for arg in args])


@pytest.mark.parametrize("family", ["synthetic-en", "tiny-watch"])
def test_a_model_in_a_folder_whose_name_is_not_utf8_is_one_line(family, tmp_path):
    folder = tmp_path / NO_UTF8
    source = es.load("synthetic-en").folder.parent / family
    shutil.copytree(source, folder)
    command = (
        ["listen", SAMPLE]
        if family == "synthetic-en"
        else ["watch", write_video(tmp_path / "a.avi")]
    )
    assert "not UTF-8" in one_line([*command, "-m", folder])
    done = subprocess.run([*COMMAND, "models", "path", os.fsencode(folder)], capture_output=True)
    assert done.stdout == os.fsencode(folder) + b"\n"


@pytest.mark.parametrize("name", ["a\0b", NO_UTF8, "a\0b/c"])
def test_names_that_programs_give(name, tmp_path):
    wish = Wish("gguf", None, False, 1)
    calls = [
        (SourceError, lambda: open_capture(name)),
        (SourceError, lambda: open_capture(f"rtsp://{name}")),
        (SourceError, lambda: list(es.watch(name))),
        (SourceError, lambda: FileSource(name, pace=False)),
        (ModelError, lambda: open_session(Path(name))),
        (ModelError, lambda: Tokenizer(Path(name))),
        (ModelError, lambda: es.load(name)),
        (ModelError, lambda: es.load_watcher(name)),
        (ModelError, lambda: es.load(decoder_device=name, name="synthetic-en")),
        (UsageError, lambda: convert(name, tmp_path / "out", wish, tell=print, progress=print)),
    ]  # fmt: skip
    for kind, call in calls:
        with pytest.raises(kind) as caught:
            call()
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("number", [-1, 10**5, 10**12, 10**30])
def test_numbers_that_no_camera_has_open_nothing_else(number):
    assert open_capture(number) is None


def test_a_conversion_that_fails_leaves_no_folder_behind(tmp_path):
    run("convert", tmp_path, "-o", tmp_path / "new" / "deep" / "model")
    assert list(tmp_path.iterdir()) == []


def test_messages_show_what_would_steer_a_terminal():
    assert shown("a\x1b[2J\u202eb\nc\udcffd\0") == "a\\x1b[2J\\u202eb\\nc\\xffd\\x00"
    joined = "\u0646\u0645\u06cc\u200c\u062e"  # Persian
    assert shown(joined) == joined
    assert str(ModelError("x\x07")) == "x\\x07"
