# SPDX-License-Identifier: Apache-2.0
"""A reader in a process of its own: it may be slow, stopped or killed; who pushes goes on."""

import errno
import multiprocessing
import os
import signal
import subprocess
import time
from functools import partial

import pytest
from apart_tasks import (
    captioning,
    closed_into,
    dead,
    drafts,
    endless,
    lines,
    never,
    no_tasks,
    odd,
    short,
    slow_lines,
    slow_translation,
    unusable,
    waits_in,
)
from tiny_reader import TALK, tiny_reader

import edgestream as es
from edgestream.errors import ModelError, OperationError, UsageError
from edgestream.events import (
    Answer,
    Draft,
    Final,
    Lag,
    Note,
    Notice,
    Translation,
    TranslationDraft,
)
from edgestream.reader import apart
from edgestream.reader.apart import ApartReader
from edgestream.reader.apart_worker import NO_MEMORY, Recipe
from edgestream.reader.read import ReadSession
from edgestream.reader.text import TextStream
from edgestream.session import Session


class Text(list):
    """A source of pieces."""

    behind_ms = 0.0

    def close(self):
        pass


def final(text, at=0):
    return Final(text, (), 1000.0 * at, 1000.0 * (at + 1))


def reader_of(tasks, **options):
    return ApartReader(Recipe(None, tasks), **options)


def notes(events):
    return [event.text for event in events if isinstance(event, Note)]


def notices(events):
    return [event.text for event in events if isinstance(event, Notice)]


def told(reader, wanted=1):
    """Polls until there are as many events."""
    events = []
    while len(events) < wanted:
        events += reader.poll()
        time.sleep(0.01)
    return events


def test_all_that_is_pushed_is_read_in_order():
    reader = reader_of(lines, max_waiting=None)
    events = []
    for number in range(200):
        events += reader.push(Draft(f"line {number}", 0.0, 1.0, 4))
        events += reader.push(final(f"line {number}", number))
    events += reader.finish()
    assert notes(events) == [*(f"line {number}" for number in range(200)), "600"]
    assert len(events) == 201
    assert reader.push(final("late")) == reader.poll() == []
    reader.close()
    reader.close()


def test_it_reads_while_nothing_is_pushed():
    reader = reader_of(lines)
    reader.push(final("alone"))
    assert notes(told(reader)) == ["alone"]
    reader.close()


def test_a_slow_one_leaves_out_lines_and_says_so():
    reader = reader_of(slow_lines, max_waiting=20)
    events = []
    for number in range(100):
        events += reader.push(final(f"line {number}", number))
    lags = [event.action for event in events if isinstance(event, Lag)]
    assert lags
    events += reader.finish()
    n_left_out = sum(int(lag.split()[-2].replace("a", "1")) for lag in lags)
    assert len(notes(events)) == 100 - n_left_out + 1
    assert notices(events) == []


def test_a_slow_translation_leaves_out_lines_and_says_so():
    reader = reader_of(slow_translation, max_waiting=100)
    events = []
    for number in range(400):
        events += reader.push(final("one sentence.", number))
        time.sleep(0.001)
    n_translated = sum(isinstance(event, Translation) for event in [*events, *reader.finish()])
    lags = [event.action for event in events if isinstance(event, Lag)]
    n_left_out = sum(int(lag.split()[-2].replace("a", "1")) for lag in lags)
    assert n_left_out
    assert n_translated == 400 - n_left_out
    reader.close()


def test_a_patient_one_is_waited_for_and_speaks_in_its_place():
    reader = reader_of(slow_lines, max_waiting=4, patient=True)
    for number in range(40):
        assert notes(reader.push(final(f"line {number}", number))) == [f"line {number}"]
    assert notes(reader.finish()) == ["120"]


def test_a_patient_one_that_is_killed_or_held_up_is_waited_for_no_more(monkeypatch):
    reader = reader_of(lines, patient=True)
    assert len(notices(reader.push(final("kill")))) <= 1
    assert not notes([*reader.push(final("after")), *reader.finish()])
    monkeypatch.setattr(apart, "STALL_S", 2.5)
    reader = reader_of(lines, patient=True)
    os.kill(reader.pid, signal.SIGSTOP)
    [notice] = notices(reader.push(final("before")))
    assert "no sign of life" in notice


