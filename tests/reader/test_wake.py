# SPDX-License-Identifier: Apache-2.0
"""Wake phrases: found as recognisers write them, once a mention, and nowhere else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.data import DATA
from edgestream.errors import UsageError
from edgestream.events import Alert, Draft, Final
from edgestream.reader.reader import Reader
from edgestream.reader.sounds import distance, said, sound
from edgestream.reader.wake import Wake

PHRASES = (
    "hey computer", "turn on the lights", "good night", "call Doctor Miller", "room 21",
    "stop the recording", "Anna", "what time is it", "emergency exit", "Jarvis",
)  # fmt: skip


def alerts_of(phrases, *lines):
    reader = Reader(None, [Wake(phrases)])
    finals = [Final(line, (), 1e3 * i, 1e3 * (i + 1)) for i, line in enumerate(lines)]
    return [event for final in finals for event in reader.push(final)] + reader.finish()


@pytest.mark.parametrize(
    ("phrase", "heard"),
    [
        ("hey computer", "Hey, computer!"),
        ("hey computer", "hay computer"),
        ("hey computer", "Hey, Kompjuter."),
        ("hey computer", "hey come puter"),
        ("turn on the lights", "Turn on the light."),
        ("turn on the lights", "turn on the lites"),
        ("good night", "goodnight"),
        ("good night", "Good knight."),
        ("call Doctor Miller", "Call doctor Müller"),
        ("call Doctor Miller", "Call Docter Miler,"),
        ("room 21", "Room twenty-one."),
        ("room twenty one", "room 21"),
        ("stop the recording", "Stop the recordings!"),
        ("Anna", "Ana,"),
        ("Anna", "ANNA"),
        ("what time is it", "What time is it?"),
        ("emergency exit", "emergency exits"),
        ("emergency exit", "emergancy exit"),
        ("Jarvis", "Jervis"),
        ("it's over", "its over"),
    ],
)
def test_a_phrase_is_heard_as_recognisers_write_it(phrase, heard):
    (alert,) = alerts_of([phrase], f"And then {heard} I said so.")
    assert alert.alert == phrase
    assert alert.line == heard
    assert 0.8 <= alert.score <= 1


@pytest.mark.parametrize(
    ("phrase", "heard"),
    [
        ("hey computer", "the computer"),
        ("hey computer", "hey there, a computer"),
        ("stop", "step shop top stoop"),
        ("Anna", "and another"),
        ("room 21", "room 22"),
        ("turn on the lights", "turn off the lights"),
    ],
)
def test_what_is_something_else_is_not_told(phrase, heard):
    assert alerts_of([phrase], f"And then {heard} I said so.") == []


def test_nothing_is_heard_in_speech_that_has_no_such_phrase():
    """The words of all bundled clips, as one stream."""
    clips = [DATA / "bench/speech.jsonl", DATA / "bench/people/speech.jsonl"]
    indices = [line for clip in clips for line in clip.read_text("utf-8").splitlines()]
    lines = [json.loads(line)["text"] for line in indices]
    assert len(lines) >= 26
    assert alerts_of(PHRASES, *lines) == []


def test_one_mention_is_told_once_and_each_mention_is():
    told = alerts_of(["good night"], "Good night, good night!", "Goodnight, all.")
    assert [alert.line for alert in told] == ["Good night,", "good night!", "Goodnight,"]


def test_a_phrase_may_span_lines_and_is_told_at_its_last_word():
    told = alerts_of(["turn on the lights"], "Please turn on", "the lights, will you?")
    assert told == [Alert("turn on the lights", "turn on the lights,", 1.0, 1000 / 3, 1500.0)]


def test_several_phrases_are_heard_side_by_side():
    told = alerts_of(["computer", "hey computer"], "Hey computer!")
    assert sorted(alert.alert for alert in told) == ["computer", "hey computer"]


SAID = [
    "hey", "computer,", "good", "night", "goodnight", "Anna", "turn", "on", "the", "lights", "room",
    "21", "and",
]  # fmt: skip
words = st.lists(st.sampled_from(SAID), max_size=14)


@given(words, st.data())
def test_any_cutting_into_drafts_and_lines_tells_the_same(text, data):
    whole = [(alert.alert, alert.line) for alert in alerts_of(PHRASES, " ".join(text))]
    reader, rest, told = Reader(None, [Wake(PHRASES)]), text, []
    while rest:
        n_line = data.draw(st.integers(1, len(rest)))
        for _ in range(data.draw(st.integers(0, 2))):
            n_sure = data.draw(st.integers(0, n_line))
            shown = " ".join(rest[:n_line])
            told += reader.push(Draft(shown, 0.0, 500.0, len(" ".join(rest[:n_sure]))))
        told += reader.push(Final(" ".join(rest[:n_line]), (), 0.0, 1000.0))
        rest = rest[n_line:]
    assert [(alert.alert, alert.line) for alert in told + reader.finish()] == whole


@given(st.text(max_size=12), st.text(max_size=12))
def test_a_distance_is_one(one, other):
    assert distance(one, other) == distance(other, one) <= max(len(one), len(other))
    assert distance(one, one) == 0


def test_words_as_they_are_said():
    assert said("Café No. 21's 3rd, it's O\u2019Neil") == (
        ["cafe", "no", "twenty", "ones", "third", "its", "oneil"]
    )
    assert sound("knight") == sound("night") == sound("nite")
    assert sound("anna") == sound("ana")
    assert sound("stop") != sound("step")


@pytest.mark.parametrize("phrases", [[], ["?!"], ["hey", " "]])
def test_phrases_without_letters_are_refused(phrases):
    with pytest.raises(UsageError, match="wake phrase"):
        Wake(phrases)
