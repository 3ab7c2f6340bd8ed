# SPDX-License-Identifier: Apache-2.0
"""Adjectives, numbers, and words for times and places."""

from __future__ import annotations

from dataclasses import dataclass

# English|masculine|feminine, where it is more than an e. Plurals of the masculine on -eau take x.
BEHIND = """
red|rouge, green|vert, blue|bleu, black|noir, white|blanc|blanche, yellow|jaune, grey|gris,
brown|brun, heavy|lourd, light|léger|légère, broken|cassé, clean|propre, dirty|sale, cold|froid,
warm|chaud, expensive|cher|chère, round|rond, square|carré, empty|vide, full|plein,
strange|étrange, wet|mouillé, dry|sec|sèche, useful|utile, dangerous|dangereux|dangereuse
"""
OF_PERSONS = """
famous|célèbre, tired|fatigué, happy|heureux|heureuse, sad|triste, sick|malade, rich|riche,
strong|fort, ready|prêt, quiet|tranquille
"""
# Those that stand before the noun; a fourth part is the masculine before a vowel.
BEFORE = """
big|grand, small|petit, new|nouveau|nouvelle|nouvel, old|vieux|vieille|vieil,
beautiful|beau|belle|bel, young|jeune, good|bon|bonne, bad|mauvais, pretty|joli,
long|long|longue
"""
NUMBERS = {"two": "deux", "three": "trois", "four": "quatre", "five": "cinq", "six": "six",
           "seven": "sept", "eight": "huit", "nine": "neuf", "ten": "dix", "eleven": "onze",
           "twelve": "douze", "some": "quelques"}  # fmt: skip
PREPOSITIONS = {"in": "dans", "on": "sur", "under": "sous", "behind": "derrière",
                "near": "près de", "from": "de", "to": "à", "with": "avec", "for": "pour",
                "without": "sans"}  # fmt: skip
ADVERBS = {"often": "souvent", "always": "toujours", "never": "jamais"}
MANNERS = {"slowly": "lentement", "quickly": "vite", "here": "ici",
           "together": "ensemble"}  # fmt: skip
DAYS = {"Monday": "lundi", "Tuesday": "mardi", "Wednesday": "mercredi", "Thursday": "jeudi",
        "Friday": "vendredi", "Saturday": "samedi", "Sunday": "dimanche"}  # fmt: skip
# By tense. Words that belong together in both languages are joined.
TIMES = {
    "present": {
        "today": "aujourd'hui", "now": "maintenant", "every day": "tous les jours",
        "every morning": "tous les matins", "every evening": "tous les soirs",
    },
    "past": {
        "yesterday": "hier", "this morning": "ce matin", "last week": "la semaine dernière",
        "last year": "l'année dernière", "last month": "le mois dernier",
    },
    "future": {
        "tomorrow": "demain", "this evening": "ce soir", "next week": "la semaine prochaine",
        "next year": "l'année prochaine", "next month": "le mois prochain",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Adjective:
    """One adjective; `vowel` is its masculine before a vowel."""

    english: str
    masculine: str
    feminine: str
    vowel: str
    before: bool  # it stands before the noun

    def form(self, gender: str, plural: bool, before_vowel: bool = False) -> str:
        """As it agrees with a noun."""
        if gender == "f":
            return self.feminine + ("s" if plural else "")
        if plural:
            return plural_of(self.masculine)
        return self.vowel if before_vowel else self.masculine


def plural_of(masculine: str) -> str:
    """A masculine adjective in the plural: grands, gris, heureux, beaux."""
    if masculine.endswith(("s", "x")):
        return masculine
    return masculine + ("x" if masculine.endswith("eau") else "s")


def read_adjectives(table: str, before: bool) -> list[Adjective]:
    """The adjectives of a table above."""
    adjectives = []
    for entry in table.split(","):
        english, masculine, *rest = entry.strip().split("|")
        feminine = rest[0] if rest else masculine.removesuffix("e") + "e"
        vowel = rest[1] if len(rest) > 1 else masculine
        adjectives.append(Adjective(english, masculine, feminine, vowel, before))
    return adjectives


AFTER_NOUN = {
    "thing": read_adjectives(BEHIND, before=False),
    "person": read_adjectives(OF_PERSONS, before=False),
}
BEFORE_NOUN = read_adjectives(BEFORE, before=True)
