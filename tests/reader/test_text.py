# SPDX-License-Identifier: Apache-2.0
"""Plain text as a stream of lines."""

import io
import os
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.errors import SourceError
from edgestream.events import Draft, Final
from edgestream.reader.text import MAX_LINE, MAX_WORD, TextSource, TextStream, open_text
from edgestream.reader.units import CommittedWords

TEXT = (
    "Good day, Dr. Smith. Is it you? It is\nI said: \u201cNo.\u201d"
    "  Pi is 3.14 \u00fcber alles \U0001f600 and"
)
LINES = [
    "Good day, Dr. Smith.", "Is it you?", "It is", "I said: \u201cNo.\u201d",
    "Pi is 3.14 \u00fcber alles \U0001f600 and",
]  # fmt: skip


def finals(events):
    return [event for event in events if isinstance(event, Final)]


def streamed(data, at):
    stream, events = TextStream(), []
    for begin, end in zip([0, *at], [*at, len(data)], strict=True):
        events += stream.take(data[begin:end])
    return events + stream.finish()


@given(st.lists(st.integers(0, len(TEXT.encode())), max_size=12))
def test_any_cutting_gives_the_lines_of_the_whole(at):
    data = TEXT.encode()
    whole = finals(streamed(data, []))
    assert [line.text for line in whole] == LINES
    events = streamed(data, sorted(at))
    assert finals(events) == whole
    reader = CommittedWords()
    read = [unit.text for event in events for unit in reader.push(event) if unit.text]
    assert read == " ".join(LINES).split()


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_bytes_that_are_no_text_are_read_somehow_and_any_cutting_alike(data, at):
    at = sorted(min(i, len(data)) for i in at)
    assert finals(streamed(data, at)) == finals(streamed(data, []))


def test_a_word_is_read_before_its_line_ends():
    stream = TextStream()
    (draft,) = stream.take(b"Good day, Mr")
    assert isinstance(draft, Draft)
    assert draft.text[: draft.n_final] == "Good day,"


def test_a_line_without_an_end_is_cut():
    text = ("word " * 200).encode()
    lines = finals(streamed(text, []))
    assert all(len(line.text) <= MAX_LINE for line in lines)
    assert " ".join(line.text for line in lines).split() == ["word"] * 200


@given(st.lists(st.integers(0, 5000), max_size=5).map(sorted))
def test_a_word_without_an_end_is_cut(at):
    data = b"0123456789" * 500
    events = streamed(data, at)
    assert finals(events) == finals(streamed(data, []))
    assert "".join(line.text for line in finals(events)).encode() == data
    assert all(len(event.text) <= MAX_LINE + 1 + MAX_WORD for event in events)


UNSPACED = "\u4f60\u597d\u3002\u300c\u4f55\u8655\uff1f\uff01\u300d\u518d\u89c1\uff01\u771f"


@given(st.lists(st.integers(0, len(UNSPACED.encode())), max_size=5).map(sorted))
def test_sentences_end_where_no_spaces_are_written(at):
    lines = [line.text for line in finals(streamed(UNSPACED.encode(), at))]
    assert lines == [UNSPACED[:3], UNSPACED[3:9], UNSPACED[9:12], UNSPACED[12:]]


def test_the_clock_is_that_of_somebody_who_reads():
    lines = finals(streamed(TEXT.encode(), [3, 20]))
    assert lines[0].start_ms == 0
    assert all(a.end_ms == b.start_ms for a, b in pairwise(lines))
    assert lines[-1].end_ms == pytest.approx(60 * (len(TEXT) + 1))


def test_a_pipe_is_read_as_it_comes():
    reading, writing = os.pipe()
    source = TextSource(os.fdopen(reading, "rb"))
    pieces = iter(source)
    os.write(writing, b"one ")
    assert next(pieces) == b"one "  # before the pipe is closed
    os.write(writing, b"two")
    assert next(pieces) == b"two"
    threading.Timer(0.05, os.close, [writing]).start()
    assert next(pieces, None) is None
    source.close()


def test_a_source_that_is_stopped_ends():
    source = TextSource(io.BytesIO(b"x" * 100_000))
    pieces = iter(source)
    next(pieces)
    source.stop()
    assert next(pieces, None) is None


def test_what_cannot_be_read_is_said_in_one_line(tmp_path):
    with pytest.raises(SourceError, match=r"nothing\.txt: No such file"):
        open_text(tmp_path / "nothing.txt")
    with pytest.raises(SourceError, match="Is a directory"):
        open_text(tmp_path)
