# SPDX-License-Identifier: Apache-2.0
"""Kinds of sentences in which somebody does something: statements and questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from adjectives import DAYS, MANNERS, PREPOSITIONS, TIMES
from clauses import OBJECTS, Clause
from french import French
from phrases import Phrase, name_phrase, noun_phrase, subject
from verbs import DOES, GOES, Verb

TENSES = ["present"] * 5 + ["past"] * 4 + ["future"] * 3 + ["can", "must"]
TAKES = {"p": "person", "t": "thing", "f": "food", "l": "place"}
SELF = {"I": ("me", "us"), "we": ("me", "us"), "you": ("you",)}


@dataclass(slots=True)
class Frame:
    """A sentence before its capital and its punctuation."""

    english: list[str]
    french: list[French]
    end: str = "."
    commas: list[int] = field(default_factory=list)  # English words that a comma follows


def words(english: str, french: str) -> Phrase:
    """Words that belong together: all of the French ones wait for the last English one."""
    en = english.split()
    return Phrase(en, [French(word, len(en) - 1) for word in french.split()])


def time_phrase(rng: Random, tense: str) -> Phrase:
    """When."""
    if rng.random() < 0.2:
        day = rng.choice(sorted(DAYS))
        return words(f"on {day}", DAYS[day])
    english = rng.choice(sorted(TIMES.get(tense, TIMES["future"])))
    return words(english, TIMES.get(tense, TIMES["future"])[english])


def place_phrase(rng: Random, preposition: str = "") -> Phrase:
    """Where."""
    english = preposition or rng.choice(["in", "in", "near", "behind", "on", "under"])
    kind = "thing" if english in ("on", "under") else "place"
    noun = noun_phrase(rng, kind, plural=False)
    known = noun.french[0].needs + 1
    before = [French(text, 0) for text in PREPOSITIONS[english].split()]
    before[-1] = French(before[-1].text, known if before[-1].text in ("à", "de") else 0)
    return Phrase([english, *noun.english], [*before, *noun.at(1)])


def _tail(rng: Random, tense: str) -> tuple[list[Phrase], Phrase | None]:
    """What may follow, and a time that may stand first."""
    rest = [place_phrase(rng)] if rng.random() < 0.25 else []
    draw = rng.random()
    if draw < 0.2:
        return [*rest, time_phrase(rng, tense)], None
    return rest, time_phrase(rng, tense) if draw < 0.35 else None


def framed(clause: Clause, time: Phrase | None = None, end: str = ".") -> Frame:
    """As a sentence, behind a time and a comma if there is one."""
    if time is None:
        return Frame(clause.english(), clause.french(), end)
    first = len(time.english)
    french = [*time.french, French(",", first - 1, glued=True), *clause.french(first)]
    return Frame([*time.english, *clause.english()], french, end, [first - 1])


def object_of(rng: Random, verb: Verb, negated: bool) -> Phrase:
    """What the verb is done to."""
    kinds = [TAKES[letter] for letter in verb.takes if letter in TAKES]
    if kinds[0] == "person" and rng.random() < 0.2:
        return name_phrase(rng)
    return noun_phrase(rng, rng.choice(kinds), negated=negated)


def adverb_of(rng: Random, tense: str, asks: bool = False) -> str:
    """Not, never, often, always or nothing."""
    draw = rng.random()
    if asks:
        return "often" if draw < 0.15 else ""
    if draw < 0.25:
        return "not" if tense != "can" else ""
    return rng.choice(["never", "often", "always"]) if draw < 0.4 else ""


def statement(rng: Random) -> Frame:
    """Somebody does something: "Anna does not see the red car"."""
    tense, verb = rng.choice(TENSES), rng.choice(DOES)
    rest, time = _tail(rng, tense)
    clause = Clause(subject(rng), verb, tense, adverb_of(rng, tense))
    clause.rest = [object_of(rng, verb, clause.negated), *rest]
    return framed(clause, time)


def with_pronoun(rng: Random) -> Frame:
    """Somebody does something to him: "I will help him"."""
    tense, who = rng.choice(TENSES), subject(rng)
    verb = rng.choice([v for v in DOES if "p" in v.takes])
    pronoun = _pronoun(rng, who)
    rest, time = _tail(rng, tense)
    return framed(Clause(who, verb, tense, adverb_of(rng, tense), pronoun, rest=rest), time)


def _pronoun(rng: Random, who: Phrase) -> str:
    own = SELF.get(who.english[0], ())
    return rng.choice([pronoun for pronoun in OBJECTS if pronoun not in own])


def gift(rng: Random) -> Frame:
    """Somebody gives something: "she gives me the key", "she gives the key to the boy"."""
    tense, who = rng.choice(TENSES), subject(rng)
    verb = rng.choice([v for v in DOES if "g" in v.takes])
    clause = Clause(who, verb, tense, adverb_of(rng, tense), dative=True)
    thing = noun_phrase(rng, rng.choice(["thing", "food"]), negated=clause.negated)
    if rng.random() < 0.6:
        clause.pronoun = _pronoun(rng, who)
        clause.rest = [thing]
    else:
        clause.rest = [thing, _to_person(rng)]
    return framed(clause, time_phrase(rng, tense) if rng.random() < 0.15 else None)


def _to_person(rng: Random) -> Phrase:
    whom = name_phrase(rng) if rng.random() < 0.4 else noun_phrase(rng, "person")
    known = whom.french[0].needs + 1
    return Phrase(["to", *whom.english], [French("à", known), *whom.at(1)])


def question(rng: Random) -> Frame:
    """ "Does Anna see the car?", "Where did they buy the book?" """
    tense, verb = rng.choice(["present", "past", "future", "can"]), rng.choice(DOES)
    asked = rng.choice([""] * 4 + ["where", "when", "why"])
    french = {"": [], "where": ["où"], "when": ["quand"], "why": ["pourquoi"]}[asked]
    clause = Clause(subject(rng), verb, tense, adverb_of(rng, tense, asks=True), asks=True,
                    question=[asked] if asked else [])  # fmt: skip
    clause.rest = [object_of(rng, verb, negated=False)]
    if not asked and rng.random() < 0.3:
        clause.rest.append(place_phrase(rng))
    opened = [French(w, 0) for w in french]
    opened += [French("est-ce", len(french)), French("que", len(french))]
    return Frame(clause.english(), [*opened, *clause.french()], "?")


def of_what_or_who(rng: Random) -> Frame:
    """ "What does Anna buy?", "Who opens the door?" """
    if rng.random() < 0.5:
        verb = rng.choice([v for v in DOES if "t" in v.takes or "f" in v.takes])
        tense = rng.choice(["present", "past", "future", "can"])
        clause = Clause(subject(rng), verb, tense, asks=True, question=["what"])
        opened = [French("que", 0), French("est-ce", 0), French("que", 1)]
        return Frame(clause.english(), [*opened, *clause.french()], "?")
    verb, tense = rng.choice(DOES), rng.choice(["present", "past", "future", "can"])
    who = Phrase(["who"], [French("qui", 0)])
    return framed(Clause(who, verb, tense, rest=[object_of(rng, verb, negated=False)]), end="?")


def movement(rng: Random) -> Frame:
    """Somebody goes, sleeps, works: "they went to the station with Paul"."""
    verb, tense, who = rng.choice(GOES), rng.choice(TENSES), subject(rng)
    adverb, rest = adverb_of(rng, tense), []
    if "a" in verb.takes and rng.random() < 0.8:
        rest = [place_phrase(rng, "from" if verb.infinitive == "venir" else "to")]
    elif rng.random() < 0.4:
        manners = [m for m in MANNERS if m != "together" or who.many]
        manner = rng.choice(manners)
        rest = [words(manner, MANNERS[manner])]
    elif rng.random() < 0.5:
        rest = [place_phrase(rng)]
    draw = rng.random()
    if draw < 0.15:
        with_whom = rng.choice(["with", "without", "for"])
        name = name_phrase(rng)
        french = [French(PREPOSITIONS[with_whom], 0), *name.at(1)]
        rest.append(Phrase([with_whom, *name.english], french))
    time = time_phrase(rng, tense) if draw > 0.8 else None
    return framed(Clause(who, verb, tense, adverb, rest=rest), time)
