# SPDX-License-Identifier: Apache-2.0
"""What is told of a text that grows never has to be taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.captions.lines import Lines
from edgestream.captions.word_times import TimedWord
from edgestream.events import Draft, Final, Gap
from edgestream.serve.openai.turns import SAID, VadTurns
from edgestream.serve.told_text import ToldText, first_sentence, joined


def final(text):
    return Final(text, (), 0.0, 1.0)


def draft(text, n_final):
    return Draft(text, 0.0, 1.0, n_final)


def test_lines_are_joined_as_their_script_does():
    assert joined(["And so", "it goes."]) == "And so it goes."
    assert joined(["今日は。", "明日は。"]) == "今日は。明日は。"
    assert joined(["", "a", ""]) == "a"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("One two three four. Five six", "One two three four."),
        ('He said "no, not now." And then', 'He said "no, not now."'),
        ("Yes. No. Well then", "Yes. No. Well then"),  # no line is that short
        ("It costs 3.5 dollars a piece", "It costs 3.5 dollars a piece"),
        ("What do you mean? I", "What do you mean?"),
        ("今日は。明日は", "今日は。"),
        ("", ""),
    ],
)
def test_no_more_than_a_sentence_of_a_draft_is_told(text, told):
    assert text[: first_sentence(text, len(text))] == told


def test_words_are_told_once_and_never_before_they_are_final():
    told = ToldText()
    assert told.push(draft("And so my", 0)) == ""
    assert told.push(draft("And so my fellow", 6)) == "And so"
    assert told.push(draft("And so my fellow", 6)) == ""
    assert told.push(Gap(0, 1, "lost")) == ""
    assert not told.is_level
    assert told.push(final("And so my")) == " my"
    assert told.is_level
    assert told.push(draft("fellow", 6)) == " fellow"
    assert told.push(final("fellow.")) == "."
    assert told.text == "And so my fellow."


def test_a_line_that_ends_within_what_was_told_takes_nothing_back():
    told = ToldText()
    assert told.push(draft("a b c d e f", 11)) == "a b c d e f"
    assert told.push(final("a b c")) == ""
    assert not told.is_level
    assert told.push(draft("d e f g", 7)) == " g"
    assert told.push(final("d e f g")) == ""
    assert told.is_level


def test_a_mark_that_a_line_does_not_begin_with_is_no_fault():
    told = ToldText()
    assert told.push(draft("a b, c", 6)) == "a b, c"
    assert told.push(final("a b")) == ""
    assert told.push(final("c d")) == " d"


def events_of(words):
    """Drafts and lines as the captions make them of words that become final one by one."""
    lines, events = Lines(), []
    for at, text in enumerate(words):
        word = TimedWord(text, True, 300.0 * at, 300.0 * at + 250, 300.0 * at + 300)
        events += lines.push(word)
        events.append(draft(lines.text + " perhaps", len(lines.text)))
    return events + lines.finish()


WORDS = st.lists(
    st.builds(
        lambda word, mark: word + mark,
        st.sampled_from(["and", "Ann", "the", "house", "said", "of", "5", "green"]),
        st.sampled_from(["", "", "", "", ",", ".", "?", '."']),
    ),
    max_size=60,
)


@given(WORDS)
def test_what_is_told_is_the_text_at_the_end(words):
    told, deltas = ToldText(), ""
    for event in events_of(words):
        deltas += told.push(event)
    assert deltas == told.text


@given(WORDS)
def test_each_item_is_told_as_it_ends(words):
    """And all items together are all lines."""
    turns, said, whole, lines = VadTurns(), {}, {}, []
    for event in events_of(words):
        lines += [event.text] if isinstance(event, Final) else []
        for message in turns.push(event):
            item = message["item_id"]
            if message["type"] == f"{SAID}.delta":
                assert item not in whole
                said[item] = said.get(item, "") + message["delta"]
            if message["type"] == f"{SAID}.completed":
                whole[item] = message["transcript"]
    for message in turns.pause():
        if message["type"] == f"{SAID}.completed":
            whole[message["item_id"]] = message["transcript"]
    assert joined(whole.values()) == joined(lines)
    assert said == whole
