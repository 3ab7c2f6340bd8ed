# SPDX-License-Identifier: Apache-2.0
"""A language model that reads along, as a user runs it: it may die at any time, captions do not."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import typer.testing
from tiny_chat import write_chat

import edgestream
from edgestream.cli.main import app

COMMAND = [sys.executable, "-m", "edgestream"]
DATA = Path(edgestream.__file__).parent / "data"
SAMPLE, PERSON = DATA / "sample.flac", DATA / "person.flac"
TALK = "The meeting starts at nine. Anna brings the plans.\nWho pays for the steel?\n"
CHATML = (Path(__file__).parent.parent / "data/chat/smollm2.jinja").read_text()
REAL = os.environ.get("EDGESTREAM_TEST_SMOLLM2")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A decoder of random weights, which writes nonsense."""
    return write_chat(tmp_path_factory.mktemp("reader") / "tiny.gguf", CHATML, eos="<|im_end|>")


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "talk.txt"
    path.write_text(TALK)
    return path


def run(*args, **options):
    """Runs `edgestream args`; returns the finished process with text output."""
    options = {"capture_output": True, "text": True, "timeout": 120, "cwd": "/"} | options
    return subprocess.run([*COMMAND, *map(str, args)], **options)


def started(*args, **options):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([*COMMAND, *map(str, args)], **pipes | {"cwd": "/"} | options)


