# SPDX-License-Identifier: Apache-2.0
"""Which tokens begin a word."""

from __future__ import annotations

from edgestream._native import GgufModel

UNSPACED = ("ja", "km", "lo", "my", "th", "zh")  # written without spaces: each token counts as one
# A space, a newline and a tab, as vocabularies write them.
BEGINNINGS = ("\u2581", "\u0120", "\u010a", "\u0109", " ", "\n", "\t")


def word_beginnings(weights: GgufModel, language: str) -> list[bool]:
    """Of each token of a model whether a word of the language begins with it; or none, where words
    cannot be told."""
    texts = [] if language in UNSPACED else weights.token_texts()
    begins = [text.startswith(BEGINNINGS) for text in texts]
    return begins if any(begins) else []
