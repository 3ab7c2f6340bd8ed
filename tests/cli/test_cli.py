# SPDX-License-Identifier: Apache-2.0
"""The command as a user runs it: real processes, real files, wrong input."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer.testing

import edgestream
from edgestream.cli.main import app

COMMAND = [sys.executable, "-m", "edgestream"]
SAMPLE = Path(edgestream.__file__).parent / "data" / "sample.flac"


def run(*args, **options):
    """Runs `edgestream args`; returns the finished process with text output."""
    options = {"capture_output": True, "text": True, "timeout": 120, "cwd": "/"} | options
    return subprocess.run([*COMMAND, *map(str, args)], **options)


@pytest.fixture(scope="module")
def sample():
    return soundfile.read(SAMPLE, dtype="float32")[0]


@pytest.fixture(scope="module")
def expected():
    return run("listen", "-m", "synthetic-en", SAMPLE, "--fast").stdout


def test_version_and_help():
    assert run("--version").stdout == f"edgestream {edgestream.__version__}\n"
    assert "--delay" in run("listen", "--help").stdout


def test_piped_text_is_plain_lines_on_stdout_alone(expected):
    done = run("listen", "-m", "synthetic-en", SAMPLE, "--fast", "--stats")
    assert done.returncode == 0
    assert done.stdout == expected
    assert len(expected.split()) > 20
    assert "\x1b" not in done.stdout
    assert "s for each second" in done.stderr
    assert 20 < int(re.search(r"memory (\d+) MB", done.stderr)[1]) < 1000


def test_jsonl_has_word_times():
    done = run("listen", "-m", "synthetic-en", SAMPLE, "--fast", "--format", "jsonl")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["type"] for event in events} == {"final"}
    words = [word for event in events for word in event["words"]]
    assert all(w["start_ms"] <= w["end_ms"] < w["emitted_ms"] for w in words)


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_output_holds_the_words_of_stdout(format, tmp_path, expected):
    path = tmp_path / f"captions.{format}"
    done = run(
        "listen", "-m", "synthetic-en", SAMPLE, "--fast", "--format", format, "--output", path
    )
    assert (done.returncode, done.stdout) == (0, "")
    text = path.read_text()
    assert "-->" in text
    assert all(word in text for word in expected.split())


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["nothing.wav"], 2, "nothing.wav"),
        (["/"], 2, "/"),
        ([__file__], 2, "audio"),
        ([SAMPLE, "-m", "nothing"], 2, "synthetic-en"),
        ([SAMPLE, "-m", "/"], 2, "model.toml"),
        ([5000 * "a", "-o", "/nothing/here.srt"], 2, "cannot be read"),
        ([SAMPLE, "-m", "synthetic-en", "--delay", "9000"], 2, "80 to 640 ms"),
        ([SAMPLE, "-m", "synthetic-en", "--confidence", "7"], 2, "0 to 1"),
        ([SAMPLE, "--delay", "9000"], 2, "give low, normal or sure"),
        ([SAMPLE, "--delay", "soon"], 2, "choose low, normal, sure"),
        ([SAMPLE, "--confidence", "0.5"], 2, "confidence is for models of another family"),
        ([SAMPLE, "--vad", "nothing"], 2, "nothing"),
        ([SAMPLE, "--output", "/nothing/here.srt"], 1, "/nothing/here.srt"),
        (["-", "--rate", "0"], 2, "rate"),
        (["-", "--channels", "0"], 2, "channels"),
        ([SAMPLE, "--rate", "8000"], 2, "--rate is for raw PCM on stdin only"),
        (["-", "--sample-format", "u8", "--device", "1"], 2, "--device is for the microphone only"),
        (["--fast"], 2, "--fast is for a file or raw PCM on stdin only"),
        ([SAMPLE, "--drafts"], 2, "--drafts is for --format jsonl only"),
    ],
)
def test_wrong_use_is_one_line_and_an_exit_code(args, code, said):
    done = run("listen", *args, stdin=subprocess.DEVNULL)
    assert done.returncode == code
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_input_is_never_overwritten(tmp_path):
    path = tmp_path / "talk.flac"
    shutil.copy(SAMPLE, path)
    done = run("listen", path, "--output", path)
    assert done.returncode == 2
    assert "input" in done.stderr
    assert path.read_bytes() == SAMPLE.read_bytes()


@pytest.fixture
def damaged(tmp_path):
    path = tmp_path / "damaged.flac"
    path.write_bytes(SAMPLE.read_bytes()[: SAMPLE.stat().st_size // 2])
    return path


@pytest.mark.parametrize("format", ["text", "srt", "vtt"])
def test_what_a_damaged_file_lost_is_one_line(damaged, format):
    done = run("listen", damaged, "--fast", "--format", format)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert re.fullmatch(r"lost: [\d.]+ s to [\d.]+ s, damaged file\n", done.stderr)
    assert "lost" not in done.stdout


def test_jsonl_holds_its_gaps_itself(damaged):
    done = run("listen", damaged, "--fast", "--format", "jsonl")
    assert '"reason": "damaged file"' in done.stdout
    assert done.stderr == ""


def test_output_to_a_dash_is_stdout(expected, tmp_path):
    done = run("listen", "-m", "synthetic-en", SAMPLE, "--fast", "--output", "-", cwd=tmp_path)
    assert done.stdout == expected
    assert list(tmp_path.iterdir()) == []


def test_no_microphone_is_said(monkeypatch):
    monkeypatch.setattr("edgestream.sources.microphones.list_devices", list)
    done = typer.testing.CliRunner().invoke(app, ["listen", "--list-devices"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "no microphone was found\n"


def test_drafts_grow_in_jsonl():
    done = run("listen", "-m", "synthetic-en", SAMPLE, "--fast", "--format", "jsonl", "--drafts")
    types = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert types.count("draft") > types.count("final") > 3


@pytest.mark.parametrize(("name", "beginning"), [("talk.vtt", "WEBVTT"), ("talk.jsonl", '{"type"')])
def test_the_name_of_the_output_says_its_format(name, beginning, tmp_path):
    options = ["--drafts"] if name.endswith("jsonl") else []
    done = run("listen", "-m", "synthetic-en", SAMPLE, "--fast", "-o", tmp_path / name, *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / name).read_text().startswith(beginning)


def test_an_unknown_option_is_wrong_use():
    done = run("listen", "--nothing")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_raw_pcm_on_stdin_is_heard_as_the_file_is(sample, expected):
    pcm = (sample * 32768).round().astype("<i2")  # exactly the file's 16 bits
    stereo = np.repeat(pcm[:, None], 2, axis=1)
    for data, args in [(pcm, []), (stereo, ["--channels", "2"])]:
        done = run("listen", "-m", "synthetic-en", "-", *args, input=data.tobytes(), text=False)
        assert done.returncode == 0
        assert done.stdout.decode().split() == expected.split()


def test_a_reader_that_goes_away_ends_it_quietly():
    command = f"{' '.join(COMMAND)} listen {SAMPLE} --fast --format jsonl | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, cwd="/")
    assert json.loads(done.stdout)["type"] == "final"
    assert done.stderr == b""
    assert done.returncode == 0


def test_a_full_disk_is_one_line():
    done = run("listen", "-m", "synthetic-en", SAMPLE, "--fast", "--output", "/dev/full")
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_finishes_with_the_last_words(number, sample, tmp_path):
    """Stopped after the last sample of a word was fed, the word is still written."""
    spoken = sample[: 4 * 16000]
    path = tmp_path / "spoken.wav"
    soundfile.write(path, spoken, 16000)
    whole = run("listen", path, "--fast").stdout
    process = subprocess.Popen(
        [*COMMAND, "listen", "-", "--sample-format", "f32le"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
    )  # fmt: skip
    soundfile_rounded = soundfile.read(path, dtype="float32")[0]
    process.stdin.write(soundfile_rounded.tobytes())
    process.stdin.flush()
    time.sleep(4)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert stdout.decode() == whole
    assert process.returncode == 0, stderr.decode()


def test_kill_9_leaves_every_final_caption(tmp_path, expected):
    path = tmp_path / "captions.jsonl"
    process = subprocess.Popen(
        [*COMMAND, "listen", SAMPLE, "--format", "jsonl", "--output", path], cwd="/"
    )
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and not (path.exists() and path.stat().st_size):
        time.sleep(0.1)
    process.kill()
    process.wait()
    lines = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    assert lines
    assert lines == expected.splitlines()[: len(lines)]


def on_a_terminal(*args):
    """Runs `edgestream args` on a terminal; returns the exit code and what was drawn."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, args)], stdout=terminal, stderr=terminal, cwd="/",
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "80"},
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while select.select([main], [], [], 60)[0]:
        try:
            shown += os.read(main, 65536)
        except OSError:  # the other end has closed
            break
    os.close(main)
    return process.wait(timeout=60), shown.decode("utf-8", "replace")


def test_a_terminal_sees_drafts_and_status():
    code, shown = on_a_terminal("listen", "-m", "synthetic-en", SAMPLE, "--fast")
    assert code == 0
    assert "\x1b[" in shown


def model_copy(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(edgestream.load("synthetic-en").folder, folder)
    return folder


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.gguf", "model.toml"])
def test_a_damaged_model_is_one_line(tmp_path, name):
    folder = model_copy(tmp_path)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / name).write_bytes(data)
    done = run("listen", SAMPLE, "-m", folder)
    assert done.returncode == 2
    assert name in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.gguf"])
def test_a_missing_model_file_is_one_line(tmp_path, name):
    folder = model_copy(tmp_path)
    (folder / name).unlink()
    done = run("listen", SAMPLE, "-m", folder)
    assert done.returncode == 2
    assert name in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_doctor_finds_this_machine_healthy():
    done = run("doctor")
    assert done.returncode == 0, done.stdout
    assert "watching self-test" in done.stdout
    assert "FAIL" not in done.stdout