@pytest.mark.parametrize(
    ("tasks", "error", "said"),
    [
        (unusable, UsageError, "such a task there is not"),
        (odd, OperationError, "ZeroDivisionError: none"),
        (short, ModelError, NO_MEMORY),
    ],
)
def test_what_cannot_be_used_is_told_at_the_start(tasks, error, said):
    with pytest.raises(error, match=said):
        reader_of(tasks)


def test_a_model_that_is_not_there_is_told_at_the_start(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        ApartReader(Recipe(str(tmp_path / "no.gguf"), no_tasks))


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EMFILE])
def test_where_no_process_can_be_begun_it_is_one_line(number, monkeypatch):
    def start(process):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", start)
    with pytest.raises(OperationError, match=os.strerror(number)):
        reader_of(lines)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("kill", "reading along was ended by SIGKILL"),
        ("memory", "reading along failed: too little memory"),
        ("error", "reading along failed: ValueError: odd"),
    ],
)
def test_its_end_is_one_notice_and_pushing_goes_on(line, said):
    reader = reader_of(lines)
    events = reader.push(final("before"))
    events += reader.push(final(line, 1))
    while not notices(events):
        events += reader.push(final("after", 2))
        time.sleep(0.01)
    for number in range(1000):
        events += reader.push(final("after", number))
    events += reader.finish()
    assert notes(events)[0] == "before"
    [notice] = notices(events)
    assert notice.startswith(said)
    assert notice.endswith("captions go on without it")
    assert not [event for event in events if isinstance(event, Lag)]


def test_killed_while_it_starts_it_is_one_notice():
    reader = reader_of(dead)
    events = [*reader.push(final("one")), *reader.finish()]
    assert notices(events) == ["reading along was ended by SIGKILL; captions go on without it"]


def test_killed_while_a_question_waits_it_is_one_notice():
    reader = reader_of(endless)
    reader.push(final("a line that takes an hour"))
    reader.ask("Who?")
    os.kill(reader.pid, signal.SIGKILL)
    events = reader.finish()
    assert len(events) == len(notices(events)) == 1
    assert reader.ask("Who?") == [Answer("Who?", "nobody reads along any more", 1000.0)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(tiny_reader(tmp_path_factory.mktemp("reader")).path)


def test_one_question_after_the_other_is_answered_after_the_end_too(tiny):
    reader = ApartReader(Recipe(tiny, lines, asked=True))
    assert reader.is_free
    events = [*reader.push(final("a line")), *reader.ask("Who?")]
    assert not reader.is_free
    events += told(reader, 2)
    assert reader.is_free
    assert [type(event) for event in [*events, *reader.finish()]] == [Note, Answer, Note]
    for _ in range(3):
        [answer] = [*reader.ask("What?"), *reader.finish()]
        assert (answer.question, answer.time_ms) == ("What?", 1000.0)
    reader.close()


def test_it_answers_as_a_reader_beside_it_does(tiny):
    here = es.read([TALK], model=tiny, questions=["Who?"])
    apart_one = ReadSession(
        Session(Text([TALK.encode()]), TextStream()),
        ApartReader(Recipe(tiny, no_tasks, asked=True, beside=False)),
        ["Who?"],
    )
    assert [e for e in here if isinstance(e, Answer)] == [
        e for e in apart_one if isinstance(e, Answer)
    ]


def test_held_up_it_holds_up_nobody_and_goes_on():
    reader = reader_of(lines, max_waiting=100)
    reader.push(final("before"))
    told(reader)
    os.kill(reader.pid, signal.SIGSTOP)
    events = []
    for number in range(2000):
        events += reader.push(final("word " * 50, number))
        reader.ask("Who?")
    os.kill(reader.pid, signal.SIGCONT)
    assert [event for event in events if isinstance(event, Lag)]
    reader.close()


def test_held_up_at_the_end_it_is_given_up(monkeypatch):
    monkeypatch.setattr(apart, "STALL_S", 2.5)
    reader = reader_of(lines)
    reader.push(final("before"))
    events = told(reader)
    os.kill(reader.pid, signal.SIGSTOP)
    reader.push(final("after"))
    events += reader.finish()
    assert notes(events) == ["before"]
    [notice] = notices(events)
    assert "no sign of life" in notice


def test_held_up_while_more_comes_it_is_given_up(monkeypatch):
    monkeypatch.setattr(apart, "STALL_S", 2.5)
    reader = reader_of(lines)
    os.kill(reader.pid, signal.SIGSTOP)
    events = told(reader)
    [notice] = notices(events)
    assert "no sign of life" in notice
    assert notices([*reader.push(final("after")), *reader.finish()]) == []
    reader.close()


def test_what_never_becomes_ready_is_given_up(monkeypatch):
    monkeypatch.setattr(apart, "START_S", 3.0)
    with pytest.raises(OperationError, match="not ready after 3 s"):
        reader_of(never)


def test_stopped_with_the_whole_program_it_is_not_given_up(monkeypatch):
    reader = reader_of(lines)
    reader.push(final("before"))
    events = told(reader)
    os.kill(reader.pid, signal.SIGSTOP)
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600.0)  # as after Ctrl-Z and fg
    for number, said in enumerate(reader.finishing()):
        events += said
        if number == 3:
            os.kill(reader.pid, signal.SIGCONT)
    assert notices(events) == []
    assert notes(events) == ["before", "2"]


