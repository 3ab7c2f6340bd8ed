# SPDX-License-Identifier: Apache-2.0
"""Transcripts on a disk that is full for a while: each line is there once, the log speaks once."""

from __future__ import annotations

import json
import logging
import resource

import pytest

from edgestream.events import Draft, Final
from edgestream.serve import transcripts
from edgestream.serve.transcripts import Transcripts

TEXT = "and so my fellow Americans " * 20


def line(n):
    return Final(text=f"{n} {TEXT}", words=[], start_ms=1000.0 * n, end_ms=1000.0 * n + 900)


@pytest.fixture
def full_beyond():
    """No file of this process gets longer than it is told."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(n_bytes=soft):
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))

    yield limit
    limit()


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "edgestream.serve")
    return lambda: [record.getMessage() for record in caplog.records]


def texts(folder):
    (path,) = folder.iterdir()
    return [json.loads(row)["text"] for row in path.read_text().splitlines()]


def test_lines_wait_for_room_and_the_log_says_it_once(tmp_path, full_beyond, said):
    kept = Transcripts(tmp_path, log_text=False)
    transcript = kept.begin()
    full_beyond(3000)
    for n in range(12):
        transcript.push([Draft(text=TEXT, start_ms=0.0, end_ms=1.0, n_final=0), line(n)])
    assert said() == ["a transcript cannot be written"]
    assert texts(tmp_path) == [line(n).text for n in range(len(texts(tmp_path)))]  # whole lines
    full_beyond()
    transcript.push([line(12)])
    kept.finish(transcript)
    assert said() == ["a transcript cannot be written", "a transcript is written again"]
    assert texts(tmp_path) == [line(n).text for n in range(13)]


def test_lines_wait_behind_the_end_of_their_session(tmp_path, full_beyond):
    kept = Transcripts(tmp_path, log_text=False)
    transcript = kept.begin()
    full_beyond(1000)
    transcript.push([line(n) for n in range(5)])
    kept.finish(transcript)
    kept.try_again()
    assert len(texts(tmp_path)) < 5
    full_beyond()
    kept.try_again()
    assert texts(tmp_path) == [line(n).text for n in range(5)]


def test_what_waits_has_a_most(tmp_path, full_beyond, monkeypatch):
    monkeypatch.setattr(transcripts, "MOST_WAITING", 3)
    transcript = Transcripts(tmp_path, log_text=False).begin()
    full_beyond(1)
    for n in range(10):
        transcript.push([line(n)])
    full_beyond()
    assert transcript.finish()
    assert texts(tmp_path) == [line(n).text for n in (7, 8, 9)]
