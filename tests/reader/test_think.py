# SPDX-License-Identifier: Apache-2.0
"""Thoughts beside each sentence, and a deeper one that the last answers see."""

import pytest
from tiny_reader import TALK, real_reader, tiny_reader

from edgestream.decoder.rows import token_rows
from edgestream.events import Answer, Final, Note, Thought
from edgestream.reader.notes import Notes
from edgestream.reader.reader import Reader
from edgestream.reader.think import DEEP_TOKENS, DEEPER, THOUGHT_TOKENS, Think

LINES = [Final(f"{line}.", (), 1e3 * i, 1e3 * (i + 1)) for i, line in enumerate(TALK.split(". "))]


class Told(Think):
    """Thinks what it is told to."""

    def __init__(self, texts):
        super().__init__()
        self.texts = iter(texts)

    def write(self, aside, question):
        return next(self.texts)


class Sees(Notes):
    """Notes the score of a token, which hangs on all that is remembered."""

    def write(self, aside, question):
        return f"{aside._decoder.step_groups([(0, token_rows(aside._model.weights, [70]))])[0, 70]}"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_reader(tmp_path_factory.mktemp("reader"))


def test_a_thought_for_each_sentence_and_one_at_the_end(model):
    reader = Reader(model, [Told(["One.", "", "Three.", "All."])])
    events = [e for line in LINES[:3] for e in reader.push(line)] + reader.finish()
    assert events == [
        Thought("One.", 0.0, 1e3), Thought("Three.", 2e3, 3e3), Thought("All.", 2e3, 3e3),
    ]  # fmt: skip


def test_what_was_thought_already_is_not_thought_again(model):
    reader = Reader(model, [Told(["One.", "One.", "Two.", "One.", "One."])])
    events = [e for line in LINES[:4] for e in reader.push(line)] + reader.finish()
    assert [event.text for event in events] == ["One.", "Two."]


def test_the_last_answers_and_notes_see_the_deeper_thought(model):
    """Whoever is asked after it says something else than without it."""
    said = {}
    for thought in ("It is late.", "It is open."):
        reader = Reader(model, [Told(["", thought]), Sees("What?", 9e9)], asked=True)
        reader.push(LINES[0])
        events = [*reader.finish(), *reader.ask("Who?")]
        assert [type(event) for event in events] == [Thought, Note, Answer]
        said[thought] = [event.text for event in events[1:]]
    assert all(a != b for a, b in zip(*said.values(), strict=True))


@pytest.mark.parametrize("name", ["smollm2", "gemma"])
def test_a_real_model_thinks_shortly_and_then_longer(name):
    model = real_reader(name)
    reader = Reader(model, [Think()])
    short = [e for line in LINES for e in reader.push(line)]
    deep = reader.finish()
    assert short
    for most, thoughts in ((THOUGHT_TOKENS, short), (DEEP_TOKENS, deep)):
        for thought in thoughts:
            assert len(model.tokenizer.encode(thought.text, add_special=False)) <= most + 1


def test_the_sentence_itself_is_no_thought():
    class Echo:
        def ask(self, question, *, max_tokens):
            return "The other half is open."

    said = Echo().ask("", max_tokens=0)
    assert Think().write(Echo(), f"What does this mean: {said}") == ""
    assert Think().write(Echo(), "What does this mean: It rains.") == said


def test_a_long_line_makes_no_long_question():
    task = Think()
    unit = type("Line", (), {"line": "word " * 1000})()
    assert len(task.on_unit(unit)) < 500
    assert task.on_end(unit) == DEEPER
