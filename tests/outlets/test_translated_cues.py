# SPDX-License-Identifier: Apache-2.0
"""Subtitles of a translation, alone and below what was said: no word is lost, times rise."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from subtitle_parsers import parse_srt

from edgestream.captions.shown_text import columns
from edgestream.events import Event, Final, Gap, Note, Translation, TranslationDraft, Word
from edgestream.outlets.cues import Cue
from edgestream.outlets.translated_cues import HOLD_MS, BothCutter
from edgestream.outlets.writers import open_writer


def final(text: str, start_ms: float, end_ms: float) -> Final:
    return Final(text, (), start_ms, end_ms)


def translation(text: str, source: str, start_ms: float, end_ms: float) -> Translation:
    return Translation(text, "fr", source, start_ms, end_ms, end_ms)


def cut(events: list[Event]) -> list[Cue]:
    cutter = BothCutter()
    return [cue for event in events for cue in cutter.push(event)] + cutter.finish()


def test_what_was_said_stands_above_its_translation() -> None:
    events: list[Event] = [
        final("It is late.", 0, 2000),
        final("We go home.", 2000, 4000),
        translation("Il est tard.", "It is late.", 0, 2000),
        translation("Nous rentrons.", "We go home.", 2000, 4000),
    ]
    assert cut(events) == [
        Cue(0, 2000, ("It is late.", "Il est tard.")),
        Cue(2000, 4000, ("We go home.", "Nous rentrons.")),
    ]


def test_a_sentence_may_lie_across_lines() -> None:
    events: list[Event] = [
        final("It is late. We", 0, 4000),
        translation("Il est tard.", "It is late.", 0, 3000),
        final("go home.", 4000, 6000),
        translation("Nous rentrons.", "We go home.", 3000, 6000),
    ]
    assert [cue.lines for cue in cut(events)] == [
        ("It is late.", "Il est tard."), ("We go home.", "Nous rentrons."),
    ]  # fmt: skip


def test_a_translation_may_come_before_the_end_of_its_words() -> None:
    events: list[Event] = [
        final("A girl sees the red", 0, 1000),
        translation("Une fille voit la pomme rouge.", "A girl sees the red apple.", 0, 1500),
        translation("La mienne.", "My.", 1500, 2000),
        final("apple. My.", 1000, 2000),
    ]
    assert cut(events) == [
        Cue(0, 1500, ("A girl sees the red apple.", "Une fille voit la pomme rouge.")),
        Cue(1500, 2000, ("My.", "La mienne.")),
    ]


@pytest.mark.parametrize("rest", [[], [Gap(1000, 2000, "lost")], [final("So.", 2000, 3000)]])
def test_the_end_of_its_words_may_never_come(rest: list[Event]) -> None:
    events: list[Event] = [
        final("A girl sees", 0, 1000),
        translation("Une fille voit.", "A girl sees it.", 0, 1000),
    ]
    lines = [cue.lines for cue in cut([*events, *rest])]
    assert lines[0] == ("A girl sees", "Une fille voit.")
    assert lines[1:] == [("So.",) for event in rest if isinstance(event, Final)]


def test_words_without_a_translation_stand_alone_and_in_their_place() -> None:
    events: list[Event] = [
        final("It is late.", 0, 2000),
        final("We go home.", 2000, 4000),
        final("Good night.", 4000, 6000),
        translation("Nous rentrons.", "We go home.", 2000, 4000),
    ]
    assert cut(events) == [
        Cue(0, 2000, ("It is late.",)),
        Cue(2000, 4000, ("We go home.", "Nous rentrons.")),
        Cue(4000, 6000, ("Good night.",)),
    ]


def test_a_translation_that_never_comes_is_not_waited_for() -> None:
    cutter = BothCutter()
    assert cutter.push(final("It is late.", 0, 2000)) == []
    assert cutter.push(final("So it is.", HOLD_MS, HOLD_MS + 1000)) == []
    [cue] = cutter.push(final("Yes.", HOLD_MS + 1500, HOLD_MS + 2500))
    assert cue.lines == ("It is late.",)
    assert cutter.push(translation("Il est tard.", "It is late.", 0, 2000)) == []  # not for 1 ms
    assert [cue.lines for cue in cutter.finish()] == [("So it is. Yes.",)]


def test_a_source_that_runs_ahead_waits_for_its_translations(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """All captions of a talk may be there before the first translation is."""
    texts = [f"Line {i}." for i in range(5)]
    times_ms = [i * HOLD_MS for i in range(5)]
    path = tmp_path / "talk.srt"
    writer = open_writer("srt", path, subtitles="both", patient=True)
    for text, at_ms in zip(texts, times_ms, strict=True):
        writer.push(final(text, at_ms, at_ms + 2000))
    for text, at_ms in zip(texts, times_ms, strict=True):
        writer.push(translation(text.upper(), text, at_ms, at_ms + 2000))
    writer.finish()
    assert parse_srt(path.read_text()) == [
        (at_ms, at_ms + 2000, [text, text.upper()])
        for text, at_ms in zip(texts, times_ms, strict=True)
    ]


def test_the_last_line_stays_while_the_translation_takes_more_of_them() -> None:
    source = "one two three"
    long = "un mot et encore un mot " * 4
    cues = cut([final(source, 0, 3000), translation(long, source, 0, 3000)])
    assert {cue.lines[0] for cue in cues} == {source}
    assert " ".join(cue.lines[1] for cue in cues) == long.strip()


def test_a_text_that_cannot_be_seen_is_none() -> None:
    nothing = "\u200b"
    assert cut([translation(nothing, "Late.", 0, 900)]) == []
    assert cut([final("Late.", 0, 900), translation(nothing, "Late.", 0, 900)]) == [
        Cue(0, 900, ("Late.",))
    ]


WORDS = st.sampled_from(
    ["a", "bee", "colours.", "Dark", "evenings", "fall,", "gently", "It", "1,000", "\u65e5\u672c"]
)
LINES = st.lists(st.lists(WORDS, min_size=1, max_size=14), max_size=12)


@given(LINES, st.data())
def test_every_word_comes_once_in_order_and_times_rise(
    lines: list[list[str]], data: st.DataObject
) -> None:
    events: list[Event] = []
    words: list[Word] = []
    at_ms = 0.0
    for line in lines:
        line = [f"{word}{number}" for number, word in enumerate(line, len(words))]
        timed = tuple(
            Word(w, at_ms + 300 * i, at_ms + 300 * i + 200, 0.0) for i, w in enumerate(line)
        )
        at_ms += 300 * len(line)
        events.append(Final(" ".join(line), timed, timed[0].start_ms, timed[-1].end_ms))
        words += timed
    at = 0
    while at < len(words):  # sentences of any length, some of which have no translation
        source = words[at : at + data.draw(st.integers(1, 20))]
        at += len(source)
        if data.draw(st.booleans()):
            text = " ".join(word.text for word in source)
            events.append(
                translation("#" * len(source), text, source[0].start_ms, source[-1].end_ms)
            )
    cues = cut(events)
    said = [line for cue in cues for line in cue.lines if "#" not in line]
    once = [line for before, line in pairwise(["", *said]) if line != before]
    assert "".join(once).replace(" ", "") == "".join(word.text for word in words)
    for cue in cues:
        assert cue.start_ms < cue.end_ms
        assert all(columns(line) <= 42 for line in cue.lines)
    for one, two in pairwise(cues):
        assert one.end_ms <= two.start_ms


@pytest.mark.parametrize(
    ("subtitles", "expected"),
    [
        ("original", ["It is late."]),
        ("translation", ["Il est tard."]),
        ("both", ["It is late.\nIl est tard."]),
    ],
)
def test_a_file_holds_whose_words_are_wanted(subtitles, expected, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "talk.srt"
    writer = open_writer("srt", path, subtitles=subtitles)
    for event in [
        final("It is late.", 0, 2000),
        TranslationDraft("Il est", "fr", 0, 2000),
        translation("Il est tard.", "It is late.", 0, 2000),
        Note("", "somebody says that it is late", 0, 2000),
    ]:
        writer.push(event)
    writer.finish()
    assert ["\n".join(lines) for _, _, lines in parse_srt(path.read_text())] == expected


def test_translations_are_read_as_long_as_captions_are(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """What goes on is cut short, what is last stays until it is read."""
    path = tmp_path / "talk.srt"
    writer = open_writer("srt", path, subtitles="translation")
    text = "Il est tard et nous rentrons."
    for at_ms in (0, 1000):
        writer.push(final("Late.", at_ms, at_ms + 900))
        writer.push(translation(text, "Late.", at_ms, at_ms + 900))
    writer.finish()
    times_ms = [(start_ms, end_ms) for start_ms, end_ms, _ in parse_srt(path.read_text())]
    assert times_ms == [(0, 1000), (1000, 1000 + 60 * (len(text) + 1))]
