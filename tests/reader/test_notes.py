# SPDX-License-Identifier: Apache-2.0
"""Running notes: what they ask, and that a fact outlives the window."""

import numpy as np
import pytest
from tiny_reader import TALK, real_reader, tiny_reader

from edgestream.decoder.rows import token_rows
from edgestream.errors import UsageError
from edgestream.events import Final, Note
from edgestream.reader.notes import NEW_TOKENS, NOTE_TOKENS, Notes
from edgestream.reader.reader import Reader
from edgestream.reader.units import Unit

FILLER = "Then somebody told a long story about the weather of last week and the week before that."
WINDOW = 160  # rows


def lines(*texts):
    return [Final(text, (), 1e3 * i, 1e3 * (i + 1)) for i, text in enumerate(texts)]


class Told(Notes):
    """Writes what it is told to: the mechanics on any weights."""

    def __init__(self, texts, every_ms=1000):
        super().__init__("What was decided?", every_ms)
        self.texts, self.questions = iter(texts), []

    def write(self, aside, question):
        return super().write(Answering(self), question)


class Answering:
    """A fork that answers what a Told task is told, a token for each character."""

    class tokenizer:  # noqa: N801
        @staticmethod
        def encode(text, *, add_special):
            return list(text)

    def __init__(self, task):
        self.task = task

    def ask(self, question, *, max_tokens):
        self.task.questions.append((question, max_tokens))
        return next(self.task.texts)

    def twin(self):
        return Answering(self.task)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_reader(tmp_path_factory.mktemp("reader"))


def test_notes_are_asked_for_what_is_new_and_hold_it_all(model):
    echo = "Write only what is new, in short sentences."
    task = Told(["At nine.", echo, "By Anna. At nine.", "And"], every_ms=2000)
    reader = Reader(model, [task])
    events = [e for line in lines("a b", "c d", "e", "f", "g", "h", "i") for e in reader.push(line)]
    events += reader.finish()
    question = "What was decided?"
    assert events == [
        Note(question, "At nine.", 0.0, 2e3),
        Note(question, "At nine.", 2e3, 4e3),
        Note(question, "At nine. By Anna.", 4e3, 6e3),
        Note(question, "At nine. By Anna. And", 6e3, 7e3),
    ]
    assert task.questions[0] == (f"{question} Write short sentences.", NEW_TOKENS)
    new = f"{question} Write only what is new, in short sentences."
    assert [asked for asked, _ in task.questions[1:]] == [
        f"Notes so far: At nine.\n\n{new}", f"Notes so far: At nine.\n\n{new}",
        f"Notes so far: At nine. By Anna.\n\n{new}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        ("Short.", "Short. New."),  # the model's own words
        (f"{'A' * 70}.", f"{'B' * 70}. New."),  # their beginning alone: the oldest leave
        ("", f"{'B' * 70}. New."),
    ],
)
def test_long_notes_are_shortened(model, answer, after):
    task = Told([f"{'A' * 70}.", f"{'B' * 70}.", answer, "New."])
    reader = Reader(model, [task])
    notes = [event.text for line in lines("a", "b", "c") for event in reader.push(line)]
    assert notes == [f"{'A' * 70}.", f"{'A' * 70}. {'B' * 70}.", after]
    asked, most = task.questions[2]
    assert asked.endswith("Keep what answers: What was decided?")
    assert most == NOTE_TOKENS // 2


def test_no_note_is_longer_than_its_region(model):
    texts = iter(f"{i % 10}{'x' * 60}." for i in range(100))
    task = Told([])
    task.texts = (next(texts) for _ in range(100))
    reader = Reader(model, [task])
    for event in [e for line in lines(*"abcdefghij") for e in reader.push(line)]:
        assert len(task.kept(event.text + " ")) <= Notes.region_rows


def test_nothing_new_makes_no_note_at_the_end(model):
    reader = Reader(model, [Told(["One.", "Two."])])
    assert len([e for line in lines("a", "b") for e in reader.push(line)]) == 2
    assert reader.finish() == []


def test_a_note_outlives_the_words_it_was_made_of(model):
    """Two talks whose first line and note differ; what is asked long after both have left tells
    them apart by the note alone."""
    seen = {}
    for fact in ("red", "six"):
        for note in ("red", "six"):
            reader = Reader(model, [Told([f"It is {note}."], every_ms=1000)], window=WINDOW)
            memory = reader._shared[0].memory
            reader.push(lines(f"It is {fact}.")[0])
            for _ in range(2 * WINDOW // len(FILLER) + 1):
                memory.read(f" {FILLER}\n")
            row = token_rows(model.weights, [70])
            seen[fact, note] = memory.fork().step_groups([(0, row)])[0]
    assert np.abs(seen["red", "red"] - seen["red", "six"]).max() > 1e-3
    assert np.abs(seen["red", "red"] - seen["six", "red"]).max() < 1e-6  # one layer: no trace


def test_a_real_model_says_a_fact_that_left_the_window_by_its_notes():
    model = real_reader("smollm2")
    talk = lines("The door code is 4711, and Anna keeps the key.", *[FILLER] * 12)
    rows = sum(len(model.tokenizer.encode(line.text, add_special=False)) for line in talk[1:])
    assert rows > WINDOW
    said = {}
    for with_notes in (True, False):
        task = [Told(["The door code is 4711. Anna keeps the key."], 1000)] if with_notes else []
        if with_notes:
            task[0].policy = Once()
        reader = Reader(model, task, asked=True, window=WINDOW)
        for line in talk:
            reader.push(line)
        said[with_notes] = reader.ask("What is the door code?")[0].text
    assert "4711" in said[True]
    assert "4711" not in said[False]


class Once:
    """Due at the first line's end alone."""

    def __init__(self):
        self.was = False

    def due(self, unit):
        due = unit.ends_line and not self.was
        self.was = self.was or due
        return due


@pytest.mark.parametrize("name", ["smollm2", "gemma"])
def test_a_real_model_writes_notes(name):
    model = real_reader(name)
    reader = Reader(model, [Notes("What was decided so far?", 3000)])
    events = [e for line in lines(*TALK.split(". ")) for e in reader.push(line)] + reader.finish()
    assert len(events) == 3
    for note in events:
        assert len(model.tokenizer.encode(note.text, add_special=False)) <= NOTE_TOKENS + NEW_TOKENS
        assert set(note.text.lower().split()) & set(TALK.lower().split())


@pytest.mark.parametrize(
    ("question", "every_ms", "says"),
    [(" ", 1000, "0 characters"), ("a" * 301, 1000, "1 to 300"), ("What?", 0, "above 0")],
)
def test_wrong_notes_are_refused_in_one_line(question, every_ms, says):
    with pytest.raises(UsageError, match=says):
        Notes(question, every_ms)


def test_the_time_of_a_unit_is_what_counts():
    policy = Notes("What?", 1000).policy
    assert not policy.due(Unit("word", 0.0, 5000.0))
    assert policy.due(Unit("", 0.0, 5000.0, "word"))
    assert not policy.due(Unit("", 5000.0, 5999.0, "word"))
