# SPDX-License-Identifier: Apache-2.0
"""French words in a row: vowels that fall out, articles that melt into what is before them."""

from __future__ import annotations

from dataclasses import dataclass, replace

ELIDED = {"je": "j'", "ne": "n'", "me": "m'", "le": "l'", "la": "l'", "de": "d'", "que": "qu'"}
BEFORE_VOWEL = {"ma": "mon", "sa": "son", "ce": "cet"}  # ma école: mon école
MELTED = {("à", "le"): "au", ("à", "les"): "aux", ("de", "le"): "du", ("de", "les"): "des"}
VOWELS = "aeiouyâàéèêëîïôœùû"
NOT_ELIDED_BEFORE = {"onze", "huit"}
SILENT_H = ("homme", "horloge", "hôtel", "hôpital", "hôpitaux", "histoire", "hier", "henri")


@dataclass(frozen=True, slots=True)
class French:
    """One word.

    `needs` is the number of the last English word that has to be read before it is known.
    """

    text: str
    needs: int
    glued: bool = False  # no space before it
    article: bool = False  # le, la, les before a noun; as a pronoun they do not melt


def begins_with_vowel(text: str) -> bool:
    """Whether vowels fall out before the word."""
    lower = text.lower()
    if lower in NOT_ELIDED_BEFORE:
        return False
    return lower.startswith(tuple(VOWELS)) or lower.startswith(SILENT_H)


def joined(words: list[French]) -> list[French]:
    """The words as they are written one behind the other."""
    done: list[French] = []  # from behind
    for word in reversed(words):
        following = done[-1] if done else None
        if following is None:
            done.append(word)
            continue
        asks = word.text in ELIDED or word.text in BEFORE_VOWEL or word.text == "à"
        if asks:  # how it is written hangs on what follows
            word = replace(word, needs=max(word.needs, following.needs))
        vowel = begins_with_vowel(following.text)
        melted = MELTED.get((word.text, following.text)) if following.article else None
        if vowel and word.text in ELIDED:
            done[-1] = replace(following, glued=True)
            word = replace(word, text=ELIDED[word.text])
        elif vowel and word.text in BEFORE_VOWEL:
            word = replace(word, text=BEFORE_VOWEL[word.text])
        elif melted:
            done.pop()
            word = replace(word, text=melted)
        done.append(word)
    return done[::-1]


def written(words: list[French]) -> str:
    """As a text."""
    return "".join(("" if word.glued else " ") + word.text for word in words).strip()
