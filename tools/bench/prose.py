# SPDX-License-Identifier: Apache-2.0
"""Text to read: of files given on the command line, or of what ships with edgestream."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "edgestream" / "data", ROOT / "docs")
NOT_PROSE = ("|", "#", "!", "<", "```", "    ")  # how lines of Markdown that nobody would say begin


def read_texts(paths: Iterable[Path]) -> dict[str, str]:
    """The texts by their files' names; without paths those of edgestream/data and docs/.

    Of Markdown only the paragraphs and lists: no tables, headings, pictures or programs.
    """
    chosen = list(paths) or shipped()
    texts = {path.name: path.read_text(encoding="utf-8") for path in chosen}
    return {
        name: (prose(text) if name.endswith(".md") else " ".join(text.split()))
        for name, text in texts.items()
    }


def shipped() -> list[Path]:
    """Files of text that the repository has, always in the same order."""
    return [
        path
        for folder in SHIPPED
        for path in sorted(folder.iterdir())
        if path.suffix in (".txt", ".md")
    ]


def prose(markdown: str) -> str:
    """What of Markdown reads as sentences, a paragraph a line."""
    without_code = re.sub(r"```.*?```", "\n", markdown, flags=re.DOTALL)
    paragraphs = re.split(r"\n\s*\n", without_code)
    kept = []
    for paragraph in paragraphs:
        lines = [line for line in paragraph.splitlines() if not line.startswith(NOT_PROSE)]
        text = " ".join(" ".join(lines).split())
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "").replace("**", "")
        if text:
            kept.append(text)
    return "\n".join(kept)


def words(texts: dict[str, str], n_words: int) -> str:
    """The first `n_words` words of all texts, one after the other."""
    rest, taken = n_words, []
    for text in texts.values():
        own = text.split(" ")[:rest]
        taken.append(" ".join(own))
        rest -= len(own)
        if rest <= 0:
            break
    return "\n".join(taken)
