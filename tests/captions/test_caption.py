# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.captions.clock import Clock
from edgestream.captions.line_breaks import COLUMNS
from edgestream.captions.lines import LINE_MS, LINE_WORDS, PAUSE_MS
from edgestream.captions.step_caption import Caption, truecase
from edgestream.events import Draft, Final

TEXTS = ["<pad>", "▁hel", "lo", "▁i", "▁world", ".", ",", "?", "▁i'm", "▁extraordinary", "▁a", "▁"]
STEP_MS, DELAY_FRAMES = 80.0, 6


def caption(clock=None):
    return Caption(TEXTS, clock or Clock(), pad=0, step_ms=STEP_MS, delay_frames=DELAY_FRAMES)


def run(stage, tokens):
    return stage.push(np.array(tokens, np.int32), np.zeros(len(tokens), np.int32))


def finals(events):
    return [e for e in events if isinstance(e, Final)]


def whole(tokens, clock=None):
    """The finals of a stream that ends."""
    stage = caption(clock)
    return finals(run(stage, tokens) + stage.finish())


def test_words_drafts_and_a_final_at_the_pause():
    events = run(caption(), [0] * 10 + [1, 2, 6, 4, 5] + [0] * 20)
    texts = ["Hel", "Hello", "Hello,", "Hello, world", "Hello, world.", "Hello, world."]
    assert [e.text for e in events] == texts
    assert [type(e) for e in events] == [Draft] * 5 + [Final]
    hello, world = events[-1].words
    assert hello.text == "Hello,"
    # The first token of "hello" came in step 10, so the word ended in the step 6 before it.
    assert 4 * STEP_MS <= hello.end_ms <= 5 * STEP_MS
    assert hello.emitted_ms == 13 * STEP_MS
    assert world.emitted_ms == 15 * STEP_MS
    assert 0 <= hello.start_ms < hello.end_ms <= world.start_ms < world.end_ms


def test_a_word_that_waited_was_shown_later_but_ended_when_it_did():
    tokens, waited = np.array([0] * 10 + [1, 2, 5], np.int32), np.zeros(13, np.int32)

    def word():
        stage = caption()
        return finals(stage.push(tokens, waited) + stage.finish())[0].words[0]

    plain = word()
    waited[-2:] = 2, 1
    deferred = word()
    assert (deferred.start_ms, deferred.end_ms) == (plain.start_ms, plain.end_ms)
    assert deferred.emitted_ms == plain.emitted_ms + STEP_MS


def test_silence_that_came_before_the_source_takes_no_time_of_it():
    tokens = [0] * 30 + [1, 2, 5]
    (plain,) = whole(tokens)

    def led_by_silence(tokens):
        stage = Caption(TEXTS, Clock(), pad=0, step_ms=STEP_MS, delay_frames=6, lead_ms=1000)
        return finals(run(stage, tokens) + stage.finish())[0]

    led = led_by_silence(tokens)
    assert led.end_ms == plain.end_ms - 1000
    assert led.words[0].emitted_ms == plain.words[0].emitted_ms - 1000
    early = led_by_silence([0] * 3 + [1, 5])
    assert early.start_ms == early.end_ms == early.words[0].emitted_ms == 0


def test_tokens_without_text_write_nothing():
    texts = [*TEXTS, ""]
    stage = Caption(texts, Clock(), pad=0, step_ms=STEP_MS, delay_frames=DELAY_FRAMES)
    events = run(stage, [12, 1, 12, 2, 5])
    assert [e.text for e in events] == ["Hel", "Hello", "Hello."]


def test_a_sentence_begins_with_a_capital_and_so_does_i():
    texts = [f.text for f in whole([4, 3, 4, 4, 5, 10, 8, 10, 3, 7])]
    assert texts == ["World I world world.", "A I'm a I?"]
    assert [f.text for f in whole([4, 5, 4, 5])] == ["World. World."]


def test_silence_ends_a_line_without_a_full_stop():
    events = run(caption(), [0, 4, *[0] * 60])
    assert [e.text for e in finals(events)] == ["World"]


def test_finish_closes_the_open_line_once():
    stage = caption()
    run(stage, [4])
    assert [e.text for e in stage.finish()] == ["World"]
    assert stage.finish() == []


def test_punctuation_after_a_closed_line_is_not_a_caption():
    tokens = [4, *[0] * 60, 5, 6, *[0] * 60, 6, 4]
    assert [f.text for f in whole(tokens)] == ["World", "World"]