def test_a_slow_one_is_no_dead_one(monkeypatch):
    monkeypatch.setattr(apart, "STALL_S", 2.5)
    reader = reader_of(slow_lines, max_waiting=None)
    for number in range(200):  # six seconds of work
        reader.push(final("line one", number))
    events = reader.finish()
    assert notices(events) == []
    assert notes(events)[-1] == "600"


def test_after_ctrl_c_it_is_waited_for_but_not_for_ever(monkeypatch):
    monkeypatch.setattr(apart, "END_WAIT_S", 1.5)
    reader = reader_of(endless)
    reader.push(final("a line that takes an hour"))
    reader.hurry()
    events = [event for each in reader.finishing() for event in each]
    assert [text.split(";")[0] for text in notices(events)] == [
        "what was read last is still being written",
        "reading along took more than 2 s to end",
    ]


def test_signals_are_for_the_process_that_captions():
    reader = reader_of(lines)
    reader.push(final("before"))
    events = told(reader)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(reader.pid, number)
    reader.push(final("after", 1))
    events += reader.finish()
    assert notes(events) == ["before", "after", "4"]


@pytest.mark.parametrize("finished", [True, False])
def test_it_lets_go_of_what_it_began(finished, tmp_path):
    path = tmp_path / "let-go"
    reader = reader_of(partial(closed_into, path))
    reader.push(final("a line"))
    told(reader)
    if finished:
        reader.finish()
    reader.close()
    assert path.exists()


@pytest.mark.parametrize("how", ["closed", "held up", "killed"])
def test_a_command_that_it_waits_for_ends_with_it(how, tmp_path):
    reader = reader_of(partial(waits_in, str(tmp_path)))
    reader.push(final("a line"))
    while not (tmp_path / "pid").exists():
        time.sleep(0.01)
    pid = int((tmp_path / "pid").read_text())
    if how == "held up":
        os.kill(reader.pid, signal.SIGSTOP)
    if how == "killed":
        os.kill(reader.pid, signal.SIGKILL)
    reader.close()
    while is_alive(pid):
        time.sleep(0.01)


def test_a_command_gets_signals_as_any_program_does(tmp_path):
    reader = reader_of(partial(waits_in, str(tmp_path)))
    reader.push(final("a line"))
    while not (tmp_path / "pid").exists():
        time.sleep(0.01)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    assert notes(reader.finish()) == ["0"]
    reader.close()


def is_alive(pid):
    """Whether it runs: one that has ended and was not waited for does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()[:1] not in ("", "Z")


def test_it_comes_behind_in_the_queue_for_a_core():
    reader = reader_of(lines)
    assert os.getpriority(os.PRIO_PROCESS, reader.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5
    reader.close()


def test_it_ends_with_the_process_that_captions():
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=captioning, args=(theirs,))
    child.start()
    theirs.close()
    pid = ours.recv()
    child.kill()
    child.join()
    while os.path.exists(f"/proc/{pid}/exe"):
        time.sleep(0.01)


def test_no_half_translation_stays_when_its_process_ends():
    reader = reader_of(drafts)
    events = [*reader.push(Draft("late now", 0, 500, 5)), *told(reader)]
    assert [event.text for event in events] == ["LATE"]
    end = [*reader.push(final("late")), *told(reader)]
    while not notices(end):
        end += told(reader)
    assert TranslationDraft("", "fr", 0, 500) in end
    reader.close()
