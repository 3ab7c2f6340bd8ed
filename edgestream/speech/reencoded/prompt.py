# SPDX-License-Identifier: Apache-2.0
"""A text that came before, as tokens of a Whisper: byte-level BPE out of tokenizer.json.

Words are cut as GPT-2 cuts them and their bytes are merged by rank (Radford et al. 2019).
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from edgestream.errors import ModelError, UsageError
from edgestream.library.byte_letters import BYTE_LETTERS
from edgestream.library.json_file import Fields, read_json
from edgestream.speech.reencoded.config import TOKENIZER, SpeechConfig

MAX_TOKENS = 223  # of a prompt, the newest ones, as Whisper's reference decoder takes them
# Contractions, then letters, digits or others with a space before them, then spaces.
WORD = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def prompt_tokens(folder: Path, config: SpeechConfig, text: str) -> list[int]:
    """The tokens that put `text` before a transcript; none for a text of spaces.

    Raises:
        UsageError: the model knows no text before the transcript.
        ModelError: its tokenizer.json has no merges.
    """
    if config.previous is None:
        raise UsageError(f"{folder.name}: knows no prompt; leave it out")
    if not text.strip():
        return []
    path = folder / TOKENIZER
    data = read_json(path)
    model = data.get("model")
    model = model if isinstance(model, dict) else {}
    vocab, ranks = model.get("vocab"), _ranks(model.get("merges"), path)
    fields = Fields(data, str(path))
    fields.refuse("normalizer")
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        fields.table("model").refuse(name, "")
    fields.table("model").refuse("ignore_merges", False)
    fields.table("pre_tokenizer").refuse("type", "ByteLevel")
    if not isinstance(vocab, dict):
        raise ModelError(f"{path}: has no model.vocab")
    tokens: list[Any] = []
    for word in WORD.findall(" " + text.strip()):
        pieces = [BYTE_LETTERS[byte] for byte in word.encode("utf-8", "replace")]
        tokens += [vocab.get(piece) for piece in _merged(pieces, ranks)]
    if not all(type(token) is int and 0 <= token < config.n_vocab for token in tokens):
        raise ModelError(f"{path}: merges make pieces that are no tokens")
    return [config.previous, *tokens[-MAX_TOKENS:]]


def _ranks(merges: Any, path: Path) -> dict[tuple[str, str], int]:
    """The rank of each pair; "a b" in older files, ["a", "b"] in newer ones."""
    if not isinstance(merges, list):
        raise ModelError(f"{path}: has no model.merges, a list of pairs")
    pairs = [tuple(each.split(" ") if isinstance(each, str) else each) for each in merges]
    if not all(len(pair) == 2 and all(isinstance(p, str) for p in pair) for pair in pairs):
        raise ModelError(f"{path}: model.merges must be pairs")
    return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


def _merged(pieces: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Joins the neighbours of the lowest rank until no pair has one."""
    while len(pieces) > 1:
        pairs = list(pairwise(pieces))
        best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        i = pairs.index(best)
        pieces = [*pieces[:i], "".join(best), *pieces[i + 2 :]]
    return pieces