def reader_of(process):
    """The process that reads along, as soon as it is there."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        for child in psutil.Process(process.pid).children():
            if "spawn_main" in " ".join(child.cmdline()):
                return child
        time.sleep(0.005)
    raise AssertionError("no reader was started")


@pytest.fixture(scope="module")
def heard():
    """The captions of a person, without a reader."""
    return run("listen", PERSON, "--fast").stdout


def test_text_is_read_and_shown_line_by_line(talk, tiny):
    done = run("read", talk, "--reader", tiny, "--ask", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "The meeting starts at nine.", "Anna brings the plans.", "Who pays for the steel?",
    ]  # fmt: skip


def test_text_on_stdin_is_read_as_the_file_is(talk, tiny):
    options = ["--reader", tiny, "--format", "jsonl"]
    question = run("read", talk, *options, "--ask", input="Who?\n")
    answer = json.loads(question.stdout.splitlines()[-1])
    assert (answer["type"], answer["question"]) == ("answer", "Who?")
    done = run("read", talk, *options, "--ask", stdin=subprocess.DEVNULL)
    finals = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["text"] for each in finals] == run(
        "read", talk, "--reader", tiny, "--ask", stdin=subprocess.DEVNULL
    ).stdout.splitlines()


def test_a_translation_lies_in_memory_as_one_says():
    """By the translator that ships, which knows two layouts."""
    text = "The girl sees a red apple.\n"
    for layout in ("interleaved", "grouped"):
        done = run(
            "read", "--reader", "toy-translator", "--translate-to", "fr",
            "--translate-layout", layout, input=text,
        )  # fmt: skip
        assert done.stdout == text + "fr> La fille voit une pomme rouge.\n"
    done = run(
        "read", "--reader", "toy-translator", "--translate-to", "fr",
        "--translate-layout", "reencoded", input=text,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "was trained for the layouts interleaved, grouped; not for reencoded" in done.stderr


WRONG = [
    (["--translate-to", "fr"], "--translate-to needs --reader MODEL"),
    (["--ask-every", "What?"], "--ask-every needs --reader MODEL"),
    (["--alert", "a fire"], "--alert needs --reader MODEL"),
    (["--think"], "--think needs --reader MODEL"),
    (["--tool", "t.toml"], "--tool needs --reader MODEL"),
    (["--reader", "m.gguf"], "--reader: there is nothing to do"),
    (["--say"], "--say: there is nothing to do"),
    (["--say-to", "a.wav"], "--say-to: there is nothing to do"),
    (["--wake", "ice", "--say-voice", "en"], "--say-voice is for --say or --say-to only"),
    (["--wake", "ice", "--say-device", "1"], "--say-device is for --say only"),
    (["--wake", "ice", "--every", "5min"], "--every is for --ask-every only"),
    (["--wake", "ice", "--translate-policy", "x"], "--translate-policy is for --translate-to only"),
    (["--wake", "ice", "--translate-layout", "x"], "--translate-layout is for --translate-to only"),
    (
        ["--wake", "ice", "--subtitles", "both", "--format", "srt"],
        "--subtitles is for --translate-to only",
    ),
    (["--wake", "ice", "--alert-threshold", "1"], "--alert-threshold is for --alert only"),
    (["--wake", "ice", "--reader-threads", "1"], "--reader-threads is for --reader only"),
    (["--wake", "ice", "--reader-device", "cpu"], "--reader-device is for --reader only"),
    (["--wake", " "], "--wake: is empty"),
    (["--reader", "m.gguf", "--alert", ""], "--alert: is empty"),
    (["--reader", "m.gguf", "--translate-to", ""], "--translate-to: is empty"),
    (["--reader", "m.gguf", "--ask-every", "a", "--every", "5"], "--every is '5'; give a time"),
    (["--reader", "m.gguf", "--ask-every", "a", "--every", "0s"], "--every is '0s'; give a time"),
    (["--reader", "m.gguf", "--think", "--reader-threads", "0"], "--reader-threads is 0; give 1"),
    (
        ["--reader", "m.gguf", "--alert", "a", "--alert-threshold", "7"],
        "--alert-threshold is 7; give a number between 0 and 1",
    ),
    (
        ["--reader", "m.gguf", "--translate-to", "fr", "--subtitles", "both"],
        "--subtitles is for --format srt or vtt only",
    ),
]


def in_this_process(*args):
    """As `run`, but in no time: for what is refused before anything is begun."""
    done = typer.testing.CliRunner().invoke(app, [*map(str, args)])
    return subprocess.CompletedProcess(args, done.exit_code, done.stdout, done.stderr)


@pytest.mark.parametrize(("args", "said"), WRONG)
@pytest.mark.parametrize("command", [["read", "TALK"], ["listen", SAMPLE, "--fast"]])
def test_wrong_use_is_one_line_and_an_exit_code(command, args, said, talk):
    command = [talk if each == "TALK" else each for each in command]
    done = in_this_process(*command, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        ("/no/m.gguf", "/no/m.gguf: no such file"),
        ("/no/folder", "/no/folder: no such model"),
        (SAMPLE, "sample.flac: not a model"),
    ],
)
def test_a_model_that_is_none_is_one_line(reader, said, talk):
    done = run("read", talk, "--reader", reader, "--ask", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["read", "TALK"], "there is nothing to do; give --wake"),
        (["read", "/no/text", "--wake", "ice"], "/no/text: No such file"),
        (["read", "/", "--wake", "ice"], "/: Is a directory"),
        (["read", "TALK", "--wake", "ice", "-o", "TALK"], "is the input as well"),
        (["read", "TALK", "--wake", "ice", "--drafts"], "--drafts is for --format jsonl only"),
        (["read", "-", "--reader", "m.gguf", "--ask"], "--ask: the text comes from stdin"),
        (["listen", "-", "--reader", "m.gguf", "--ask"], "--ask: the sound comes from stdin"),
        (["listen", SAMPLE, "--output-dir", "o", "--wake", "ice"], "is for one source"),
        (["watch", "/no/clip.mp4", "--reader", "m.gguf"], "--reader: there is nothing to do"),
        (["watch", "/no/clip.mp4", "--think"], "--think needs --reader"),
        (["watch", "/no/clip.mp4", "--reader-window", "99"], "--reader-window is for --reader"),
    ],
)
def test_wrong_use_of_one_command_is_one_line(args, said, talk):
    args = [talk if each == "TALK" else each for each in args]
    done = in_this_process(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr


def test_stdin_that_is_closed_is_one_line():
    done = run("read", "--wake", "ice", preexec_fn=lambda: os.close(0))
    assert (done.returncode, done.stdout) == (2, "")
    assert "stdin is closed" in done.stderr


def test_a_file_without_a_tokenizer_or_with_a_bad_template_is_one_line(talk, tmp_path):
    path = write_chat(tmp_path / "odd.gguf", "{% for %}")
    done = run("read", talk, "--reader", path, "--ask", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "odd.gguf" in done.stderr


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_it_takes_no_caption_along(seed, heard, tiny):
    # At its own pace: it has not ended by then.
    process = started("listen", PERSON, "--reader", REAL or tiny, "--ask")
    reader = reader_of(process)
    time.sleep(random.Random(seed).uniform(0, 2.5))
    reader.kill()
    stdout, stderr = process.communicate(timeout=120)
    assert stdout.decode() == heard
    assert process.returncode == 0
    notice = r"\d+\.\d s: reading along was ended by SIGKILL; captions go on without it\n"
    assert re.fullmatch(notice, stderr.decode())


def test_killed_while_a_question_is_asked_it_takes_no_caption_along(heard, tiny):
    process = started("listen", PERSON, "--reader", REAL or tiny, "--ask")
    reader = reader_of(process)
    process.stdin.write(b"What was said so far?\n" * 20)
    process.stdin.flush()
    time.sleep(3)
    reader.kill()
    stdout, stderr = process.communicate(timeout=120)
    lines = stdout.decode().splitlines(keepends=True)
    assert "".join(line for line in lines if not line.startswith("What was said")) == heard
    assert process.returncode == 0
    assert stderr.decode().count("\n") == 1


def test_held_up_it_holds_up_no_caption(heard, tiny, tmp_path):
    path = tmp_path / "captions.txt"
    process = started("listen", PERSON, "--fast", "--reader", tiny, "--ask", "-o", path)
    reader = reader_of(process)
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and not path.exists():
        time.sleep(0.01)
    reader.suspend()
    while time.monotonic() < deadline_s and path.read_text() != heard:
        time.sleep(0.1)
    assert path.read_text() == heard
    reader.resume()
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_text_and_what_was_asked_is_answered(number, tiny):
    process = started("read", "--reader", tiny, "--wake", "nine", "--format", "jsonl")
    process.stdin.write(TALK.encode() + b"An end without")
    process.stdin.flush()
    first = process.stdout.readline()
    assert json.loads(first)["text"] == "The meeting starts at nine."
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    records = [json.loads(line) for line in stdout.splitlines()]
    assert [each["text"] for each in records if each["type"] == "final"][-1] == "An end without"
    assert [each["alert"] for each in [json.loads(first), *records] if "alert" in each] == ["nine"]
    assert (process.returncode, stderr) == (0, b"")


def test_a_second_ctrl_c_ends_at_once_and_leaves_no_process(tiny):
    process = started("read", "--reader", tiny, "--wake", "nine")
    process.stdin.write(TALK.encode())
    process.stdin.flush()
    process.stdout.readline()
    reader = reader_of(process)
    reader.suspend()  # it never ends by itself
    process.send_signal(signal.SIGINT)
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not reader.is_running() or reader.status() == psutil.STATUS_ZOMBIE


def test_the_reader_ends_with_a_killed_edgestream(tiny):
    process = started("read", "--reader", tiny, "--ask-every", "What?")
    reader = reader_of(process)
    process.kill()
    process.communicate(timeout=60)
    psutil.wait_procs([reader], timeout=60)
    assert not reader.is_running()


def test_without_a_task_nothing_of_the_reader_is_loaded():
    code = (
        "import sys; from edgestream.cli.main import app;"
        f"app(['listen', '-m', 'synthetic-en', {str(SAMPLE)!r}, '--fast'], standalone_mode=False);"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not re.findall(r"edgestream\.reader\S*", done.stdout.splitlines()[-1])
    assert "multiprocessing" not in done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("limit_mb", [200, 260, 320, 400, 500, 700])
def test_with_too_little_memory_it_is_one_line_or_works(limit_mb, talk, tiny):
    resource = pytest.importorskip("resource")
    limits = (limit_mb << 20, limit_mb << 20)
    done = run(
        "read", talk, "--reader", tiny, "--ask", stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limits),
    )  # fmt: skip
    if done.returncode:
        assert (done.returncode, done.stdout) == (2, "")
        assert "memory" in done.stderr
    else:
        assert len(done.stdout.splitlines()) == 3
    assert len(done.stderr.splitlines()) == (1 if done.returncode else 0)
