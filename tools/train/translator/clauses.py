# SPDX-License-Identifier: Apache-2.0
"""Clauses with a verb: tenses, negation, adverbs and object pronouns in both orders of words."""

from __future__ import annotations

from dataclasses import dataclass, field

from french import French
from phrases import Phrase
from verbs import ALLER, AVOIR, ETRE, MODALS, Verb, agree, form

OBJECTS = {"me": "me", "you": "vous", "him": "le", "her": "la", "them": "les", "us": "nous"}
DATIVES = OBJECTS | {"him": "lui", "her": "lui", "them": "leur"}
BACKWARD = {"not": "pas", "never": "jamais", "often": "souvent", "always": "toujours"}
AUXILIARY = {"present": ("do", "does"), "past": ("did", "did"), "future": ("will", "will"),
             "can": ("can", "can"), "must": ("must", "must")}  # fmt: skip


@dataclass(slots=True)
class Clause:
    """Who does what. `tense`: present, past, future, can or must."""

    subject: Phrase
    verb: Verb
    tense: str = "present"
    adverb: str = ""  # not, never, often or always
    pronoun: str = ""  # me, you, him, her, them, us
    dative: bool = False  # the pronoun is whom something is given to
    rest: list[Phrase] = field(default_factory=list)  # objects, places, times
    asks: bool = False  # "does he see" for "he sees"
    question: list[str] = field(default_factory=list)  # English words before the question

    @property
    def negated(self) -> bool:
        """Whether French needs its ne."""
        return self.adverb in ("not", "never")

    @property
    def third(self) -> bool:
        """He, she, or somebody."""
        return self.subject.person == 3 and not self.subject.plural

    def english(self) -> list[str]:
        """All words."""
        words, who = list(self.question), self.subject.english
        auxiliary = AUXILIARY[self.tense][self.third]
        full = self.asks or self.adverb == "not" or self.tense not in ("present", "past")
        if self.asks:
            words += [auxiliary, *who]
        else:
            words += [*who, auxiliary] if full else who
        words += [self.adverb] if self.adverb else []
        base, third, past = self.verb.english
        words += [base if full else past if self.tense == "past" else third if self.third else base]
        words += [self.pronoun] if self.pronoun else []
        return words + [word for phrase in self.rest for word in phrase.english]

    def french(self, first: int = 0) -> list[French]:
        """Its words, where its first English one is number `first` of the sentence."""
        english = self.english()
        places = _Places(self, english, first)
        words = self.subject.at(places.subject)
        words += self._verb_group(places)
        at = first + len(english) - sum(len(p.english) for p in self.rest)
        for phrase in self.rest:
            words += phrase.at(at)
            at += len(phrase.english)
        return words

    def _verb_group(self, places: _Places) -> list[French]:
        finite, infinite = self._forms()
        pronouns = (DATIVES if self.dative else OBJECTS)[self.pronoun] if self.pronoun else ""
        clitic = [French(pronouns, places.ahead)] if pronouns else []
        late = self.tense not in ("present", "past")  # the pronoun stands before the infinitive
        known = places.early if late else places.ahead
        words = [French("ne", places.adverb)] if self.negated else []
        words += [] if late else clitic
        words += [French(finite, known)]
        words += [French(BACKWARD[self.adverb], places.adverb)] if self.adverb else []
        words += clitic if late else []
        return words + ([French(infinite, places.ahead)] if infinite else [])

    def _forms(self) -> tuple[str, str]:
        """The verb that is conjugated, and a participle or infinitive behind it, if any."""
        person, plural = self.subject.person, self.subject.plural
        verb = self.verb
        if self.tense == "present":
            return form(verb.present, person, plural), ""
        if self.tense == "past":
            auxiliary = ETRE if verb.with_etre else AVOIR
            return form(auxiliary, person, plural), self._participle()
        forms = ALLER if self.tense == "future" else MODALS[self.tense]
        return form(forms, person, plural), verb.infinitive

    def _participle(self) -> str:
        """It agrees with the subject after être, and with an object that stands before it."""
        if self.verb.with_etre:
            return agree(self.verb.participle, self.subject.gender, self.subject.many)
        if self.dative or self.pronoun not in ("her", "them", "us"):
            return self.verb.participle
        return agree(self.verb.participle, "f" if self.pronoun == "her" else "m",
                     self.pronoun != "her")  # fmt: skip


class _Places:
    """Which English word has to be read for which French one."""

    def __init__(self, clause: Clause, english: list[str], first: int) -> None:
        last = first + len(english) - 1
        behind = sum(len(p.english) for p in clause.rest) + bool(clause.pronoun)
        verb = first + len(english) - 1 - behind
        self.subject = first + len(clause.question) + bool(clause.asks)
        self.adverb = verb - 1
        # Whether a pronoun comes that French puts before the verb: the next word says it, and
        # after "her" the one behind ("sees her" or "sees her house").
        ahead = verb + 1
        if ahead <= last and english[ahead - first] == "her":
            ahead += 1
        self.ahead = min(ahead, last) if clause.verb.takes_object else verb
        # "will" may be followed by "not".
        self.early = verb if clause.asks else verb - 1 if clause.adverb else verb
