# SPDX-License-Identifier: Apache-2.0
"""Noun phrases: "my big red house" and "ma grande maison rouge"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from adjectives import AFTER_NOUN, BEFORE_NOUN, NUMBERS, Adjective
from french import French, begins_with_vowel
from nouns import NAMES, NOUNS, Noun

# English determiner: French of the masculine, the feminine, the plural; None: there is none.
DETERMINERS: dict[str, tuple[str | None, str | None, str | None]] = {
    "the": ("le", "la", "les"),
    "a": ("un", "une", None),
    "this": ("ce", "cette", None),
    "these": (None, None, "ces"),
    "my": ("mon", "ma", "mes"),
    "his": ("son", "sa", "ses"),
    "her": ("son", "sa", "ses"),
    "your": ("votre", "votre", "vos"),
    "our": ("notre", "notre", "nos"),
    "their": ("leur", "leur", "leurs"),
}
ONE = ["the"] * 6 + ["a"] * 6 + ["this", "my", "his", "her", "your", "our", "their"]
MANY = ["the"] * 4 + ["these", "my", "his", "her", "your", "our", "their"] + list(NUMBERS)
NEW = ["a"] * 6 + list(NUMBERS)  # of what was not spoken of before
PRONOUNS = {"I": ("je", 1, False, "m"), "you": ("vous", 2, True, "m"), "he": ("il", 3, False, "m"),
            "she": ("elle", 3, False, "f"), "we": ("nous", 1, True, "m"),
            "they": ("ils", 3, True, "m")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in both languages; `needs` of the French ones counts from the phrase's first word."""

    english: list[str]
    french: list[French]
    person: int = 3
    plural: bool = False
    gender: str = "m"
    is_you: bool = False  # vous, said to one person: what agrees with it is in the singular

    def at(self, first: int) -> list[French]:
        """Its French words, where its first English word is number `first` of a sentence."""
        return [replace(word, needs=word.needs + first) for word in self.french]

    @property
    def many(self) -> bool:
        """Whether adjectives agree with it in the plural."""
        return self.plural and not self.is_you


def _article(text: str) -> str:
    return "an" if text[0] in "aeiou" and not text.startswith("use") else "a"


def _adjectives(rng: Random, kind: str) -> list[Adjective]:
    """None, one, or one that stands before the French noun and one behind it."""
    behind = AFTER_NOUN["person" if kind == "person" else "thing"]
    draw = rng.random()
    if draw < 0.5:
        return []
    if draw < 0.75:
        return [rng.choice(behind)]
    if draw < 0.9:
        return [rng.choice(BEFORE_NOUN)]
    return [rng.choice(BEFORE_NOUN), rng.choice(behind)]


def noun_phrase(
    rng: Random, kind: str, *, new: bool = False, plural: bool | None = None, negated: bool = False
) -> Phrase:
    """A noun with determiner and maybe adjectives.

    Args:
        kind: person, food, thing or place.
        new: it was not spoken of before: "a", or a number.
        plural: None: by chance.
        negated: it is the object of a negated verb: "a" is "de".
    """
    noun = rng.choice(NOUNS[kind])
    if new:
        determiner = rng.choice(NEW)
        plural = determiner != "a"
    else:
        plural = rng.random() < 0.25 if plural is None else plural
        determiner = rng.choice(MANY if plural else ONE)
    if negated and determiner == "some":
        determiner = "two"
    return put_together(noun, determiner, _adjectives(rng, kind), bool(plural), negated)


def put_together(
    noun: Noun, determiner: str, adjectives: list[Adjective], plural: bool, negated: bool
) -> Phrase:
    """The phrase; `negated`: it is the object of a negated verb, "a" is "de"."""
    n = 1 + len(adjectives)  # number of the noun
    rest = [a.english for a in adjectives] + [noun.english[plural]]
    first = _article(rest[0]) if determiner == "a" else determiner
    text = noun.french[plural]
    vowel = begins_with_vowel(text)
    before = [a.form(noun.gender, plural, vowel) for a in adjectives if a.before]
    behind = [a.form(noun.gender, plural) for a in adjectives if not a.before]
    words = [French(w, n) for w in (*before, text, *behind)]
    return Phrase([first, *rest], [_determiner(noun, determiner, plural, negated, n), *words],
                  plural=plural, gender=noun.gender)  # fmt: skip


def _determiner(noun: Noun, determiner: str, plural: bool, negated: bool, n: int) -> French:
    if determiner in NUMBERS:
        return French(NUMBERS[determiner], 0)
    if determiner == "a" and negated:
        return French("de", 0)
    text = DETERMINERS[determiner][2 if plural else int(noun.gender == "f")]
    if text is None:
        raise ValueError(f"{determiner} does not go with {noun.english[plural]}")
    return French(text, n, article=determiner == "the")


def name_phrase(rng: Random) -> Phrase:
    """Somebody by name."""
    name = rng.choice(sorted(NAMES))
    return Phrase([name], [French(name, 0)], gender=NAMES[name])


def pronoun_phrase(rng: Random) -> Phrase:
    """I, you, he, she, we or they."""
    english = rng.choice(sorted(PRONOUNS))
    text, person, plural, gender = PRONOUNS[english]
    return Phrase([english], [French(text, 0)], person, plural, gender, english == "you")


def _both(one: Phrase, other: Phrase) -> Phrase:
    middle = len(one.english)
    english = [*one.english, "and", *other.english]
    french = [*one.french, French("et", middle), *other.at(middle + 1)]
    gender = "f" if one.gender == other.gender == "f" else "m"
    return Phrase(english, french, plural=True, gender=gender)


def subject(rng: Random) -> Phrase:
    """Who does something."""
    draw = rng.random()
    if draw < 0.35:
        return pronoun_phrase(rng)
    if draw < 0.6:
        return name_phrase(rng)
    if draw < 0.93:
        return noun_phrase(rng, "person")
    return _both(name_phrase(rng), noun_phrase(rng, "person", plural=False))
