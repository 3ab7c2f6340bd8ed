# SPDX-License-Identifier: Apache-2.0
"""Tasks and questions over one memory: forks leave no trace, questions wait in order."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_reader import TALK, tiny_reader

import edgestream as es
from edgestream.decoder.rows import token_rows
from edgestream.errors import UsageError
from edgestream.events import Answer, Draft, Final, Note, Notice, Thought
from edgestream.reader.aside import Aside
from edgestream.reader.memory import MAX_STEP
from edgestream.reader.notes import Notes
from edgestream.reader.reader import Reader
from edgestream.reader.shared import MAX_FORKS, MAX_QUESTIONS, NOTHING_READ, TOO_MANY, SharedMemory
from edgestream.reader.task import EveryLine, EveryMs, Task
from edgestream.reader.text import TextStream
from edgestream.reader.think import Think
from edgestream.reader.units import CommittedWords, Unit

LINES = [Final(f"{line}.", (), 1e3 * i, 1e3 * (i + 1)) for i, line in enumerate(TALK.split(". "))]
WAIT_S = 60.0


@pytest.fixture(scope="module", params=[False, True], ids=["chat", "plain"])
def model(tmp_path_factory, request):
    return tiny_reader(tmp_path_factory.mktemp("reader"), plain=request.param)


def run(model, tasks, events=LINES, **options):
    reader = Reader(model, tasks, **options)
    said = [each for event in events for each in reader.push(event)]
    said += reader.finish()
    reader.close()
    return said


def after(reader):
    """The logits behind one more row of the reader's memory."""
    row = token_rows(reader._shared[0].memory.model.weights, [70])
    return reader._shared[0].memory.fork().step_groups([(0, row)])[0]


class Kept(Task):
    """Writes nothing down, so that its forks alone could leave a trace."""

    max_tokens = 12

    def on_unit(self, unit):
        return "What?"


def test_what_is_asked_leaves_no_trace(model):
    asked, quiet = (Reader(model, tasks, asked=True, window=64) for tasks in ([Kept()], []))
    for line in LINES:
        asked.push(line)
        quiet.push(line)
        asked.ask("And now?")
        assert np.array_equal(after(asked), after(quiet))


@settings(max_examples=6)
@given(st.data())
def test_any_cutting_gives_the_same(model, data):
    def said(cuts):
        stream, reader = TextStream(), Reader(model, tasks(), window=96)
        pieces = [TALK[a:b].encode() for a, b in zip([0, *cuts], [*cuts, len(TALK)], strict=True)]
        events = [each for piece in pieces for each in stream.take(piece)] + stream.finish()
        return [each for event in events for each in reader.push(event)] + reader.finish()

    def tasks():
        return [Think(), Notes("What was decided?", 4000), Kept()]

    cuts = data.draw(st.lists(st.integers(0, len(TALK)), max_size=30).map(sorted))
    once = said([])
    assert said(cuts) == once
    assert {type(event) for event in once} >= {Thought, Note}


def test_answers_beside_are_those_of_readers_that_read_so_far_and_no_further(model):
    """Text goes on while an answer is written: it does not see it."""
    beside = Reader(model, [], asked=True, beside=True)
    events = []
    for line in LINES:
        events += [*beside.push(line), *beside.ask(f"What of {line.text}")]
    events += beside.finish()
    beside.close()
    assert [event.question for event in events] == [f"What of {line.text}" for line in LINES]
    words = CommittedWords()
    units = [unit for line in LINES for unit in words.push(line)]
    for answer in events:  # a line's end has the time of its last word
        read = [n for n, unit in enumerate(units, 1) if unit.end_ms == answer.time_ms]
        assert [answer] in [answered(model, units[:n], answer.question) for n in read]


def answered(model, units, question):
    shared = SharedMemory(model, [], beside=False)
    for unit in units:
        shared.push(unit)
    return shared.ask(question)


class Slow(Task):
    """Writes when it is let; counts the forks that are there at once."""

    policy = EveryLine()

    def __init__(self):
        self.may_write = threading.Event()
        self.asked = 0

    def on_unit(self, unit):
        self.asked += 1
        return "What?"

    def write(self, aside, question):
        assert self.may_write.wait(WAIT_S)
        return "This."


def test_a_slow_task_takes_no_memory_and_stops_no_question(model):
    slow = Slow()
    reader = Reader(model, [slow], asked=True, beside=True)
    said = [each for line in LINES for each in reader.push(line)]
    assert (said, slow.asked) == ([], MAX_FORKS)
    for i in range(MAX_QUESTIONS):
        assert reader.ask(f"question {i}") == []
    assert reader.ask("one more") == [Answer("one more", TOO_MANY, LINES[-1].end_ms)]
    assert reader.poll() == []
    slow.may_write.set()
    said = reader.finish()
    reader.close()
    assert [event.text for event in said[:MAX_FORKS]] == ["This."] * MAX_FORKS
    answers = [event for event in said if isinstance(event, Answer)]
    assert [event.question for event in answers] == [f"question {i}" for i in range(MAX_QUESTIONS)]
    assert len(said) == MAX_FORKS + MAX_QUESTIONS


