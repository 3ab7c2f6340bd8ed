# SPDX-License-Identifier: Apache-2.0
"""Numbers in digits as the words that an English speaker says for them."""

from __future__ import annotations

import re

NUMBER = re.compile(
    r"(?P<whole>\d[\d,]*)(?:\.(?P<places>\d+))?(?P<ending>st|nd|rd|th|s)?", re.ASCII
)
ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
POWERS = [(10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")]
TOO_LARGE = 10**12  # from here on it is read digit by digit, as codes are
IRREGULAR = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
# Behind these, an "and" before more of the number is said by some and left out by others.
BEFORE_AND = frozenset(name for _, name in POWERS)
PARTS = frozenset([*ONES, *TENS])


def number_words(token: str) -> list[str] | None:
    """The words of `42`, `1,450`, `3.5`, `15th` or `1970s`; None if it is no number.

    Four digits without a comma are read as a year where years are read in pairs: 1450 is fourteen
    fifty, 1,450 is one thousand four hundred fifty.
    """
    found = NUMBER.fullmatch(token)
    if not found:
        return None
    whole, digits = found["whole"], found["whole"].replace(",", "")
    value = int(digits) if len(digits) <= len(str(TOO_LARGE)) else TOO_LARGE
    if value >= TOO_LARGE:
        words = [ONES[int(digit)] for digit in digits]
    else:
        words = _year(value) if len(whole) == 4 else _cardinal(value)
    if found["places"]:
        words += ["point", *(ONES[int(digit)] for digit in found["places"])]
    if ending := found["ending"]:
        words[-1] = _plural(words[-1]) if ending == "s" else _ordinal(words[-1])
    return words


def _cardinal(value: int) -> list[str]:
    if value < 20:
        return [ONES[value]]
    if value < 100:
        tens, ones = divmod(value, 10)
        return [TENS[tens - 2], *([ONES[ones]] if ones else [])]
    size, name = next((size, name) for size, name in POWERS if value >= size)
    count, rest = divmod(value, size)
    return [*_cardinal(count), name, *(_cardinal(rest) if rest else [])]


def _year(value: int) -> list[str]:
    """In pairs from 1100 to 2099, but for 2000 to 2009."""
    if not 1100 <= value < 2100 or 2000 <= value < 2010:
        return _cardinal(value)
    century, rest = divmod(value, 100)
    if not rest:
        return [*_cardinal(century), "hundred"]
    return [*_cardinal(century), *(["oh"] if rest < 10 else []), *_cardinal(rest)]


def _ordinal(word: str) -> str:
    return IRREGULAR.get(word) or (f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th")


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
