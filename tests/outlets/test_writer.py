# SPDX-License-Identifier: Apache-2.0
"""Captions on disk: valid at every moment, whole after a crash or on a full disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from subtitle_parsers import parse_srt, parse_vtt
from test_cues import finals, spoken

from edgestream.captions.shown_text import columns, printable
from edgestream.errors import OutputError, UsageError
from edgestream.events import Comment, Draft, Event, Final, Gap, Lag, Word
from edgestream.outlets.formats import Format
from edgestream.outlets.output_file import PAGE_BYTES
from edgestream.outlets.writers import SRT_LIKES, open_writer

TEXT = "We crossed the river at dawn, and nobody spoke until the far bank."


FORMATS = [form.value for form in Format]
IMPORTABLE = os.pathsep.join(
    str(Path(__file__).parents[1] / room) for room in ("support", "outlets")
)


def written(path: Path, format_name: str, events: list[Event], **options: bool) -> str:
    writer = open_writer(format_name, path, **options)
    for event in events:
        writer.push(event)
    writer.finish()
    return path.read_bytes().decode("utf-8")


def run_python(code: str, *args: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter that can import these tests."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    env = {**os.environ, "PYTHONPATH": IMPORTABLE}
    return subprocess.run(command, env=env, text=True, capture_output=True, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


def test_text_has_one_line_for_each_final(tmp_path: Path) -> None:
    events = [Draft("We", 0, 1), spoken("We go.\nNow\x07!"), Gap(1, 2, "overflow"), spoken("Yes.")]
    assert written(tmp_path / "out.txt", "text", events) == "We go. Now!\nYes.\n"


def test_jsonl_keeps_everything(tmp_path: Path) -> None:
    final = Final("Grüße!", (Word("Grüße!", 80.04, 400.0, 960.0),), 80.04, 400.0)
    events = [Draft("Grü", 80.0, 200.0), final, Gap(500.0, 900.0, "overflow"), Lag(700.0, "wait")]
    lines = written(tmp_path / "out.jsonl", "jsonl", events).splitlines()
    word = {"text": "Grüße!", "start_ms": 80.0, "end_ms": 400.0, "emitted_ms": 960.0}
    assert [json.loads(line) for line in lines] == [
        {"type": "final", "text": "Grüße!", "words": [word], "start_ms": 80.0, "end_ms": 400.0},
        {"type": "gap", "start_ms": 500.0, "end_ms": 900.0, "reason": "overflow"},
        {"type": "lag", "behind_ms": 700.0, "action": "wait"},
    ]
    with_drafts = written(tmp_path / "out.jsonl", "jsonl", events, drafts=True).splitlines()
    assert json.loads(with_drafts[0])["type"] == "draft"
    assert with_drafts[1:] == lines


def test_no_outlet_lets_through_what_steers_a_terminal_or_turns_text_around(
    tmp_path: Path,
) -> None:
    text = "a\x1b[2J\u009b1m\u202eb\u2066c\u2069 \ufeffمی\u200cروم \u200f👩\u200d👧\u0007"
    kept = "a[2J1mbc می\u200cروم \u200f👩\u200d👧"
    for format_name in FORMATS:
        found = written(tmp_path / "out", format_name, [spoken(text), Comment.of(text, 9_000.0)])
        assert found.count(kept) == 2
        assert all(c.isprintable() or c in "\n\u200c\u200d\u200f" for c in found)


def test_subtitles_of_a_known_line(tmp_path: Path) -> None:
    late = spoken(TEXT, 3_723_500.0)
    assert written(tmp_path / "out.srt", "srt", [late]) == (
        "1\n01:02:03,500 --> 01:02:07,520\n"
        "We crossed the river at dawn,\nand nobody spoke until the far bank.\n\n"
    )
    assert written(tmp_path / "out.vtt", "vtt", [late]) == (
        "WEBVTT\n\n01:02:03.500 --> 01:02:07.520\n"
        "We crossed the river at dawn,\nand nobody spoke until the far bank.\n\n"
    )


def test_marks_in_the_text_do_not_break_the_format(tmp_path: Path) -> None:
    final = spoken("R&D <b> --> &amp; 7")
    assert parse_vtt(written(tmp_path / "a", "vtt", [final]))[0][2] == ["R&D <b> --> &amp; 7"]
    assert parse_srt(written(tmp_path / "b", "srt", [final]))[0][2] == [
        "R&D \u2039b\u203a → &amp; 7"
    ]


@pytest.mark.parametrize("format_name", ["srt", "vtt"])
def test_a_cue_that_is_still_read_ends_where_somebody_speaks_on(
    tmp_path: Path, format_name: str
) -> None:
    path, text = tmp_path / "out", "This was said so fast that nobody could read it"
    read = parse_srt if format_name == "srt" else parse_vtt
    writer = open_writer(format_name, path)
    writer.push(spoken(text, word_ms=100))
    assert [cue[:2] for cue in read(path.read_text())] == [(0, 2_880)]
    writer.push(spoken("And so on, über Köln.", 1_500.0))
    assert [cue[:2] for cue in read(path.read_text())] == [(0, 1_500), (1_500, 3_000)]
    writer.push(spoken(text, 4_000.0, word_ms=100))
    writer.push(Gap(5_200.0, 9_000.0, "overflow"))
    writer.push(spoken(text, 9_100.0))
    writer.finish()
    cues = read(path.read_text())
    assert [cue[:2] for cue in cues[2:]] == [(4_000, 5_200), (9_100, 12_100)]
    assert cues[1][2] == ["And so on, über Köln."]


def test_on_a_pipe_the_next_cue_waits() -> None:
    code = """
        from test_cues import spoken
        from edgestream.outlets.writers import open_writer
        writer = open_writer("srt")
        writer.push(spoken("This was said so fast that nobody could read it", word_ms=100))
        writer.push(spoken("And so on, and so on.", 1_500.0))
        writer.finish()
    """
    cues = parse_srt(run_python(code).stdout)
    assert [cue[:2] for cue in cues] == [(0, 2_880), (2_880, 3_300)]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None
)
@given(finals(), st.sampled_from(["srt", "vtt"]))
def test_any_words_make_valid_subtitles(
    tmp_path: Path, lines: list[Final], format_name: str
) -> None:
    text = written(tmp_path / "out", format_name, list(lines))
    cues = parse_srt(text) if format_name == "srt" else parse_vtt(text)
    ends_ms = [0] + [end_ms for _, end_ms, _ in cues]
    for before_ms, (start_ms, end_ms, shown) in zip(ends_ms, cues, strict=False):
        assert before_ms <= start_ms < end_ms <= start_ms + 7_000
        assert len(shown) <= 2
        assert all(columns(line) <= 42 for line in shown)
    said = "".join(printable(word.text) for line in lines for word in line.words)
    read = "".join(line for cue in cues for line in cue[2])
    if "-->" not in said:  # what happens to an arrow has its own test
        if format_name == "srt":
            said = said.translate(SRT_LIKES)
        assert read.replace(" ", "") == said.replace(" ", "")


@pytest.mark.parametrize("format_name", FORMATS)
def test_file_is_valid_after_every_event_and_an_old_one_is_replaced(
    tmp_path: Path, format_name: str
) -> None:
    path = tmp_path / "out"
    path.write_text("captions of yesterday")
    writer = open_writer(format_name, path)
    for n in range(1, 4):
        writer.push(spoken(TEXT, n * 10_000.0))
        assert count_finals(path.read_text(), format_name) == n
    writer.finish()
    writer.finish()  # as often as one likes
    assert count_finals(path.read_text(), format_name) == 3


def count_finals(text: str, format_name: str) -> int:
    """How many times the whole TEXT stands in a file, which must be valid to its last byte."""
    if format_name == "srt":
        return sum(" ".join(lines) == TEXT for _, _, lines in parse_srt(text))
    if format_name == "vtt":
        return sum(" ".join(lines) == TEXT for _, _, lines in parse_vtt(text))
    assert text == "" or text.endswith("\n")
    lines = [line.rstrip() for line in text.splitlines()]
    if format_name == "jsonl":
        lines = [json.loads(line)["text"] for line in lines]
    return sum(line == TEXT for line in lines)


@pytest.mark.parametrize("format_name", FORMATS)
def test_kill_9_loses_no_final_caption(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / "out"
    code = """
        import sys
        from test_cues import spoken
        from test_writer import TEXT
        from edgestream.outlets.writers import open_writer
        writer = open_writer(sys.argv[1], sys.argv[2])
        for n in range(1_000_000):
            writer.push(spoken(TEXT, n * 10_000.0))
            print(n + 1, flush=True)  # known to be written
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), format_name, str(path)],
        env={**os.environ, "PYTHONPATH": IMPORTABLE},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(0.2)
    child.send_signal(signal.SIGKILL)
    reported = [1, *(int(line) for line in child.stdout.read().splitlines() if line)]
    child.stdout.close()
    child.wait()
    n_found = count_finals(path.read_text(), format_name)
    assert n_found >= 2  # it was in the middle of its work
    assert n_found in (reported[-1], reported[-1] + 1)


