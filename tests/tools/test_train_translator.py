# SPDX-License-Identifier: Apache-2.0
"""The toy language pair: its French is right, and what a token waits for is what it needs."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

TOOLS = Path(__file__).parents[2] / "tools" / "train" / "translator"
VOWEL = "aeiouyàâéèêëîïôœh"  # every h of the lexicon is silent
seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module", autouse=True)
def _tools_on_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(TOOLS), *sys.path])
        yield


def drawn(seed: int, count: int):
    from sentences import draw

    rng = Random(seed)
    return [draw(rng) for _ in range(count)]


AGREEMENT = [
    # noun, determiner, adjectives, plural
    ("apple", "a", ["big", "red"], False, "a big red apple", "une grande pomme rouge"),
    ("man", "the", ["old"], False, "the old man", "le vieil homme"),
    ("man", "this", [], False, "this man", "cet homme"),
    ("man", "this", ["famous"], False, "this famous man", "cet homme célèbre"),
    ("woman", "the", ["old", "tired"], False, "the old tired woman", "la vieille femme fatiguée"),
    ("school", "my", [], False, "my school", "mon école"),
    ("school", "my", ["white"], False, "my white school", "mon école blanche"),
    ("school", "my", ["new"], False, "my new school", "ma nouvelle école"),
    ("egg", "the", ["round"], False, "the round egg", "l'œuf rond"),
    ("egg", "the", ["new"], False, "the new egg", "le nouvel œuf"),
    ("horse", "these", ["beautiful", "strong"], True, "these beautiful strong horses",
     "ces beaux chevaux forts"),
    ("hat", "her", ["grey"], True, "her grey hats", "ses chapeaux gris"),
    ("dress", "our", ["grey"], True, "our grey dresses", "nos robes grises"),
    ("story", "eleven", ["long"], True, "eleven long stories", "onze longues histoires"),
    ("umbrella", "a", ["useful"], False, "a useful umbrella", "un parapluie utile"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("noun", "determiner", "adjectives", "plural", "english", "french"), AGREEMENT
)
def test_nouns_articles_and_adjectives_agree(
    noun, determiner, adjectives, plural, english, french
) -> None:
    from adjectives import AFTER_NOUN, BEFORE_NOUN
    from french import joined, written
    from nouns import NOUNS
    from phrases import put_together

    known = {a.english: a for a in [*BEFORE_NOUN, *AFTER_NOUN["thing"], *AFTER_NOUN["person"]]}
    found = next(n for table in NOUNS.values() for n in table if n.english[0] == noun)
    phrase = put_together(found, determiner, [known[a] for a in adjectives], plural, False)
    assert " ".join(phrase.english) == english
    assert written(joined(phrase.french)) == french


CLAUSES = [
    # subject, verb, tense, adverb, pronoun, dative
    ("I", "see", "present", "", "him", False, "I see him", "je le vois"),
    ("I", "love", "present", "not", "her", False, "I do not love her", "je ne l'aime pas"),
    ("she", "see", "past", "", "her", False, "she saw her", "elle l'a vue"),
    ("she", "see", "past", "", "them", False, "she saw them", "elle les a vus"),
    ("they", "take", "past", "not", "us", False, "they did not take us",
     "ils ne nous ont pas pris"),
    ("we", "help", "future", "never", "you", False, "we will never help you",
     "nous n'allons jamais vous aider"),
    ("you", "hear", "must", "not", "me", False, "you must not hear me",
     "vous ne devez pas m'entendre"),
    ("he", "give", "present", "", "her", True, "he gives her", "il lui donne"),
    ("he", "give", "past", "", "them", True, "he gave them", "il leur a donné"),
    ("she", "go", "past", "", "", False, "she went", "elle est allée"),
    ("they", "stay", "past", "not", "", False, "they did not stay", "ils ne sont pas restés"),
    ("you", "arrive", "past", "", "", False, "you arrived", "vous êtes arrivé"),
    ("she", "sleep", "past", "often", "", False, "she often slept", "elle a souvent dormi"),
    ("we", "travel", "present", "always", "", False, "we always travel", "nous voyageons toujours"),
    ("I", "open", "present", "never", "", False, "I never open", "je n'ouvre jamais"),
    ("I", "open", "present", "", "", False, "I open", "j'ouvre"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "verb", "tense", "adverb", "pronoun", "dative", "english", "french"), CLAUSES
)
def test_verbs_agree_and_pronouns_and_negation_stand_in_their_places(
    subject, verb, tense, adverb, pronoun, dative, english, french
) -> None:
    from clauses import Clause
    from french import French, joined, written
    from phrases import PRONOUNS, Phrase
    from verbs import DOES, GOES

    text, person, plural, gender = PRONOUNS[subject]
    who = Phrase([subject], [French(text, 0)], person, plural, gender, subject == "you")
    found = next(v for v in [*DOES, *GOES] if v.english[0] == verb)
    clause = Clause(who, found, tense, adverb, pronoun, dative)
    assert " ".join(clause.english()) == english
    assert written(joined(clause.french())) == french


@given(seeds)
@settings(max_examples=20)
def test_vowels_fall_out_and_articles_melt(seed) -> None:
    full = rf"(?i)(?:^|[ '])(?:le|la|je|ne|me|de|que) (?!onze|huit)[{VOWEL}]"
    for pair in drawn(seed, 50):
        assert not re.search(full, pair.target)
        assert not re.search(r"(?i)(?:^| )(?:à|de) les?(?: |$)", pair.target)
        assert not re.search(rf"(?i)(?:^| )(?:ma|sa|ce) [{VOWEL}]", pair.target)
        assert "  " not in pair.target


@given(seeds)
@settings(max_examples=20)
def test_every_negation_has_both_parts(seed) -> None:
    for pair in drawn(seed, 50):
        words = re.findall(r"[\w-]+'?", pair.target.lower())
        n_ne = sum(w in ("ne", "n'") for w in words)
        n_pas = sum(w in ("pas", "jamais") for w in words)
        negated = re.findall(r"\b(?:not|never)\b", pair.source)
        assert n_ne == n_pas == len(negated)
        assert not re.search(r"(?:pas|jamais) une? ", pair.target)


@given(seeds)
@settings(max_examples=20)
def test_english_articles_fit(seed) -> None:
    for pair in drawn(seed, 50):
        for word, following in pairwise(pair.english):
            if word.lower() in ("a", "an"):
                vowel = following[0] in "aeiou" and following != "useful"
                assert (word.lower() == "an") == vowel


def test_what_a_token_needs_is_enough_to_know_it() -> None:
    """Sentences that begin alike have alike translations, as far as these words decide them."""
    known: dict[tuple[tuple[str, ...], int], tuple[str, ...]] = {}
    n_met = 0
    for pair in drawn(7, 12_000):
        needs = 0
        texts = tuple(word.text for word in pair.french)
        for t, word in enumerate(pair.french):
            needs = max(needs, word.needs)
            key = (tuple(pair.english[: needs + 1]), t)
            n_met += key in known
            assert known.setdefault(key, texts[: t + 1]) == texts[: t + 1], pair.source
    assert n_met > 5_000  # the test has met sentences that begin alike


def test_less_than_what_a_token_needs_is_not_enough() -> None:
    """The order of words differs: most sentences cannot be written word by word as they come."""
    late = [p for p in drawn(3, 500) if any(w.needs > t for t, w in enumerate(p.french))]
    assert len(late) > 400


def test_the_same_seed_draws_the_same_sentences() -> None:
    assert drawn(5, 50) == drawn(5, 50)
    assert drawn(5, 50) != drawn(6, 50)


def test_sentences_for_tests_are_kept_apart() -> None:
    from sentences import stream

    rng = Random(4)
    assert not any(stream(rng, held_out=False).held_out for _ in range(200))
    assert all(stream(rng, held_out=True).held_out for _ in range(20))


@pytest.fixture(scope="module")
def vocabulary(_tools_on_path):
    from toy_vocabulary import Vocabulary, make_vocabulary

    return Vocabulary(make_vocabulary(20_000))


@given(seeds, st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_a_wait_k_schedule_is_wait_k(vocabulary, seed, k) -> None:
    from schedule import Pace, lay_out
    from toy_vocabulary import END

    pair = drawn(seed, 1)[0]
    tokens = lay_out([pair], [Pace(k)], vocabulary)
    assert [t.token for t in tokens] == [*vocabulary.target(pair), END]
    for t, token in enumerate(tokens[:-1]):
        assert token.read == min(k + t, len(pair.english))


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_both_layouts_hold_each_word_and_token_once_and_in_order(vocabulary, seed) -> None:
    from streams import draw_stream, grouped, interleaved
    from toy_vocabulary import END, GROUPED, INTERLEAVED

    drawn_stream = draw_stream(Random(seed), vocabulary, 120)
    read = [token for unit in drawn_stream.units for token in unit]
    wrote = [token.token for token in drawn_stream.tokens]
    source, target, waiting = grouped(drawn_stream, Random(seed))
    assert source.tokens == [GROUPED, *read]
    assert target.tokens == [END, *wrote[:-1]]
    assert target.labels == wrote
    assert target.seen == sorted(target.seen)
    assert waiting.tokens == target.tokens
    for early, late, label in zip(waiting.seen, target.seen, waiting.labels, strict=True):
        assert early < late or label < 0  # what waits has read less
    rows = interleaved(drawn_stream)
    assert rows.tokens[0] == INTERLEAVED
    assert [t for t, w in zip(rows.tokens, rows.words, strict=True) if w >= 0] == read
    kept = [t for t, w in zip(rows.tokens[1:], rows.words[1:], strict=True) if w < 0 and t != END]
    expected = [token for token in wrote if token != END]
    assert kept == expected[: len(kept)]
    newest = -1
    for word, label, look in zip(rows.words, rows.labels, rows.looks, strict=True):
        newest = max(newest, word)
        assert look <= newest  # no proposal looks at a word that was not read yet
        assert (look >= 0) == (label >= 0)
