# SPDX-License-Identifier: Apache-2.0
"""Words as sentences, which are what is translated; lines of captions are often half of one."""

from __future__ import annotations

from edgestream.captions.line_breaks import CLOSERS, is_sentence_end
from edgestream.captions.writing_systems import ends_clause

MOST_WORDS = 40  # of a sentence; longer ones are translated in parts
CLAUSE_WORDS = 24  # from so many on a clause's end will do


def ends_part(word: str, n_words: int) -> bool:
    """Whether what is translated as one ends with `word`, its `n_words`-th.

    By the words alone: the same text is cut in the same way, however it came.
    """
    if n_words >= MOST_WORDS or is_sentence_end(word, ""):
        return True
    last = word.rstrip(CLOSERS)[-1:]
    return n_words >= CLAUSE_WORDS and bool(last) and ends_clause(last)
