# SPDX-License-Identifier: Apache-2.0
"""Whisper's special tokens: those that generation_config.json lacks, out of tokenizer.json.

Their texts are those of Whisper's reference tokenizer (Radford et al. 2022, github.com/openai/
whisper, whisper/tokenizer.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgestream.library.json_file import read_json

START, END = "<|startoftranscript|>", "<|endoftext|>"
TRANSLATE, TRANSCRIBE = "<|translate|>", "<|transcribe|>"
# Keys of generation_config.json.
SINGLE = {"no_timestamps_token_id": "<|notimestamps|>", "prev_sot_token_id": "<|startofprev|>"}
TASKS, LANGUAGES, MULTILINGUAL = "task_to_id", "lang_to_id", "is_multilingual"
N_MULTILINGUAL = 51865  # tokens, from which on a Whisper knows languages


def added_tokens(folder: Path, file: str, n_vocab: int) -> dict[str, int]:
    """The added tokens of tokenizer.json by their text; none if there is no such file.

    Raises ModelError if it is damaged.
    """
    if not (folder / file).is_file():
        return {}
    added = read_json(folder / file).get("added_tokens")
    found: dict[str, int] = {}
    for each in added if isinstance(added, list) else []:
        text, token = (each.get("content"), each.get("id")) if isinstance(each, dict) else (0, 0)
        if isinstance(text, str) and type(token) is int and 0 <= token < n_vocab:
            found[text] = token
    return found


def is_complete(generation: Mapping[str, Any], n_vocab: int) -> bool:
    """Whether generation_config.json has every key that completed() could add."""
    wanted = [*SINGLE, *((TASKS, LANGUAGES) if _knows_languages(generation, n_vocab) else ())]
    return all(generation.get(key) is not None for key in wanted)


def completed(
    generation: Mapping[str, Any], added: Mapping[str, int], n_vocab: int
) -> dict[str, Any]:
    """generation_config.json with what it lacks and the added tokens know."""
    found: dict[str, Any] = {key: added[text] for key, text in SINGLE.items() if text in added}
    if _knows_languages(generation, n_vocab) and {START, TRANSLATE, TRANSCRIBE} <= set(added):
        between = range(added[START] + 1, min(added[TRANSLATE], added[TRANSCRIBE]))
        found[LANGUAGES] = {text: token for text, token in added.items() if token in between}
        found[TASKS] = {"transcribe": added[TRANSCRIBE], "translate": added[TRANSLATE]}
    given = {key: value for key, value in generation.items() if value is not None}
    return {MULTILINGUAL: _knows_languages(generation, n_vocab), **found, **given}


def _knows_languages(generation: Mapping[str, Any], n_vocab: int) -> bool:
    """As the file says, else by the size of the vocabulary: an English one has tokens of
    languages too, but was not trained with them."""
    said = generation.get(MULTILINGUAL)
    return said if isinstance(said, bool) else n_vocab >= N_MULTILINGUAL
