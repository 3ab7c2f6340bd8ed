# SPDX-License-Identifier: Apache-2.0
"""`read()`: a text, questions and tasks in one call."""

import asyncio
import gc
import threading
import time
import weakref

import pytest
from tiny_reader import TALK, tiny_reader

import edgestream as es
from edgestream.events import Answer, Draft, Final, Thought
from edgestream.reader.notes import Notes
from edgestream.reader.read import POLL_S
from edgestream.reader.think import Think

LINES = TALK.split(". ")
WAIT_S = 60.0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_reader(tmp_path_factory.mktemp("reader"))


def test_questions_are_answered_in_order_beside_the_text(model):
    asked = [f"question {i}" for i in range(40)]
    for beside in (False, True):
        session = es.read([TALK], model=model, questions=asked, beside=beside)
        events = [event for event in session if not isinstance(event, Draft)]
        answers = [event for event in events if isinstance(event, Answer)]
        assert [answer.question for answer in answers] == asked
        assert [event.text for event in events if isinstance(event, Final)] == [
            *(f"{line}." for line in LINES[:-1]), LINES[-1],
        ]  # fmt: skip


def test_a_file_is_read(model, tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text(TALK)
    once = list(es.read(path, model=model, task=Think()))
    assert [e for e in once if isinstance(e, Thought)]
    pieces = [TALK[i : i + 9] for i in range(0, len(TALK), 9)]
    again = list(es.read(pieces, model=model, task=[Think()]))
    assert [e for e in once if not isinstance(e, Draft)] == [
        e for e in again if not isinstance(e, Draft)
    ]


def test_a_session_that_is_left_lets_go(model):
    session = es.read([TALK], model=model, task=Think(), questions=["who?"], beside=True)
    next(iter(session))
    session.close()
    session.close()
    assert list(session) == []


def test_questions_that_come_when_the_source_has_ended_are_answered(model, monkeypatch):
    """Their thread has read none of them by then."""
    monkeypatch.setattr("edgestream.reader.read.LAST_WAIT_S", WAIT_S)
    ended = threading.Event()

    def pieces():
        yield TALK
        ended.set()

    def asked():
        assert ended.wait(WAIT_S)
        time.sleep(4 * POLL_S)
        yield from ("Who?", "What?")

    class Listed(list):
        def __iter__(self):
            return asked()

    for questions in (asked(), Listed()):
        ended.clear()
        events = list(es.read(pieces(), model=model, questions=questions))
        assert [e.question for e in events if isinstance(e, Answer)] == ["Who?", "What?"]


def test_who_asks_nothing_more_keeps_no_session_open(model):
    over = threading.Event()
    silent = iter(lambda: over.wait(WAIT_S) and "", "")
    assert list(es.read([TALK], model=model, questions=silent))
    over.set()


def test_iteration_that_was_left_goes_on_where_it_was(model):
    def session():
        return es.read([TALK], model=model, task=[Think(), Notes("What?", 1)])

    left, events = session(), []
    while event := next(iter(left), None):
        events.append(event)
    assert events == list(session())
    assert len(events) > len(LINES)


def test_a_session_iterates_asynchronously(model):
    async def collect():
        return [event async for event in es.read([TALK], model=model, task=Think())]

    assert asyncio.run(collect()) == list(es.read([TALK], model=model, task=Think()))


def test_a_session_that_nobody_holds_lets_go_at_once(model):
    """Without the collector of cycles."""
    gc.disable()
    try:
        session = es.read([TALK], model=model, task=Think())
        for _ in session:
            break
        closed = weakref.ref(session), weakref.ref(session._reader), weakref.ref(session.source)
        del session
        assert [each() for each in closed] == [None, None, None]
    finally:
        gc.enable()