@pytest.mark.parametrize("format_name", FORMATS)
def test_no_piece_crosses_a_page(tmp_path: Path, format_name: str) -> None:
    """Where a page ends the system may be killed in the middle of a write."""
    events: list[Event] = [spoken(TEXT[: 10 + n % 50], n * 10_000.0) for n in range(500)]
    data = written(tmp_path / "out", format_name, events).encode()
    for end in range(PAGE_BYTES, len(data), PAGE_BYTES):
        assert data[:end].endswith(b"\n\n" if format_name in ("srt", "vtt") else b"\n")
    assert len(data) > 4 * PAGE_BYTES
    text = data.decode()
    if format_name in ("srt", "vtt"):
        assert len(parse_srt(text) if format_name == "srt" else parse_vtt(text)) == 500
    else:
        assert len(text.splitlines()) == 500


@pytest.mark.parametrize("format_name", FORMATS)
def test_full_disk_takes_back_the_half_caption(tmp_path: Path, format_name: str) -> None:
    """A file size limit stops a write half way, as a full disk does, without needing one."""
    path = tmp_path / "out"
    code = """
        import resource, sys
        from test_cues import spoken
        from test_writer import TEXT
        from edgestream.errors import OutputError
        from edgestream.outlets.writers import open_writer
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
        writer = open_writer(sys.argv[1], sys.argv[2])
        n = 0
        try:
            while n < 1_000:
                writer.push(spoken(TEXT, n * 10_000.0))
                n += 1
        except OutputError as error:
            print(n)
            print(error)
        writer.finish()
    """
    result = run_python(code, format_name, path)
    assert result.stderr == ""
    n_written, message = result.stdout.splitlines()
    assert message.startswith(
        f"{path}: captions cannot be written: File too large; free some space"
    )
    assert path.stat().st_size < 2_000
    assert count_finals(path.read_text(), format_name) == int(n_written) > 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_really_full_disk(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        path = tmp_path / "out.srt"
        writer = open_writer("srt", path)
        written_finals = []

        def fill() -> None:
            for n in range(10_000):
                writer.push(spoken(TEXT, n * 10_000.0))
                written_finals.append(n)

        with pytest.raises(OutputError, match="No space left on device"):
            fill()
        writer.finish()
        assert count_finals(path.read_text(), "srt") == len(written_finals) > 100
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_device() -> None:
    writer = open_writer("text", "/dev/full")
    with pytest.raises(OutputError, match=r"/dev/full: .*No space left on device.*--output"):
        writer.push(spoken(TEXT))


def test_reader_that_goes_away() -> None:
    code = """
        import os
        from test_cues import spoken
        from edgestream.outlets.writers import open_writer
        read_fd, write_fd = os.pipe()
        os.dup2(write_fd, 1)
        os.close(write_fd)
        writer = open_writer("text")
        writer.push(spoken("first"))
        assert os.read(read_fd, 100) == b"first\\n"
        os.close(read_fd)
        try:
            writer.push(spoken("second"))
        except BrokenPipeError:
            os._exit(7)
    """
    result = run_python(code)
    assert (result.returncode, result.stderr) == (7, "")


def test_stdout_is_written_at_once_and_stays_open() -> None:
    code = """
        from test_cues import spoken
        from edgestream.outlets.writers import open_writer
        print("before")
        writer = open_writer("text")
        writer.push(spoken("a caption"))
        writer.finish()
        print("after")
    """
    assert run_python(code).stdout == "before\na caption\nafter\n"


def test_closed_stdout() -> None:
    code = """
        import os, sys
        sys.stdout = None  # as Python itself sets it when it is started without one
        os.close(1)
        from edgestream.errors import OutputError
        from edgestream.outlets.writers import open_writer
        try:
            open_writer("text")
        except OutputError as error:
            sys.stderr.write(str(error))
    """
    assert run_python(code).stderr == "stdout is closed; write the captions with --output FILE"


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'ass' is not known; use text, jsonl, srt, vtt"):
        open_writer("ass")
    with pytest.raises(OutputError, match="cannot be written: Is a directory"):
        open_writer("srt", tmp_path)
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        open_writer("srt", tmp_path / "missing" / "out.srt")
