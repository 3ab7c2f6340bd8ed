# SPDX-License-Identifier: Apache-2.0
"""What is kept of what a model wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.reader.sentences import CUT, sentences, tidy

WORDS = st.lists(st.sampled_from(["a", "Tom", "is.", "late!", "[x", "3.5", "Dr.", "No?"]))


@pytest.mark.parametrize(
    ("text", "cut_off", "kept"),
    [
        ("It is late. We must", True, "It is late."),
        ("It is late. We must", False, "It is late. We must"),
        ("It is late. It is late. It is", True, "It is late."),
        ("It is late. It is late. It is", False, "It is late."),
        ("Tom has the tick", True, f"Tom has the{CUT}"),
        ("Tom", True, ""),
        ("Dr. Smith pays. Dr.", True, "Dr. Smith pays."),
        ("  two\n lines  ", False, "two lines"),
        ("At nine [Thought: it is late. And", True, "At nine"),
        ("[so it begins", False, "[so it begins"),
        ("", True, ""),
    ],
)
def test_a_text_ends_with_its_last_whole_sentence(text, cut_off, kept):
    assert tidy(text, cut_off=cut_off) == kept


@given(WORDS)
def test_sentences_are_the_text(words):
    whole, rest = sentences(" ".join(words))
    assert " ".join([*whole, rest]).split() == words


@given(WORDS, st.booleans())
def test_what_is_tidy_stays_so(words, cut_off):
    once = tidy(" ".join(words), cut_off=cut_off)
    assert tidy(once, cut_off=False) == once
