# SPDX-License-Identifier: Apache-2.0
"""Clauses: where they end, that no word is cut, and that pieces do not matter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.speaking.clauses import LONGEST, NO_WORD, ClauseCutter, is_spoken

MARKS = st.sampled_from(
    [".", ",", "!", "?", ":", ";", "…", "—", " - ", '"', ")", " (", "。", "、", "」"]
)
WORDS = st.sampled_from(
    ["a", "Dr", "e.g", "3.5", "10", "no", "there", "naïve", "今日は", "ไทย", "word—word", "x" * 90]
)
TEXTS = st.lists(WORDS | MARKS | st.sampled_from([" ", "  ", "\n"]) | st.text(max_size=3)).map(
    "".join
)


def clauses(*pieces: str) -> list[str]:
    cutter = ClauseCutter()
    found = [clause for piece in pieces for clause in cutter.push(piece)]
    return found + cutter.finish()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there. How are you? Fine!", ["Hello there.", "How are you?", "Fine!"]),
        ("It was late, so we went home; all of us: even him",
         ["It was late,", "so we went home;", "all of us: even him"]),
        ("Well, I think so", ["Well, I think so"]),  # a comma too early
        ("It is 3.5 km. Dr. Smith, e.g. in the U.S. today",
         ["It is 3.5 km.", "Dr. Smith, e.g. in the U.S. today"]),
        ("He said this — and then — went", ["He said this —", "and then — went"]),
        ("It goes on and—perhaps", ["It goes on and—", "perhaps"]),
        ('"Go!" he said. (Yes.) Then', ['"Go!"', "he said.", "(Yes.)", "Then"]),
        ("So... that was all… Right", ["So...", "that was all…", "Right"]),
        ("今日は天気がいい。「行こう。」そうだ", ["今日は天気がいい。", "「行こう。」", "そうだ"]),
        ("a line\nanother one\r\n\n- \n", ["a line", "another one"]),
        (" \t... — !", []),
    ],
)  # fmt: skip
def test_where_clauses_end(text: str, expected: list[str]) -> None:
    assert clauses(text) == expected


def test_a_long_clause_ends_between_words() -> None:
    text = " ".join(f"word{i}" for i in range(60))
    found = clauses(text)
    assert max(map(len, found)) <= LONGEST
    assert len(found) == -(-len(text) // LONGEST)
    assert " ".join(found) == text


def test_a_script_without_spaces_is_cut_where_a_line_may_end() -> None:
    text = "今日は天気がいいです" * 20
    found = clauses(text)
    assert max(map(len, found)) <= LONGEST
    assert "".join(found) == text


def test_what_is_no_word_is_cut_anywhere() -> None:
    assert max(map(len, clauses("x" * 5 * NO_WORD))) <= NO_WORD


@given(TEXTS, st.data())
def test_pieces_do_not_matter(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    ends = [*cuts, len(text)]
    pieces = [text[a:b] for a, b in zip([0, *cuts], ends, strict=True)]
    assert clauses(*pieces) == clauses(text)


@given(TEXTS)
def test_what_was_said_of_the_beginning_stays(text: str) -> None:
    whole = clauses(text)
    cutter = ClauseCutter()
    begun = cutter.push(text[: len(text) // 2])
    assert whole[: len(begun)] == begun


@given(TEXTS)
def test_nothing_that_is_spoken_is_lost(text: str) -> None:
    found = clauses(text)
    assert all(is_spoken(clause) for clause in found)
    letters = [c for c in text if c.isalnum()]
    assert [c for clause in found for c in clause if c.isalnum()] == letters


@given(st.lists(st.from_regex(r"[a-z]{1,12}[,.]?", fullmatch=True)))
def test_no_word_is_cut(words: list[str]) -> None:
    assert " ".join(clauses(" ".join(words))).split() == words


def test_what_could_end_settles() -> None:
    cutter = ClauseCutter()
    assert cutter.push("It works.") == []
    assert cutter.settle() == ["It works."]
    assert cutter.is_empty
    assert cutter.push(" And Dr.") == []
    assert cutter.settle() == []  # his name may follow
    assert cutter.push(" Who is it") == []
    assert cutter.settle() == []
    assert cutter.finish() == ["And Dr. Who is it"]