def test_no_task_takes_the_place_of_another(model):
    """The first is due at each line, the second once; there is room for one answer a line."""
    first, second = Counted(), Counted()
    second.policy = EveryMs(LINES[2].end_ms)
    reader = Reader(model, [first, second], beside=True)
    for n, line in enumerate(LINES[:6]):
        if n > 2:
            first.may_write.release()
            reader._shared[0]._writer._waiting[0].written.result(WAIT_S)
        reader.push(line)
    assert (first.asked, second.asked) == (MAX_FORKS + 2, 1)
    for task in (first, second):
        task.may_write.release(9)
    reader.finish()
    reader.close()


class Counted(Slow):
    """Writes as many answers as it is let."""

    def __init__(self):
        super().__init__()
        self.may_write = threading.Semaphore(0)

    def write(self, aside, question):
        assert self.may_write.acquire(timeout=WAIT_S)
        return "This."


def test_questions_that_cannot_be_answered_end_nothing(model):
    reader = Reader(model, [], asked=True)
    assert reader.ask("Who?") == [Answer("Who?", NOTHING_READ, 0.0)]
    assert reader.ask("  \n ") == []
    reader.push(LINES[0])
    (answer,) = reader.ask("why " * 2000)
    assert answer.text.startswith("Not answered: a question of 8")
    assert len(reader.ask(" Who\tcomes? ")) == 1
    with pytest.raises(UsageError, match="asked=True"):
        Reader(model, []).ask("Who?")


@pytest.mark.parametrize("beside", [False, True])
def test_a_line_of_too_many_tokens_is_left_out_and_told_once(model, beside):
    """Burmese: three bytes a letter, and no token for any of them."""
    long = [Final("\u1019\u102c" * 200, (), 1e3 * i, 1e3 * (i + 1)) for i in range(3)]
    said = run(model, [Kept(), Think()], [*long, LINES[0]], beside=beside)
    (notice,) = [event for event in said if isinstance(event, Notice)]
    assert "a question of 1" in notice.text


def test_a_long_word_enters_in_steps(model):
    memory, n_entered = SharedMemory(model, [], beside=False).memory, []
    memory._enter = lambda region, tokens: n_entered.append(len(tokens))
    memory.read("\u1019" * 300)
    assert max(n_entered) <= MAX_STEP < sum(n_entered) == 900


def test_the_words_of_a_draft_are_read_as_those_of_its_line(model):
    drafts = [Draft("The meeting starts at", 0, 500, 12), *LINES]
    assert run(model, [Think()], drafts) == run(model, [Think()])


def test_an_answer_stands_between_two_lines(model):
    """What is written beside enters the memory at the next line's end, never within a line."""
    reader = Reader(model, [Think()])
    shared = reader._shared[0]
    entered = []
    shared.memory.keep = lambda text, region: entered.append((shared._newest, text, region))
    shared.push(Unit("word", 0.0, 1.0))
    shared._taker(Think(), Unit("", 0.0, 0.5, "line"))("A thought.")
    assert entered == []
    end = Unit("", 0.0, 1.0, "word")
    shared.push(end)
    assert entered[0] == (end, "[Thought: A thought.]\n", "thoughts")


@pytest.mark.parametrize("beside", [False, True])
def test_it_may_be_closed_at_any_time(model, beside):
    for n in range(len(LINES)):
        reader = Reader(model, [Think(), Notes("What?", 1)], asked=True, beside=beside)
        for line in LINES[:n]:
            reader.push(line)
        reader.ask("Who?")
        reader.close()
        reader.close()


@pytest.mark.parametrize("beside", [False, True])
def test_what_is_written_at_the_end_comes_before_what_takes_longer(model, beside):
    class Last(Task):
        def on_unit(self, unit):
            return None

        def on_end(self, unit):
            return "What?"

        def write(self, aside, question):
            asked.append(question)
            return "This."

    asked = []
    reader = Reader(model, [Last(), Last()], beside=beside)
    reader.push(LINES[0])
    assert [len(asked) for events in reader.finishing() if events] == [1, 2]
    reader.close()


def test_nothing_is_asked_where_nothing_was_said(model):
    assert run(model, [Think(), Notes("What?", 1)], []) == []


def test_an_aside_is_written_within_its_limit(model):
    reader = Reader(model, [], asked=True)
    reader.push(LINES[0])
    aside = Aside(reader._shared[0].memory)
    n_tokens = len(model.tokenizer.encode(aside.ask("What?", max_tokens=3), add_special=False))
    assert n_tokens <= 3 + len("\u2026".encode())
    assert es.Answer is Answer
