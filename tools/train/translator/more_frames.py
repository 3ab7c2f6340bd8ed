# SPDX-License-Identifier: Apache-2.0
"""More kinds of sentences: how things are, requests, two clauses, and what one says."""

from __future__ import annotations

from random import Random

from adjectives import AFTER_NOUN, BEFORE_NOUN
from clauses import Clause
from frames import Frame, adverb_of, framed, object_of, place_phrase, words
from french import French
from phrases import Phrase, noun_phrase, subject
from verbs import DOES, ETAIT, ETRE, GOES, form

NEVER_ASKED_FOR = {"know", "want", "lose", "forget", "see", "hear", "meet"}
FIXED = [
    ("Good morning", "Bonjour"), ("Good evening", "Bonsoir"), ("Excuse me", "Excusez-moi"),
    ("Thank you very much", "Merci beaucoup"), ("Yes", "Oui"), ("No", "Non"),
    ("I am sorry", "Je suis désolé"),
]  # fmt: skip
BE = {"present": ("am", "is", "are"), "past": ("was", "was", "were")}


def _how(rng: Random, who: Phrase, kind: str) -> Phrase:
    """What somebody or something is: an adjective, hungry, or a place."""
    draw = rng.random()
    if draw < 0.2:
        return place_phrase(rng)
    if draw < 0.3 and kind == "person":
        return words(*rng.choice([("hungry", "faim"), ("thirsty", "soif")]))
    behind = AFTER_NOUN["person" if kind == "person" else "thing"]
    adjective = rng.choice(behind if rng.random() < 0.75 else BEFORE_NOUN[:6])
    text = adjective.form(who.gender, who.many)
    if rng.random() < 0.25:
        return Phrase(["very", adjective.english], [French("très", 0), French(text, 1)])
    return Phrase([adjective.english], [French(text, 0)])


def state(rng: Random) -> Frame:
    """How somebody or something is: "the houses are not old", "was Anna hungry?" """
    kind = rng.choice(["person", "person", "thing", "food", "place"])
    who = subject(rng) if kind == "person" else noun_phrase(rng, kind)
    tense, how, asks = rng.choice(["present", "present", "past"]), _how(rng, who, kind), False
    to_be = BE[tense][2 if who.plural else 0 if who.person == 1 else 1]
    negated = rng.random() < 0.25
    asks = not negated and rng.random() < 0.25
    have = how.french[0].text in ("faim", "soif")
    forms = "avais avait avions aviez avaient" if tense == "past" else "ai a avons avez ont"
    forms = forms if have else ETAIT if tense == "past" else ETRE
    n = len(who.english)
    english = [to_be, *who.english] if asks else [*who.english, to_be]
    english += (["not"] if negated else []) + how.english
    known = n + 1  # whether it is not, and whether French has "avoir" there
    verb = French(form(forms, who.person, who.plural), known)
    french = [French("ne", known), verb, French("pas", known)] if negated else [verb]
    if have and negated:
        french = [French("ne", known), French(verb.text, known + 1), French("pas", known)]
    opened = [French("est-ce", 0), French("que", 0)] if asks else []
    french = [*opened, *who.at(int(asks)), *french, *how.at(n + 1 + negated)]
    return Frame(english, french, "?" if asks else ".")


def there_is(rng: Random) -> Frame:
    """ "There are two birds in the garden", "Is there a letter on the table?" """
    negated, asks = rng.random() < 0.25, False
    what = noun_phrase(rng, rng.choice(["person", "thing", "food"]), new=True, negated=negated)
    asks = not negated and rng.random() < 0.3
    to_be = "are" if what.plural else "is"
    english = [to_be, "there"] if asks else ["there", to_be]
    rest = [what, place_phrase(rng)]
    english += ["not"] if negated else []
    known = 1 if asks else 2
    il, has = French("il", 1 if asks else 0), [French("y", known), French("a", known)]
    french = [French("est-ce", 0), French("que", 0), il, *has] if asks else [il, *has]
    if negated:
        french = [il, French("ne", 2), *has, French("pas", 2)]
    for phrase in rest:
        french += phrase.at(len(english))
        english += phrase.english
    return Frame(english, french, "?" if asks else ".")


def request(rng: Random) -> Frame:
    """ "Please open the window", "Do not help him", "Bring me the blue cup" """
    verb = rng.choice([v for v in DOES if v.english[0] not in NEVER_ASKED_FOR and v.takes != "p"])
    negated, please = rng.random() < 0.25, rng.random() < 0.3
    english = (["please"] if please else []) + (["do", "not"] if negated else [])
    at = len(english)
    english.append(verb.english[0])
    gives = "g" in verb.takes and rng.random() < 0.5
    pronoun = rng.choice(["me", "us", "him", "them"]) if gives else ""
    thing = object_of(rng, verb, negated)
    french = [French(w, 0) for w in ("s'il", "vous", "plaît")] if please else []
    french += [French(",", 0, glued=True)] if please else []
    text = form(verb.present, 2, True)
    bound = {"me": "moi", "us": "nous", "him": "lui", "them": "leur"}.get(pronoun, "")
    if negated:
        inner = [French("me" if bound == "moi" else bound, at + 1)] if gives else []
        known = at + 1
        french += [French("ne", at - 1), *inner, French(text, known), French("pas", at - 1)]
    else:
        french += [French(text, at)]
        french += [French("-" + bound, at + 1, glued=True)] if gives else []
    english += [pronoun] if gives else []
    french += thing.at(len(english))
    return Frame(english + thing.english, french)


def two_clauses(rng: Random) -> Frame:
    """Two short clauses: "Anna sleeps because she is tired"."""
    one, other = rng.choice([state, _short, _short])(rng), rng.choice([state, _short])(rng)
    if one.end == "?" or other.end == "?":
        return two_clauses(rng)
    english, french = rng.choice([("because", "parce que"), ("but", "mais"), ("and", "et")])
    at = len(one.english)
    comma = english == "but"
    joint = [French(",", at, glued=True)] if comma else []
    joint += [French(w, at) for w in french.split()]
    rest = [French(w.text, w.needs + at + 1, w.glued, w.article) for w in other.french]
    return Frame([*one.english, english, *other.english], [*one.french, *joint, *rest],
                 commas=[at - 1] if comma else [])  # fmt: skip


def _short(rng: Random) -> Frame:
    verb, tense = rng.choice(GOES[3:]), rng.choice(["present", "past", "future"])
    if rng.random() < 0.4:
        return framed(Clause(subject(rng), verb, tense, adverb_of(rng, tense)))
    verb = rng.choice(DOES)
    clause = Clause(subject(rng), verb, tense, adverb_of(rng, tense))
    clause.rest = [object_of(rng, verb, clause.negated)]
    return framed(clause)


def fixed(rng: Random) -> Frame:
    """What one says."""
    phrase = words(*rng.choice(FIXED))
    return Frame(phrase.english, phrase.french)
