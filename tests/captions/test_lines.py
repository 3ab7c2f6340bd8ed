# SPDX-License-Identifier: Apache-2.0
"""Lines: where they end, in many languages; the laws that hold for any text and any commitments."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spoken_tokens import events_of, finals, lines_of, texts

from edgestream.captions.line_breaks import COLUMNS, Unit, is_sentence_end, place, text_of, words_in
from edgestream.captions.lines import LINE_MS, LINE_WORDS, PAUSE_MS
from edgestream.captions.shown_text import columns, filtered
from edgestream.captions.writing_systems import words_of
from edgestream.outlets.cues import CueCutter

CLOSING = set(".,;:!?…)]}%”»。，、！？；：」）؟،؛।۔–-")
EXAMPLES = {
    "abbreviations, names and numbers": [
        "Mr. Smith met John F. Kennedy in St. Petersburg,",
        "and they paid 1,000.5 dollars for No. 5. It was 3.14 p.m.",
        "and nobody else had come to the old house by the river that night. Yes. No.",
    ],
    "German": [
        "Der Zug kommt um 5. Mai 2024 an, z. B. in Köln, bzw. am Rhein.",
        "Wir haben lange auf dem Bahnsteig gewartet,",
        "weil niemand wusste, ob er fährt. Herr Müller lachte.",
    ],
    "French": ["Ça va ? Oui, ça va très bien !", "« Bonjour » dit-il, et il partit."],
    "Spanish": ["¿Qué hora es, Ana María?", "¡Es muy tarde! No lo sé."],
    "Chinese": [
        "今天天气很好。",
        "你好吗？我们2024年5月3日去北京看“长城”，然后在那里住三天，因为我的朋友在北京工作，",
        "他说那里的秋天非常漂亮，我们一定要去看看！",
    ],
    "Japanese": [
        "今日はとても天気がいいですね。「はい、そうですね」と彼は言った。",
        "コーヒーを飲みながら、ゆっくり話しましょう。",
        "東京タワーはどこですか？",
        "すぐ近くにあります。",
    ],
    "Thai": [
        "สวัสดีครับ ผมชื่อสมชาย ผมมาจากประเทศไทย วันนี้อากาศดีมาก เราจะไปเที่ยวทะเลกันที่หัวหิน",
        "พรุ่งนี้เช้าเราจะกลับบ้านด้วยรถไฟ แล้วพบกันใหม่",
    ],
    "Persian": [
        "من می\u200cخواهم به خانه بروم.",
        "آیا شما هم می\u200cآیید؟",
        "نه، امروز خیلی کار دارم و نمی\u200cتوانم.",
    ],
    "Sinhala": ["ශ්\u200dරී ලංකාව ඉතා ලස්සන රටකි.", "අපි හෙට කොළඹට යනවා."],
    "Hindi": [
        "नमस्ते, आप कैसे हैं।",
        "मैं बहुत अच्छा हूँ।",
        "हम कल दिल्ली जा रहे हैं, क्योंकि वहाँ मेरा भाई रहता है।",
    ],
    "Arabic": ["هل تحب القهوة العربية؟", "نعم، أحبها كثيرا في الصباح. ماذا تفعل غدا؟"],
    "Armenian": ["Բարեւ ձեզ։ Ինչպես եք դուք այսօր։ Շատ լավ եմ։"],
    "Amharic": ["ሰላም እንዴት ነህ አንተ።", "እኔ ደህና ነኝ ዛሬ።"],
    "emoji": ["We had a great day 👩\u200d👩\u200d👧 at the sea 🏖️ and it was fun 😀."],
}


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("name", EXAMPLES)
def test_lines_of_people(name, size):
    expected = EXAMPLES[name]
    unspaced = name in ("Chinese", "Japanese")
    found = lines_of(("" if unspaced else " ").join(expected), token_ms=20 * size, size=size)
    if size == 7 and unspaced:  # tokens that no vocabulary has: several words in each
        assert "".join(texts(found)) == "".join(expected)
    else:
        assert texts(found) == expected


@pytest.mark.parametrize("size", [1, 2, 3])
def test_words_are_words_where_no_spaces_are_written(size):
    for name in ("Chinese", "Japanese", "Thai"):
        for line in lines_of(" ".join(EXAMPLES[name]), size=size):
            assert len(line.words) > len(line.text) / (4 * size)
            assert all(word.text[0] not in CLOSING | set("่้ีิัาๆーょッ") for word in line.words)
            joined = "".join(word.text for word in line.words)
            assert joined == line.text.replace(" ", "")


def test_a_long_line_ends_before_a_conjunction_where_it_has_no_punctuation():
    text = "the men who had walked all day along the river sat down near the fire and nobody said a"
    assert texts(lines_of(text + " single word about it")) == [
        "the men who had walked all day along the river sat down near the fire",
        "and nobody said a single word about it",
    ]


@pytest.mark.parametrize("pad", range(0, 84, 3))
@pytest.mark.parametrize(
    "kept",
    ["John Fitzgerald Kennedy", "John F. Kennedy", "Dr. Sarah Miller", "Martin Luther King, Jr.",
     "Ludwig van Beethoven", "Bank of England", "555 1234", "No. 5", "page 12", "5 million dollars",
     "twenty one", "two hundred and five", "May 5", "7 p.m."],
)  # fmt: skip
def test_no_line_ends_inside_a_name_or_a_number(kept, pad):
    filler = "then came others here too again "
    text = f"{filler * 3}"[:pad].rsplit(" ", 1)[0] + f" saw {kept} {filler * 4}"
    lines = lines_of(text.strip())
    assert any(kept in line for line in texts(lines))
    for cue in (cue for line in lines for cue in CueCutter().push(line)):
        assert kept not in " ".join(cue.lines) or any(kept in line for line in cue.lines)


@pytest.mark.parametrize(
    ("word", "follower", "ends"),
    [("end.", "The", True), ("end.", "", True), ("end", "The", False), ("Mr.", "Smith", False),
     ("J.", "Smith", False), ("U.S.", "Army", False), ("a.m.", "We", False), ("No.", "5", False),
     ("No.", "We", True), ("3.14", "is", False), ("5.", "Mai", False), ("1999.", "Then", True),
     ("etc.", "and", False), ("3.1.", "So", True), ("(i.e.", "so", False), ("so...", "he", False),
     ("so...", "He", True), ("Why?", "He", True),
     ('"Why?"', "he", False), ('end."', "He", True), ("(end.)", "He", True), ("好。", "你", True),
     ("吗？", "我", True), ("है।", "वह", True), ("؟", "نعم", True), ("end,", "the", False),
     ("", "", False), ("...", "He", True), ("end. –", "He", True)],
)  # fmt: skip
def test_ends_of_sentences(word, follower, ends):
    assert is_sentence_end(word, follower) == ends


def timed(text: str, pauses: dict[int, float]) -> tuple[list[bytes], list[float]]:
    """A token for each word, 200 ms long; before those named the model attends to silence."""
    tokens, begins_ms = [f" {word}".encode() for word in text.split()], [0.0]
    for i in range(len(tokens)):
        begins_ms.append(begins_ms[-1] + 200 + pauses.get(i, 0))
    return tokens, begins_ms


def test_a_pause_ends_a_line_and_belongs_to_no_word():
    tokens, begins_ms = timed("we came home. then it rained", {3: 8000})
    first, second = finals(events_of(tokens, begins_ms))
    assert (first.text, second.text) == ("we came home.", "then it rained")
    assert first.end_ms == 600
    assert second.words[0].end_ms - second.words[0].start_ms <= 700
    assert second.words[0].end_ms == 8800
    tokens, begins_ms = timed("we came home, then it rained", {2: 8000})
    first, second = finals(events_of(tokens, begins_ms))
    assert (first.text, second.text) == ("we came home,", "then it rained")
    assert (first.words[2].start_ms, second.start_ms) == (400, 8600)
    assert first.end_ms <= 1300


def test_the_last_word_does_not_last_as_long_as_the_silence_behind_it():
    tokens, begins_ms = timed("that is all", {2: 5000})
    (line,) = finals(events_of(tokens, begins_ms))
    assert line.words[2].start_ms == 400
    assert line.end_ms <= 1000


def test_short_sentences_share_a_line():
    assert texts(lines_of("Yes. It was very cold. No. We stayed at home then.")) == [
        "Yes. It was very cold.",
        "No. We stayed at home then.",
    ]
    assert texts(lines_of("It was very cold that day. Yes.")) == ["It was very cold that day. Yes."]
    assert texts(lines_of("no. no. no.")) == ["no. no. no."]


def test_no_line_begins_with_punctuation():
    found = lines_of("- Who was it now? - Nobody came here. , And then, nothing – or so . Right ?")
    assert texts(found) == [
        "Who was it now?",
        "Nobody came here., And then, nothing – or so. Right ?",
    ]
    for nothing in ("...", " , ", "-", "\u200b", "\ufeff."):
        assert lines_of(nothing) == []


def test_a_word_without_end_is_cut_and_no_space_put_in():
    found = lines_of("la" * 300)
    assert "".join(texts(found)) == "la" * 300
    assert all(columns(line.text) <= 2 * COLUMNS for line in found)
    marks = lines_of("so" + "!?" * 300 + " it goes on and on")
    assert all(columns(line.text) <= 2 * COLUMNS for line in marks)
    assert "".join(texts(lines_of("e" + "\u0301" * 5000 + " and so it is")))[:1] == "e"


words = st.sampled_from(
    ["the", "house,", "and", "which", "went", "Peter", "river.", "Yes.", "No.", "“so”", "why?",
     "(old)", "1,000.5", "forty-two", "–", "I'm", "of", "Mr.", "天气", "很好。", "你好", "สวัสดี",
     "ครับ", "می\u200cروم", "है।", "👩\u200d👧", "ශ්\u200dරී", "é", "wow!", "?"]
)  # fmt: skip
plain = st.sampled_from(
    [
        "the",
        "house,",
        "and",
        "which",
        "went",
        "river.",
        "yes.",
        "no.",
        "why?",
        "of",
        "rained",
        "old",
    ]
)


@st.composite
def spoken(draw, of=words):
    """Tokens of a few bytes, and when each begins; silences stand before some words."""
    tokens, begins_ms = [], [0.0]
    for word in draw(st.lists(of, min_size=1, max_size=60)):
        data = (" " * draw(st.sampled_from([1, 1, 1, 0])) + word).encode()
        if of is plain:
            data = b" " + data.strip()
        size, pause_ms = draw(st.integers(1, 9)), draw(st.sampled_from([0] * 9 + [4000]))
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        for i, part in enumerate(parts):
            tokens.append(part)
            silence_ms = pause_ms if i == 0 and len(tokens) > 1 else 0
            # A silence is heard in the last token before it, which Whisper's attention does too.
            begins_ms[-1] += silence_ms
            begins_ms.append(begins_ms[-1] + draw(st.integers(0, 150)))
    return tokens, begins_ms


@settings(deadline=None)
@given(spoken(), st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(12, 20))
def test_any_commitments_give_the_same_lines(given_tokens, sizes, n_hypothesis):
    tokens, begins_ms = given_tokens
    whole = finals(events_of(tokens, begins_ms, [len(tokens)]))
    cut = finals(events_of(tokens, begins_ms, sizes, n_hypothesis=n_hypothesis))
    assert cut == whole


@settings(deadline=None)
@given(spoken())
def test_lines_of_any_text_fit_a_cue_and_lose_nothing(given_tokens):
    tokens, begins_ms = given_tokens
    lines = finals(events_of(tokens, begins_ms))
    at_ms = 0.0
    for line in lines:
        assert columns(line.text) <= 2 * COLUMNS
        assert line.end_ms - line.start_ms <= LINE_MS
        assert line.text[0] not in CLOSING
        assert line.text == line.text.strip()
        where = 0
        for word in line.words:
            where = line.text.index(word.text, where) + len(word.text)
            assert at_ms <= word.start_ms <= word.end_ms
            at_ms = word.end_ms
        assert "".join(w.text for w in line.words).replace(" ", "") == line.text.replace(" ", "")
    said = filtered(b"".join(tokens).decode())
    letters = [c for c in said if c.isalnum() or c in "\u200c\u200d"]
    assert [c for c in "".join(texts(lines)) if c.isalnum() or c in "\u200c\u200d"] == letters
    cutter = CueCutter()
    cues = [cue for line in lines for cue in cutter.push(line)]
    for before, after in itertools.pairwise(cues):
        assert before.end_ms <= after.start_ms


SLOW = ([b" the", b" the", b" the", b" ", b"t", b"h", b"e"],
        [0.0, 4000.0, 8000.0, 12000.0, 12000.0, 12000.0, 12000.0, 12000.0])  # fmt: skip


@settings(deadline=None)
@given(spoken(plain))
@example(SLOW)
def test_a_line_of_few_words_stands_between_two_pauses(given_tokens):
    tokens, begins_ms = given_tokens
    lines, at = finals(events_of(tokens, begins_ms)), 0
    words = [word for line in lines for word in line.words]

    def too_long(some):  # said so slowly that they make no line
        return some[-1].end_ms - some[0].start_ms > LINE_MS

    for i, line in enumerate(lines):
        before, behind = at, at + len(line.words)
        at = behind
        if len(line.words) < LINE_WORDS:
            assert (
                i == 0
                or line.start_ms - lines[i - 1].end_ms >= PAUSE_MS
                or too_long(words[max(0, behind - LINE_WORDS) : behind])
            )
            assert (
                behind == len(words)
                or lines[i + 1].start_ms - line.end_ms >= PAUSE_MS
                or too_long(words[before : before + LINE_WORDS])
            )


@settings(deadline=None)
@given(spoken(plain))
@example(SLOW)
def test_slow_words_make_short_lines_that_fit(given_tokens):
    tokens, begins_ms = given_tokens
    for line in finals(events_of(tokens, begins_ms)):
        assert len(line.words) == 1 or line.end_ms - line.start_ms <= LINE_MS


@given(st.lists(words, min_size=2, max_size=12))
def test_a_place_is_told_for_every_break(texts):
    units = [Unit(word, spaced) for word, spaced in words_of(" ".join(texts))]
    assert text_of(units) == " ".join(" ".join(texts).split())
    for at in range(1, len(units)):
        assert 0 <= place(units, at) <= 40
    assert words_in(units) >= 0
