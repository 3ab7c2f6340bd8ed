# SPDX-License-Identifier: Apache-2.0
"""Translation while reading: what is committed stays, however the text comes."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_reader import real_reader
from tiny_translator import WORDS, tiny_translator

import edgestream as es
from edgestream.errors import UsageError
from edgestream.events import Draft, Final, Translation, TranslationDraft
from edgestream.policy import Action, Policy
from edgestream.reader.reader import Reader
from edgestream.reader.text import TextStream
from edgestream.reader.translation.sentence import MOST_WORDS, ends_part
from edgestream.reader.translation.words import word_beginnings

WAYS = [
    ("chat", None, "reencoded"), ("chat", "local-agreement:3", "reencoded"),
    ("chat", "alignatt:1", "reencoded"), ("plain", "wait-k:1", "reencoded"),
    ("plain", "wait-k:2|local-agreement:2", None), ("chat", "wait-k:2", "grouped"),
    ("plain", "alignatt:2", "interleaved"), ("chat", "wait-k:2", "interleaved"),
    ("trained", None, None), ("trained", "wait-k:1", "interleaved"),
    ("trained", "alignatt:1", "grouped"),
]  # fmt: skip
texts = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from(["", "", "", ",", ".", "?"])),
    min_size=1, max_size=24,
).map(lambda words: " ".join(word + mark for word, mark in words))  # fmt: skip


class Coin(Policy):
    """Writes or reads without any reason, the same in the same place."""

    def decide(self, seen):
        odd = hash((seen.read, seen.written, round(seen.probability, 3))) % 3
        return Action.WRITE if odd or seen.finished else Action.READ


@pytest.fixture(scope="module")
def models():
    with tempfile.TemporaryDirectory() as folder:
        yield {
            (kind, seed): tiny_translator(Path(folder), kind=kind, seed=seed)
            for kind, seed in itertools.product(("chat", "plain", "trained"), range(2))
        }


def told(model, task, pieces):
    reader, stream = Reader(model, [task]), TextStream()
    events = [*(e for piece in pieces for e in stream.take(piece)), *stream.finish()]
    said = [each for event in events for each in reader.push(event)] + reader.finish()
    reader.close()
    return said


def in_pieces(data, text):
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8).map(sorted))
    return [text[a:b].encode() for a, b in itertools.pairwise([0, *cuts, len(text)])]


def timeless(said):
    """A word that comes with a later piece was read later."""
    return [
        (event.text, event.n_final if isinstance(event, TranslationDraft) else event.source)
        for event in said
    ]


def assert_committed_text_stays(said):
    """Of each sentence what is committed is what all later events begin with."""
    committed = ""
    for event in said:
        assert event.text.startswith(committed)
        if isinstance(event, Translation):
            committed = ""
        else:
            assert isinstance(event, TranslationDraft)
            assert event.n_final >= len(committed)
            committed = event.text[: event.n_final]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), text=texts, way=st.sampled_from(WAYS), seed=st.integers(0, 1))
def test_any_cutting_says_the_same_and_takes_nothing_back(models, data, text, way, seed):
    kind, policy, layout = way
    model, task = models[kind, seed], es.Translate("fr", policy, layout=layout)
    whole = told(model, task, [text.encode()])
    assert timeless(told(model, task, in_pieces(data, text))) == timeless(whole)
    assert_committed_text_stays(whole)
    sources = [event.source for event in whole if isinstance(event, Translation)]
    assert set(" ".join(sources).split()) <= set(text.split())


@settings(max_examples=20, deadline=None)
@given(text=texts, kind=st.sampled_from(["chat", "trained"]))
def test_a_policy_of_ones_own_that_makes_no_sense_takes_nothing_back(models, text, kind):
    said = told(models[kind, 0], es.Translate("fr", Coin()), [text.encode()])
    assert_committed_text_stays(said)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), text=texts)
def test_words_of_drafts_and_of_finals_say_the_same(models, data, text):
    """A caption commits words early; its lines end wherever they end."""
    words = text.split()
    breaks = sorted(set(data.draw(st.lists(st.integers(1, len(words)), max_size=4))) | {len(words)})
    lines = [words[a:b] for a, b in itertools.pairwise([0, *breaks])]

    def say(drafts):
        reader = Reader(models["chat", 0], [es.Translate("fr")])
        events = []
        for line in filter(None, lines):
            for n in range(1, len(line) if drafts else 0):
                shown = " ".join(line[: n + 1])
                events += reader.push(Draft(shown, 0, 0, len(" ".join(line[:n])) + 1))
            events += reader.push(Final(" ".join(line), (), 0, 0))
        return [event.text for event in [*events, *reader.finish()]]

    assert say(drafts=True) == say(drafts=False)


def test_beside_the_source_all_is_translated_and_nothing_taken_back(models):
    task = es.Translate("fr")
    reader = Reader(models["chat", 0], [task], beside=True)
    text = "Ba da fo gi. Ko lu mi, no pe ra su. Ti ba da"
    said = [each for word in text.split() for each in reader.push(Final(word, (), 0, 0))]
    said += [*reader.poll(), *reader.finish()]
    reader.close()
    assert_committed_text_stays(said)
    found = [event.source for event in said if isinstance(event, Translation)]
    assert " ".join(found) == text


def test_times_are_those_of_the_source(models):
    reader = Reader(models["chat", 0], [es.Translate("fr")])
    said = [
        *reader.push(Final("Ba da", (), 100, 900)),
        *reader.push(Final("fo gi. Ko", (), 1000, 1900)),
    ]
    whole = next(event for event in said if isinstance(event, Translation))
    assert (whole.start_ms, whole.end_ms, whole.read_ms) == (100, 1600, 1600)
    assert whole.language == "fr"
    assert whole.source == "Ba da fo gi."


@pytest.mark.parametrize(
    ("word", "n_words", "ends"),
    [
        ("end.", 1, True), ("Dr.", 2, False), ("really?", 2, True), ("well,", 5, False),
        ("well,", 30, True), ("word", 30, False), ("word", MOST_WORDS, True), ("3.5", 4, False),
    ],
)  # fmt: skip
def test_sentences_end_by_their_words_alone(word, n_words, ends):
    assert ends_part(word, n_words) is ends


def test_words_begin_with_a_space(models):
    model = models["chat", 0]
    begins = dict(
        zip(model.weights.token_texts(), word_beginnings(model.weights, "fr"), strict=True)
    )
    assert [begins[text] for text in ("▁ba", "na", ".", "▁")] == [True, False, False, True]
    assert word_beginnings(model.weights, "ja") == []  # written without spaces


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (("xx",), {}, "language 'xx' is not known"),
        (("fr", "wait"), {}, "try local-agreement:2, alignatt:2, wait-k:3"),
        (("fr", "wait-k:0"), {}, "policy 'wait-k:0'"),
        (("fr",), {"layout": "sideways"}, "layout 'sideways': try reencoded"),
        (("en",), {}, "nothing would change"),
        (("fr", 3), {}, "int cannot be used"),
    ],
)
def test_what_is_not_known_is_refused_in_one_line(arguments, options, says):
    with pytest.raises(UsageError, match=says) as refused:
        es.Translate(*arguments, **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("layout", ["grouped", "interleaved"])
def test_local_agreement_needs_more_than_one_translation(models, layout):
    with pytest.raises(UsageError, match="compares translations"):
        Reader(models["chat", 0], [es.Translate("fr", "local-agreement:2", layout=layout)])


def test_a_trained_model_has_its_own_layouts(models):
    with pytest.raises(UsageError, match="was trained for the layouts grouped, interleaved"):
        Reader(models["trained", 0], [es.Translate("fr", layout="reencoded")])


def test_a_translation_needs_a_model():
    with pytest.raises(UsageError, match="give a GGUF file"):
        Reader(None, [es.Translate("fr")])


@pytest.mark.parametrize("name", ["smollm2", "gemma"])
def test_real_models_translate_and_take_nothing_back(name):
    model = real_reader(name)
    text = b"The meeting starts at nine. Anna brings the plans for the bridge."
    said = told(model, es.Translate("French"), [text])
    assert_committed_text_stays(said)
    assert [event.source for event in said if isinstance(event, Translation)] == [
        "The meeting starts at nine.", "Anna brings the plans for the bridge.",
    ]  # fmt: skip
