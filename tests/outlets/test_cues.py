# SPDX-License-Identifier: Apache-2.0
"""Cues: limits hold for any words at any times, no word is lost, and cuts read well."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.captions.line_breaks import COLUMNS
from edgestream.captions.shown_text import columns, printable
from edgestream.events import READING_MS, Final, Word
from edgestream.outlets.cues import MAX_CUE_MS, MAX_LINES, MIN_CUE_MS, Cue, CueCutter


def spoken(text: str, start_ms: float = 0.0, word_ms: float = 300.0) -> Final:
    """A Final whose words follow each other without a pause, `word_ms` each."""
    words = tuple(
        Word(word, start_ms + i * word_ms, start_ms + (i + 1) * word_ms, 0.0)
        for i, word in enumerate(text.split())
    )
    return Final(text, words, start_ms, start_ms + len(words) * word_ms)


def texts(cues: list[Cue]) -> list[str]:
    return [" ".join(cue.lines) for cue in cues]


@st.composite
def finals(draw: st.DrawFn) -> list[Final]:
    """Lines of words with pauses, overlaps, zero-length and over-long words, and steps back."""
    out, now_ms = [], 0.0
    for _ in range(draw(st.integers(0, 5))):
        words = []
        for _ in range(draw(st.integers(0, 30))):
            text = draw(st.text(min_size=1, max_size=100))
            start_ms = max(0.0, now_ms + draw(st.floats(-500, 3_000)))
            end_ms = start_ms + draw(st.floats(0, 9_000))
            words.append(Word(text, start_ms, end_ms, end_ms))
            now_ms = end_ms
        text = " ".join(word.text for word in words)
        out.append(Final(text, tuple(words), words[0].start_ms if words else 0.0, now_ms))
    return out


@settings(deadline=None)
@given(finals())
def test_limits_hold_and_no_character_is_lost(lines: list[Final]) -> None:
    cutter = CueCutter()
    cues = [cue for line in lines for cue in cutter.push(line)]
    last_end_ms = 0
    for cue in cues:
        assert last_end_ms <= cue.start_ms < cue.end_ms <= cue.start_ms + MAX_CUE_MS
        assert 1 <= len(cue.lines) <= MAX_LINES
        assert all(line and columns(line) <= COLUMNS for line in cue.lines)
        last_end_ms = cue.end_ms
    written = "".join("".join(cue.lines) for cue in cues).replace(" ", "")
    said = "".join(printable(word.text) for line in lines for word in line.words)
    assert written == said.replace(" ", "")


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[a-z']{1,12}[,.?]?", fullmatch=True), min_size=1, max_size=60))
def test_ordinary_words_stay_whole_and_on_time(words: list[str]) -> None:
    final = spoken(" ".join(words))
    cues = CueCutter().push(final)
    assert " ".join(texts(cues)).split() == words
    at = 0
    for cue in cues:
        # Never before the first of its words, and still there when the last one ends.
        n_words = len(" ".join(cue.lines).split())
        assert cue.start_ms == final.words[at].start_ms
        assert cue.end_ms >= final.words[at + n_words - 1].end_ms
        at += n_words


def test_a_short_line_stays_on_one_line_for_a_second() -> None:
    assert CueCutter().push(spoken("Yes.", 5_000)) == [Cue(5_000, 6_000, ("Yes.",))]


def test_two_lines_are_balanced() -> None:
    (cue,) = CueCutter().push(spoken("one two three four five six seven eight nine ten"))
    assert cue.lines == ("one two three four five", "six seven eight nine ten")
    (cue,) = CueCutter().push(spoken("He bought the old house by the river, and never came back"))
    assert cue.lines == ("He bought the old house by the river,", "and never came back")


def test_full_cues_end_at_sentences_then_at_clauses() -> None:
    sentence = "The night train to the coast was late again. We waited on the platform for an hour"
    more = " until somebody brought us tea and told us stories"
    cues = CueCutter().push(spoken(sentence + more, word_ms=200))
    assert texts(cues)[0] == "The night train to the coast was late again."
    clause = "When the tide came in and covered the rocks, we walked slowly back along the wall"
    cues = CueCutter().push(spoken(clause + more, word_ms=200))
    assert texts(cues)[0] == "When the tide came in and covered the rocks,"


def test_slow_speech_is_cut_by_time_and_pauses_start_anew() -> None:
    cues = CueCutter().push(spoken("one two three four five six", word_ms=2_000))
    assert texts(cues) == ["one two three", "four five six"]
    first, second = spoken("before it").words, spoken("after it", 4_000).words
    cues = CueCutter().push(Final("before it after it", first + second, 0.0, 4_600))
    assert cues == [Cue(0, 1_000, ("before it",)), Cue(4_000, 5_000, ("after it",))]


def test_a_cue_stays_until_it_is_read_where_nobody_speaks() -> None:
    text = "This was said so fast that nobody could read it"
    (cue,) = CueCutter().push(spoken(text, word_ms=100))
    assert cue.end_ms - cue.start_ms >= READING_MS * len(text)
    cutter = CueCutter()
    cutter.push(spoken(text, word_ms=100))
    assert cutter.end_before(1_200) == 1_200  # somebody speaks, or input is lost
    assert cutter.end_before(1_500) is None
    assert cutter.end_before(300) == 1_000  # its words are shown for as long as they are said
    (cue,) = cutter.push(spoken("And so on.", 1_200))
    assert cue.start_ms == 1_200


def test_fast_speech_stays_on_time_rather_than_on_screen() -> None:
    final = spoken(" ".join(f"word{n:02}" for n in range(60)), word_ms=40)
    cues = CueCutter().push(final)
    assert len(cues) > 4
    begun_ms = {word.text: word.start_ms for word in final.words}
    assert [cue.start_ms for cue in cues] == [begun_ms[cue.lines[0].split()[0]] for cue in cues]
    assert all(cue.end_ms - cue.start_ms < MIN_CUE_MS for cue in cues[:-1])


def test_a_cue_kept_on_screen_does_not_overlap_the_next() -> None:
    cutter = CueCutter()
    cues = [cue for i in range(6) for cue in cutter.push(spoken("Go.", i * 400.0, 300.0))]
    for before, after in itertools.pairwise(cues):
        assert before.end_ms <= after.start_ms
    # Pushing back does not add up: each starts at most one minimum late.
    assert all(cue.start_ms - i * 400 <= MIN_CUE_MS for i, cue in enumerate(cues))


def test_a_very_long_word_is_cut_hard() -> None:
    cues = CueCutter().push(spoken("a" * 100))
    assert [line for cue in cues for line in cue.lines] == ["a" * 42, "a" * 42, "a" * 16]


def test_a_line_without_word_times_is_spread_evenly() -> None:
    text = (
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    )
    cues = CueCutter().push(Final(text, (), 0.0, 15_000.0))
    assert " ".join(texts(cues)) == text
    assert cues[-1].end_ms == 15_000
    assert all(cue.start_ms % 1_000 == 0 for cue in cues)


def test_cues_are_cut_at_characters_as_readers_see_them() -> None:
    thai = "สวัสดีครับผมชื่อสมชายและผมมาจากประเทศไทยวันนี้อากาศดีมากเราจะไปเที่ยวทะเลกัน" * 2
    thai += "ที่หัวหินพรุ่งนี้เช้าๆ"
    family = "👩\u200d👩\u200d👧" * 60
    chinese = "今天天气很好，我们去北京看长城。" * 6
    for text in (thai, family, chinese):
        cues = CueCutter().push(Final(text, (), 0.0, 20_000.0))
        lines = [line for cue in cues for line in cue.lines]
        assert "".join(lines) == text  # no space is put in
        assert all(columns(line) <= COLUMNS for line in lines)
        assert not any(line[0] in "\u200d่้๊๋ัิีึืุู็์ำๆ，。" for line in lines)
        assert not any(line[-1] in "\u200dเแโใไ" for line in lines)


def test_no_cue_is_cut_before_a_mark_or_inside_a_name() -> None:
    text = "It was said by nobody but the late President Franklin Delano Roosevelt himself !"
    for cut in range(0, 40):
        for cue in CueCutter().push(spoken("x" * cut + " " + text, word_ms=200)):
            for line in cue.lines:
                assert not line.startswith(("!", "Franklin", "Delano", "Roosevelt"))


def test_control_characters_do_not_reach_a_caption() -> None:
    assert CueCutter().push(Final("\x00 \n", (), 0.0, 1.0)) == []
