# SPDX-License-Identifier: Apache-2.0
"""Written text as whole sentences: small models stop in the middle, and say things twice."""

from __future__ import annotations

from edgestream.captions.line_breaks import is_sentence_end

CUT = "\u2026"  # stands where no sentence was whole


def sentences(text: str) -> tuple[list[str], str]:
    """The whole sentences of a text, and the rest that no sentence end follows."""
    whole: list[str] = []
    words: list[str] = []
    given = text.split()
    for at, word in enumerate(given):
        words.append(word)
        if is_sentence_end(word, given[at + 1] if at + 1 < len(given) else ""):
            whole.append(" ".join(words))
            words = []
    return whole, " ".join(words)


def tidy(text: str, *, cut_off: bool) -> str:
    """What is kept of a text that a model wrote, on one line.

    "It is late. It is late. It is" becomes "It is late.": a sentence is said once, and a text that
    a limit `cut_off` ends with its last whole sentence. Where there is none, the last word, which
    may be half of one, makes room for a sign. It also ends before a bracket: what a model wrote
    before stands in its memory in brackets, and small ones go on in that way.
    """
    before, bracket, _ = text.partition("[")
    if bracket and before.strip():
        text, cut_off = before, False
    whole, rest = sentences(text)
    once = list(dict.fromkeys(whole))
    if cut_off and not once:
        words = rest.split()[:-1]
        return f"{' '.join(words)}{CUT}" if words else ""
    if rest and not cut_off and not any(said.startswith(rest) for said in once):
        once.append(rest)
    return " ".join(once)
