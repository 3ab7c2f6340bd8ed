# SPDX-License-Identifier: Apache-2.0
"""How scripts part words, sentences and lines: Unicode's rules (UAX #14, #29), by uniseg.

Languages without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) would need a dictionary for
their words. Instead a token of the model is a word, as in Whisper's own `split_to_word_tokens`
(openai/whisper, tokenizer.py), with the punctuation and the marks that belong to it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_EASTERN = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f"
    "\U00020000-\U0003ffff"
)  # ideographs and kana
_SOUTHEASTERN = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17d3\u17d7-\u17ff\u1950-\u19df\u1a20-\u1aad"
    "\ua9e0-\ua9ff\uaa60-\uaa7f"
)  # Thai, Lao, Burmese, Khmer, Tai
KATAKANA = re.compile("[\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
UNSPACED = re.compile(f"[{_EASTERN}{_SOUTHEASTERN}]")
SOUTHEASTERN = re.compile(f"[{_SOUTHEASTERN}]")
# Letters without which the next or the one before is none, though Unicode takes them for whole
# characters: vowels of Thai and Lao, and what joins consonants of Khmer, Burmese and Tai Tham.
BINDING = re.compile("[\u0e40-\u0e44\u0ec0-\u0ec4\u17d2\u1039\u1a60]")
BOUND = re.compile("[\u0e2f\u0e30\u0e32\u0e33\u0e45\u0e46\u0eaf\u0eb0\u0eb2\u0eb3\u0ec6]")
NO_STARTERS = ("CJ", "NS", "EX", "CL", "CP")  # classes of UAX #14 that begin no line
JOINERS = "\u200c\u200d"
OPENING_CATEGORIES = ("Ps", "Pi")
OPENERS = "\u00bf\u00a1"  # of Spanish
QUOTES = "\"'"  # that open and close
DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
SPOKEN_MARKS = "&@#%\u00a7\u2030"  # punctuation by Unicode, words to a speaker
CLAUSE_MARKS = ",;:\u2026\u061b\u1363\u1364\u1365\u2014\u2013"  # beside Unicode's SContinue


def is_mark(text: str) -> bool:
    """Whether it is punctuation and nothing else; so is the empty text."""
    return all(_is_punctuation(c) for c in text)


def is_opener(c: str) -> bool:
    """Whether the mark stands before a word."""
    return c in OPENERS or unicodedata.category(c) in OPENING_CATEGORIES


def _is_punctuation(c: str) -> bool:
    if c in SPOKEN_MARKS:
        return False
    return c.isspace() or unicodedata.category(c)[0] in "PMC" or c in "`\u00b4~^\u2212"


def ends_sentence(c: str) -> bool:
    """Whether the mark ends a sentence in its script, whatever stands around it; a full stop, which
    may end an abbreviation, does not."""
    if c.isascii():
        return c in "?!"
    return unicodedata.category(c) == "Po" and _sentence_break(c) == "STERM"


def ends_clause(c: str) -> bool:
    """Whether the mark ends a part of a sentence."""
    if c in CLAUSE_MARKS:
        return True
    return not c.isascii() and c not in DASHES and _sentence_break(c) == "SCONTINUE"


def starts_word(before: str, c: str, *, token_start: bool) -> bool:
    """Whether character `c` begins a word though no space parts it from the text `before`.

    `token_start`: a token of the model begins with it.
    """
    last = before[-1]
    if c.isascii() and last.isascii() and last not in "?!":
        return False
    if unicodedata.category(c)[0] == "M" or c in JOINERS or _is_bound(last, c):
        return False
    if not (UNSPACED.match(c) or UNSPACED.search(before)):
        return not (last.isascii() or _is_punctuation(c)) and ends_sentence(last)
    if _is_punctuation(c):
        return is_opener(c) and not is_opener(last)
    if _is_punctuation(last) and unicodedata.category(last)[0] != "M" and last not in JOINERS:
        return not is_opener(last) and last not in QUOTES
    if _line_class(c) in NO_STARTERS:
        return False  # ー and small kana
    if KATAKANA.match(last) and KATAKANA.match(c):
        return False  # a word by UAX #29
    both = UNSPACED.match(last) and UNSPACED.match(c)
    if not both and (last.isdigit() or c.isdigit()):
        return False  # 5月3日, not inside a number
    return token_start and bool(UNSPACED.match(last) or UNSPACED.match(c))


def words_of(text: str) -> list[tuple[str, bool]]:
    """Words of a whole text, and whether a space stands before each."""
    words: list[tuple[str, bool]] = []
    for chunk in text.split():
        part, spaced = "", bool(words)
        for cluster in clusters(chunk):
            if part and starts_word(part, cluster[0], token_start=True):
                words.append((part, spaced))
                part, spaced = "", False
            part += cluster
        words.append((part, spaced))
    return words


@lru_cache(maxsize=1 << 12)
def may_part(before: str, after: str) -> bool:
    """Whether a line may end between two words that no space parts (UAX #14)."""
    from uniseg.linebreak import line_break_boundaries

    if not UNSPACED.match(before[-1]) and not UNSPACED.match(after[0]):
        return False  # a long word that was cut
    if SOUTHEASTERN.match(before[-1]) and SOUTHEASTERN.match(after[0]):
        return True  # UAX #14 leaves these to dictionaries
    return len(before) in line_break_boundaries(before + after)


def clusters(text: str) -> Sequence[str]:
    """What a reader takes for single characters (UAX #29), no Thai vowel without its letter."""
    if text.isascii():
        return text
    from uniseg.graphemecluster import grapheme_clusters

    found: list[str] = []
    for cluster in grapheme_clusters(text):
        if found and _is_bound(found[-1][-1], cluster[0]):
            found[-1] += cluster
        else:
            found.append(cluster)
    return found


def _is_bound(last: str, c: str) -> bool:
    return bool(BINDING.match(last) or BOUND.match(c))


@lru_cache(maxsize=1 << 12)
def _line_class(c: str) -> str:
    from uniseg.linebreak import line_break

    return str(line_break(c).name)


@lru_cache(maxsize=1 << 10)
def _sentence_break(c: str) -> str:
    from uniseg.sentencebreak import sentence_break

    return str(sentence_break(c).name)
