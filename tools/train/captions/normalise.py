# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: SIM905 - long word lists read better as text
"""Written English to what is spoken and captioned: lower case a-z, apostrophe and , . ? only."""

from __future__ import annotations

import html
import re

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
).split()
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = [(1_000_000, "million"), (1000, "thousand"), (100, "hundred")]
LARGEST = 999_999_999
YEARS = range(1100, 2100)  # four figures read in pairs
UNREADABLE = "#"  # makes `is_usable` refuse the sentence
MAX_WORD_LETTERS = 14
REPLACED = [
    ("\u2019", "'"), ("\u2014", ", "), ("\u2013", ", "), ("--", ", "), ("%", " percent"),
    ("&", " and "), ("Mr.", "mister"), ("Mrs.", "missus"), ("Dr.", "doctor"),
    ("e.g.", "for example"), ("i.e.", "that is"), ("etc.", "et cetera"),
]  # fmt: skip
PATTERNS = [
    (r"[\"\u201c\u201d()\[\]{}*_]", " "),
    (r"[;:]", ","),
    (r"!", "."),
    (r"(\w)-(\w)", r"\1 \2"),
    (r"(^| )'(\w[^']*)'(?=[ ,.?]|$)", r"\1\2"),  # quoted words
    (r"\s+", " "),
    (r" ([,.?])", r"\1"),
    (r"[,.]+([.?])", r"\1"),
    (r"\.+", "."),
    (r",+", ","),
]
USABLE = re.compile(r"[a-z',.? ]+")
WORD = re.compile(r"[a-z']+")
NUMBER = re.compile(r"\d{1,3}(,\d{3})+|\d+")


def number_words(n: int) -> str:
    """42 -> "forty two"."""
    if n < len(ONES):
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + (f" {ONES[n % 10]}" if n % 10 else "")
    for scale, name in SCALES:
        if n >= scale:
            rest = f" {number_words(n % scale)}" if n % scale else ""
            return f"{number_words(n // scale)} {name}{rest}"
    raise ValueError(f"cannot read {n}")


def year_words(n: int) -> str:
    """1969 -> "nineteen sixty nine"."""
    if n % 1000 < 10:
        return number_words(n)
    low = n % 100
    if low == 0:
        return f"{number_words(n // 100)} hundred"
    return f"{number_words(n // 100)} {'oh ' if low < 10 else ''}{number_words(low)}"


def _read_number(match: re.Match[str]) -> str:
    figures = match.group(0)
    n = int(figures.replace(",", ""))
    if n > LARGEST:
        return UNREADABLE
    return year_words(n) if len(figures) == 4 and n in YEARS else number_words(n)


def normalise(text: str) -> str:
    """Spoken form of one sentence, ending in a full stop or a question mark."""
    text = html.unescape(text)
    for written, spoken in REPLACED:
        text = text.replace(written, spoken)
    text = NUMBER.sub(_read_number, text).lower()
    for pattern, replacement in PATTERNS:
        text = re.sub(pattern, replacement, text)
    text = text.strip(" ,'")
    return text if text.endswith((".", "?")) else f"{text}."


def is_usable(text: str, known: set[str], min_words: int, max_words: int) -> bool:
    """Whether a normalised text has only known words and a fit length."""
    words = WORD.findall(text)
    if not USABLE.fullmatch(text) or not min_words <= len(words) <= max_words:
        return False
    for word in words:
        plain = word.strip("'")
        if plain.removesuffix("'s") not in known and plain not in known:
            return False
        if len(word) > MAX_WORD_LETTERS or (len(plain) == 1 and plain not in "aio"):
            return False
    return True
