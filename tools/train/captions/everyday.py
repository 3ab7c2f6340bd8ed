# SPDX-License-Identifier: Apache-2.0
"""Everyday sentences from a context-free grammar, for speech that dictionaries do not quote."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

SLOT = re.compile(r"\{(\w+)\}")
ARTICLE = re.compile(r"\ba (?=[aeiou](?!ne\b|nce\b|ni|se|ro))")
GRAMMAR = Path(__file__).with_name("everyday.grammar")
START = "sentence"


def read_grammar(path: Path = GRAMMAR) -> dict[str, list[str]]:
    """Rules by name; raises ValueError for a slot without a rule."""
    rules: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, choices = line.partition(" = ")
            rules[name] = [choice.strip().lower() for choice in choices.split(" | ")]
    for name, choices in rules.items():
        for slot in SLOT.findall(" ".join(choices)):
            if slot not in rules:
                raise ValueError(f"{path}: rule {name!r} uses {{{slot}}}, which has no rule")
    return rules


def everyday_sentence(rules: dict[str, list[str]], rng: Random) -> str:
    """One sentence, lower case, ending in a full stop or a question mark."""
    text = "{" + START + "}"
    while match := SLOT.search(text):
        text = text[: match.start()] + rng.choice(rules[match[1]]) + text[match.end() :]
    return ARTICLE.sub("an ", text)