def test_a_space_alone_starts_the_next_word_and_is_none_itself():
    (final,) = whole([11, 11, 1, 2, 11, 4, 11, 2, 11, 5])
    assert final.text == "Hello world lo."
    assert [word.text for word in final.words] == ["Hello", "world", "lo."]
    (alone,) = whole([0] * 20 + [11, 2, 5])
    (joined,) = whole([0] * 20 + [4, 5])
    assert alone.end_ms == joined.end_ms  # the word ended before its space was written
    silent = caption()
    assert run(silent, [11, *[0] * 60]) + silent.finish() == []


def test_a_long_line_is_cut_at_a_word_without_a_capital_after_it():
    stage = caption()
    events = run(stage, [9] * 40) + stage.finish()
    lines = finals(events)
    assert len(lines) > 1
    assert all(len(line.text) <= 2 * COLUMNS for line in lines)
    assert lines[0].text.startswith("Extra")
    assert lines[1].text.startswith("extra")
    assert sum(len(line.words) for line in lines) == 40


def test_times_run_over_a_gap():
    clock = Clock()
    stage = caption(clock)
    before = finals(run(stage, [0] * 20 + [4, 5]) + stage.finish())
    clock.skip(22 * STEP_MS, 60_000)
    after = finals(run(stage, [0] * 20 + [4, 5]) + stage.finish())
    assert before[0].end_ms < 22 * STEP_MS
    assert after[0].start_ms > 60_000


@given(st.lists(st.integers(0, len(TEXTS) - 1), max_size=300), st.data())
def test_any_cutting_gives_the_same_events(tokens, data):
    uncut, cut = caption(), caption()
    expected = run(uncut, tokens) + uncut.finish()
    got, rest = [], tokens
    while rest:
        n = data.draw(st.integers(0, len(rest)))
        got += run(cut, rest[:n])
        rest = rest[n:]
    assert got + cut.finish() == expected


@given(st.lists(st.integers(0, len(TEXTS) - 1), max_size=300))
def test_no_word_is_lost_and_time_never_runs_back(tokens):
    stage = caption()
    events = run(stage, tokens) + stage.finish()
    words = [w for f in finals(events) for w in f.words]
    assert all(word.text for word in words)
    spoken = "".join(TEXTS[t] for t in tokens if t).replace("▁", " ")
    letters = [c for c in spoken.lower() if c.isalpha()]
    assert [c for w in words for c in w.text.lower() if c.isalpha()] == letters
    times = [t for w in words for t in (w.start_ms, w.end_ms)]
    assert times == sorted(times)
    for final in finals(events):
        assert final.end_ms - final.start_ms <= LINE_MS
        assert final.text[0] not in ".,?!"


@given(st.lists(st.sampled_from([0, 1, 2, 4, 5, 6, 10, 11]), max_size=300))
def test_a_short_line_stands_between_pauses(tokens):
    stage = caption()
    lines = finals(run(stage, tokens) + stage.finish())
    for i, line in enumerate(lines):
        if len(line.words) < LINE_WORDS:
            before = i == 0 or line.words[0].emitted_ms - lines[i - 1].words[-1].emitted_ms
            behind = i + 1 == len(lines) or (
                lines[i + 1].words[0].emitted_ms - line.words[-1].emitted_ms
            )
            assert before is True or before >= PAUSE_MS
            assert behind is True or behind >= PAUSE_MS


def test_letters_whose_bytes_come_one_by_one_are_whole():
    texts = ["<pad>", "\u2581", *(chr(0xDC00 + byte) for byte in "é。你".encode())]
    stage = Caption(texts, Clock(), pad=0, step_ms=STEP_MS, delay_frames=DELAY_FRAMES)
    events = run(stage, [*range(1, len(texts))]) + stage.finish()
    assert [word.text for word in finals(events)[0].words] == ["É。", "你"]


@pytest.mark.parametrize(
    ("word", "shown"), [("i", "I"), ("i'll", "I'll"), ("i,", "I,"), ("it", "it"), ("", "")]
)
def test_truecase(word, shown):
    assert truecase(word, sentence_start=False) == shown


def test_a_sentence_that_begins_with_a_mark_has_its_capital_behind_it():
    assert truecase('"so', sentence_start=True) == '"So'
