# SPDX-License-Identifier: Apache-2.0
"""Where a line of a caption may end, and how good each place is.

The order of places is that of broadcasters' subtitle guides: behind a sentence, behind other
punctuation, before a conjunction, before a preposition; not between an article and its noun, and
never inside a name or a number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from edgestream.captions.line_tables import (
    CONJUNCTIONS,
    COUNTED,
    NUMBERED,
    NUMBERS,
    PARTICLES,
    POWERS,
    PREPOSITIONS,
    SHORTENED,
    SMALL,
    SUFFIXES,
    TAILS,
    TENS,
    TITLES,
    UNITS,
)
from edgestream.captions.shown_text import columns
from edgestream.captions.writing_systems import (
    DASHES,
    QUOTES,
    SOUTHEASTERN,
    UNSPACED,
    ends_clause,
    ends_sentence,
    is_mark,
    is_opener,
    may_part,
)

COLUMNS = 42  # of a line on screen, the usual limit of broadcasters; two lines are a cue
PLACE_COLUMNS = 8  # by which two lines may differ more for the next better place between them
SOUTHEASTERN_WORD = 4  # letters
BRACKETS = "\"')]}»”\u2019\u203a」』\uff09】〉》 "  # that close
CLOSERS = BRACKETS + DASHES
LEADING = "\"'([«“\u2018\u2039"
# Places for a break, the best first; from NEVER on they are taken where there is no other.
SENTENCE, CLAUSE, CONJUNCTION, PREPOSITION, PLAIN, BEHIND_SMALL, IN_PHRASE = range(7)
NEVER, IN_WORD = 20, 40
PRONOUN = re.compile(r"I('\w+)?$")
DOTTED = re.compile(r"([^\W\d]\.)+[^\W\d]$")  # p.m, U.S, z.B
LONGEST_NAME = 5  # words; more capitals in a row are a title


@dataclass(frozen=True, slots=True)
class Unit:
    """A word, or what stands for one where no spaces are written."""

    text: str
    spaced: bool = True  # from the one before


def text_of(units: Sequence[Unit]) -> str:
    """A line of them."""
    return "".join(" " * (unit.spaced and i > 0) + unit.text for i, unit in enumerate(units))


def opened(text: str) -> str:
    """A word as a line begins with it: without punctuation that belongs to what came before."""
    at = 0
    while at < len(text) and is_mark(text[at]) and not is_opener(text[at]):
        follower = text[at + 1 : at + 2]
        quotes = text[at] in QUOTES or unicodedata.category(text[at]) == "Pf"
        if (quotes and not is_mark(follower)) or (text[at] in "-.\u2212" and follower.isdigit()):
            break
        at += 1
    return text if is_mark(text[at:]) else text[at:]


def is_sentence_end(text: str, follower: str) -> bool:
    """Whether a sentence ends with the word `text`, before the word `follower` ("" for none)."""
    core = text.rstrip(CLOSERS)
    if not core:
        return False
    small = follower.lstrip(LEADING)[:1].islower()
    if core.endswith(("...", "\u2026")):
        return not small
    if ends_sentence(core[-1]):
        return not (core != text and small)  # "Why?" he said
    if core[-1] not in ".\uff0e":
        return False
    word = _core(core)
    if word.lower() in NUMBERED:
        return not follower[:1].isdigit()
    if word.lower() in SHORTENED or DOTTED.match(word):
        return False
    if word.isdigit() and len(word) <= 2:
        return False  # as in German, where it makes an ordinal
    return not _is_initial(core)


def place(units: Sequence[Unit], at: int) -> int:
    """How good it is to end a line before `units[at]`, 0 < at < len(units): SENTENCE to IN_WORD."""
    before, after = units[at - 1], units[at]
    if is_mark(before.text) or (is_mark(after.text) and not is_opener(after.text[0])):
        return IN_WORD
    last = before.text.rstrip(BRACKETS)[-1:]
    if not after.spaced:
        if not may_part(before.text, after.text):
            return IN_WORD
        if SOUTHEASTERN.match(before.text[-1]) and SOUTHEASTERN.match(after.text[0]):
            return IN_PHRASE
    if is_sentence_end(before.text, after.text):
        return SENTENCE
    if _is_held(units, at):
        return NEVER
    if last and ends_clause(last):
        return CLAUSE
    word, next_word = _core(before.text).lower(), _core(after.text).lower()
    if next_word in CONJUNCTIONS and word not in SMALL:
        return CONJUNCTION
    if next_word in PREPOSITIONS and word not in SMALL:
        return PREPOSITION
    return BEHIND_SMALL if word in SMALL else PLAIN


def wrapped(units: Sequence[Unit], worst: int = IN_WORD) -> tuple[str, ...] | None:
    """One line if it fits, else two that do, at a good place and about as long; else None.

    `worst`: the worst place at which a line may end.
    """
    whole = text_of(units)
    if columns(whole) <= COLUMNS:
        return (whole,)
    if columns(whole) > 2 * COLUMNS:
        return None
    best: tuple[float, tuple[str, ...]] | None = None
    for at in range(1, len(units)):
        lines = text_of(units[:at]), text_of(units[at:])
        widths = [columns(line) for line in lines]
        if max(widths) <= COLUMNS and (quality := place(units, at)) <= worst:
            cost = abs(widths[0] - widths[1]) + PLACE_COLUMNS * quality
            if best is None or cost < best[0]:
                best = cost, lines
    return best[1] if best else None


def words_in(units: Sequence[Unit]) -> int:
    """How many words a reader counts; where no spaces are written, by characters."""
    total = 0.0
    for unit in units:
        letters = len(SOUTHEASTERN.findall(unit.text))
        unspaced = len(UNSPACED.findall(unit.text)) - letters + letters / SOUTHEASTERN_WORD
        total += unspaced or not is_mark(unit.text)
    return int(total)


def _is_held(units: Sequence[Unit], at: int) -> bool:
    """Whether the place is inside a name or a number."""
    before, after = units[at - 1].text, units[at].text
    word, next_word = _core(before), _core(after)
    if next_word.lower() in TAILS or (next_word.lower() in SUFFIXES and _is_capital(before)):
        return True  # King, Jr.
    if _is_initial(before) or (word.lower() in TITLES and _is_capital(after)):
        return True
    if _holds_number(units, at):
        return True
    if before[-1:] in ",;:?!":
        return False
    if word.lower() in PARTICLES:
        return at > 1 and _is_capital(units[at - 2].text) and _is_capital(after)
    if not _is_capital(before):
        return False
    if next_word.lower() in PARTICLES:
        return at + 1 < len(units) and _is_capital(units[at + 1].text)
    return _is_capital(after) and _name_length(units, at) <= LONGEST_NAME


def _holds_number(units: Sequence[Unit], at: int) -> bool:
    before, word, next_word = units[at - 1].text, _core(units[at - 1].text), _core(units[at].text)
    digits, next_digits = word[-1:].isdigit(), next_word[:1].isdigit()
    if before[-1:] in ",;:?!":
        return False
    lower, next_lower = word.lower(), next_word.lower()
    if _is_sum(units, at):
        return True
    if next_digits:
        named = word[:1].isupper() and not PRONOUN.match(word)
        return digits or named or lower in COUNTED | NUMBERED
    if digits:  # 5 million, 5 May
        month = len(word) <= 2 and _is_capital(next_word)
        return next_lower in UNITS | NUMBERS or month
    if lower not in NUMBERS:
        return False
    compound = lower in TENS | POWERS and next_lower in NUMBERS
    return compound or next_lower in POWERS | UNITS


def _is_sum(units: Sequence[Unit], at: int) -> bool:
    """Two hundred and five."""
    for i in (at, at - 1):
        around = [_core(unit.text).lower() for unit in units[max(0, i - 1) : i + 2]]
        if i > 0 and len(around) == 3 and around[1] == "and" and around[0] in POWERS:
            return around[2] in NUMBERS or around[2].isdigit()
    return False


def _name_length(units: Sequence[Unit], at: int) -> int:
    """Capitalised words in a row around a place."""
    first, end = at, at
    while first > 0 and _is_capital(units[first - 1].text):
        first -= 1
    while end < len(units) and _is_capital(units[end].text):
        end += 1
    return end - first


@lru_cache(maxsize=1 << 10)
def _is_capital(text: str) -> bool:
    word = _core(text)
    shouted = len(word) > 1 and word.isupper()
    return word[:1].isupper() and not shouted and not PRONOUN.match(word)


def _is_initial(text: str) -> bool:
    """J. F. Kennedy, z. B."""
    word = text.lstrip(LEADING)
    return len(word) == 2 and word[1] == "." and word[0].isalpha()


@lru_cache(maxsize=1 << 10)
def _core(text: str) -> str:
    """A word without the punctuation around it."""
    first, end = 0, len(text)
    while first < end and is_mark(text[first]):
        first += 1
    while end > first and is_mark(text[end - 1]):
        end -= 1
    return text[first:end]
