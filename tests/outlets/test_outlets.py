# SPDX-License-Identifier: Apache-2.0
"""Signals and outlets as the system has them: nohup, closed terminals, old files, full disks."""

import fcntl
import os
import pty
import shutil
import signal
import subprocess
import termios
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_cli import COMMAND, SAMPLE, run
from test_video_file import write as write_video

SYNTHETIC = ("-m", "synthetic-en")
PATIENCE_S = 60
CAPTION_ON_TERMINAL = ["text", "srt"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The first sentences of the sample."""
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    samples, rate_hz = soundfile.read(SAMPLE)
    soundfile.write(path, samples[: 6 * rate_hz], rate_hz)
    return path


@pytest.fixture(scope="module")
def expected(clip):
    said = run("listen", *SYNTHETIC, clip, "--fast").stdout
    assert len(said.splitlines()) > 1
    return said


def wait_until(holds):
    begun_s = time.monotonic()
    while not holds():
        assert time.monotonic() < begun_s + PATIENCE_S
        time.sleep(0.02)


def catches_ctrl_c(process):
    """Whether the process handles SIGINT itself, as Python does from its start on."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) & 1 << (signal.SIGINT - 1))
    return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")


@needs_proc
@pytest.mark.parametrize("later_s", [0, 0.05, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("command", ["listen", "watch"])
def test_an_early_ctrl_c_is_a_quiet_end(command, later_s, tmp_path):
    source = SAMPLE if command == "listen" else write_video(tmp_path / "clip.avi", n=500)
    process = subprocess.Popen(
        [*COMMAND, command, str(source)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/"
    )
    wait_until(lambda: catches_ctrl_c(process))  # Python is up
    wait_until(lambda: not catches_ctrl_c(process))  # and the command has begun
    time.sleep(later_s)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert b"Traceback" not in stderr
    assert process.returncode in (0, -signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_is_ignored_stays_ignored(number, clip, tmp_path, expected):
    """As `nohup` and a script's background jobs have it."""
    path = tmp_path / "captions.txt"
    process = subprocess.Popen(
        [*COMMAND, "listen", *SYNTHETIC, str(clip), "-o", str(path)], cwd="/",
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
    )  # fmt: skip
    wait_until(lambda: path.exists() and path.read_text())
    process.send_signal(number)
    assert process.wait(timeout=PATIENCE_S) == 0
    assert path.read_text() == expected


def with_a_terminal(*args, ignored=()):
    """Starts `edgestream args` as the leader of a terminal; the process and the terminal's end."""
    main, terminal = pty.openpty()

    def lead():
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    process = subprocess.Popen(
        [*COMMAND, *map(str, args)], stdin=terminal, stdout=terminal, stderr=terminal, cwd="/",
        preexec_fn=lead, env=os.environ | {"TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(terminal)
    return process, main


def all_shown(main):
    """What a program shows until it closes its end of a terminal."""
    shown = b""
    try:
        while piece := os.read(main, 65536):
            shown += piece
    except OSError:  # the other end has closed
        os.close(main)
    return shown


@pytest.mark.parametrize("ignored", [(), (signal.SIGHUP,)])
def test_a_terminal_that_is_closed_takes_no_captions_along(ignored, clip, tmp_path, expected):
    path = tmp_path / "captions.txt"
    process, main = with_a_terminal(
        "listen", *SYNTHETIC, clip, "-o", path, "--stats", ignored=ignored
    )
    while not (path.exists() and path.read_text()):
        os.read(main, 65536)
    os.close(main)
    assert process.wait(timeout=PATIENCE_S) == 0
    said = path.read_text().splitlines()
    assert said[:1] == expected.splitlines()[:1]
    if ignored:  # nobody told it to end
        assert path.read_text() == expected
    assert path.read_text().endswith("\n")


def test_a_full_disk_does_not_end_the_display(clip, expected):
    process, main = with_a_terminal("listen", *SYNTHETIC, clip, "--fast", "-o", "/dev/full")
    shown = all_shown(main)
    assert process.wait(timeout=PATIENCE_S) == 1
    text = shown.decode()
    assert expected.splitlines()[-1] in text
    assert "No space left" in text
    assert "Traceback" not in text


def test_a_closed_stderr_gets_no_number_that_captions_are_written_to(clip, tmp_path, expected):
    path = tmp_path / "captions.txt"
    line = f"{' '.join(COMMAND)} listen -m synthetic-en {clip} --fast -o {path}"
    done = subprocess.run(["bash", "-c", f"{line} 0<&- 1>&- 2>&-"], cwd="/")
    assert done.returncode == 0
    assert path.read_text() == expected


# Outputs and inputs.


@pytest.mark.parametrize("format", ["text", "jsonl", "srt", "vtt"])
def test_an_empty_pipe_leaves_an_old_output(format, tmp_path):
    path = tmp_path / "old"
    path.write_text("yesterday")
    done = run("listen", "-", "--format", format, "-o", path, input="")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert path.read_text() == "yesterday"


@pytest.mark.parametrize("source", ["nothing.wav", __file__])
def test_an_input_that_cannot_be_used_leaves_an_old_output_and_makes_no_new_one(source, tmp_path):
    path = tmp_path / "old"
    path.write_text("yesterday")
    assert run("listen", source, "-o", path).returncode == 2
    assert run("listen", source, "-o", tmp_path / "new").returncode == 2
    assert path.read_text() == "yesterday"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("format", "empty"), [("text", ""), ("vtt", "WEBVTT\n\n")])
def test_silence_heard_to_its_end_replaces_an_old_output(format, empty, tmp_path):
    path, silence = tmp_path / "old", tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(16000), 16000)
    path.write_text("yesterday")
    done = run("listen", *SYNTHETIC, silence, "--fast", "--format", format, "-o", path)
    assert done.returncode == 0
    assert path.read_text() == empty


@pytest.mark.parametrize("source", ["-", "/dev/stdin"])
def test_a_file_that_comes_by_stdin_is_not_overwritten(source, tmp_path):
    path, link = tmp_path / "talk.flac", tmp_path / "link"
    shutil.copy(SAMPLE, path)
    os.link(path, link)
    for output in (path, link):
        with path.open("rb") as stdin:
            done = run("listen", source, "-o", output, stdin=stdin)
        assert done.returncode == 2
        assert "is the input as well" in done.stderr
    assert path.read_bytes() == SAMPLE.read_bytes()


def test_questions_that_come_by_stdin_are_not_overwritten(tmp_path):
    clip, path = write_video(tmp_path / "clip.avi"), tmp_path / "questions"
    path.write_text("What now?\n")
    with path.open("rb") as stdin:
        done = run("watch", clip, "--ask", "-o", path, stdin=stdin)
    assert (done.returncode, "is the input as well" in done.stderr) == (2, True)
    assert path.read_text() == "What now?\n"


def test_a_name_with_a_null_is_no_output():
    from edgestream.errors import OutputError
    from edgestream.outlets.writers import open_writer

    with pytest.raises(OutputError, match=r"a\\x00b: cannot be written"):
        open_writer("text", "a\0b")
