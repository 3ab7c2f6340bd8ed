# SPDX-License-Identifier: Apache-2.0
"""What a public speech model says of itself: config.json, generation_config.json, tokenizer.json.

They are transformers' files, as the model's makers published them, and untrusted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgestream.errors import ModelError

CONFIG, GENERATION, TOKENIZER = "config.json", "generation_config.json", "tokenizer.json"
JSON_LIMIT_BYTES = 64 << 20  # the largest real tokenizer.json has a quarter of it
RATE_HZ = 16000  # of both kinds
WINDOW_MS = 30000  # that Whisper hears at most
MAX_VOCAB = 1 << 20
KINDS = ("whisper", "moonshine")


@dataclass(frozen=True, slots=True)
class SpeechConfig:
    """An encoder-decoder for speech: `kind` is whisper or moonshine.

    Places in a window are tokens from `first_time` on, 20 ms apart, where the model writes them.
    """

    kind: str
    n_mels: int  # 0: it hears samples
    n_vocab: int
    max_tokens: int  # that the decoder has positions for
    start: int
    end: int
    languages: dict[str, int]
    tasks: dict[str, int]
    previous: int | None  # before text that came earlier
    no_speech: int | None
    no_times: int | None
    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]
    max_first_time: int | None

    @property
    def first_time(self) -> int | None:
        """The token of the window's start."""
        return None if self.no_times is None else self.no_times + 1


def read_speech_config(folder: Path) -> SpeechConfig:
    """Reads and checks config.json and, where it is there, generation_config.json.

    Raises:
        ModelError: missing, damaged or of another kind of model; one line with file and key.
    """
    model = _Table(folder / CONFIG, read_json(folder / CONFIG))
    kind = model.data.get("model_type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ModelError(
            f"{folder / CONFIG}: model_type {kind!r:.80} does not run as it is, only"
            f" {' and '.join(KINDS)} do; try: edgestream convert {folder} -o NEW"
        )
    generation = model
    if (folder / GENERATION).exists():
        generation = _Table(folder / GENERATION, read_json(folder / GENERATION))
    whisper, n_vocab = kind == "whisper", model.integer("vocab_size", 1, MAX_VOCAB)
    no_times = generation.token("no_timestamps_token_id", n_vocab) if whisper else None
    positions = "max_target_positions" if whisper else "max_position_embeddings"
    return SpeechConfig(
        kind=kind,
        n_mels=model.integer("num_mel_bins", 1, 512) if whisper else 0,
        n_vocab=n_vocab,
        max_tokens=model.integer(positions, 8, 1 << 16),
        start=model.integer("decoder_start_token_id", 0, n_vocab - 1),
        end=model.integer("eos_token_id", 0, n_vocab - 1),
        languages=_bare(generation.tokens("lang_to_id", n_vocab)),
        tasks=generation.tokens("task_to_id", n_vocab),
        previous=generation.token("prev_sot_token_id", n_vocab),
        no_speech=no_times - 1 if no_times else None,  # its place in every Whisper's vocabulary
        no_times=no_times,
        suppressed=generation.list_of_tokens("suppress_tokens", n_vocab),
        suppressed_first=generation.list_of_tokens("begin_suppress_tokens", n_vocab),
        max_first_time=generation.token("max_initial_timestamp_index", n_vocab),
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of reasonable size; raises ModelError otherwise."""
    try:
        if path.stat().st_size > JSON_LIMIT_BYTES:
            raise ModelError(f"{path}: larger than {JSON_LIMIT_BYTES} bytes, not a {path.name}")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; a speech model needs it") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not valid JSON ({error})".replace("\n", " ")[:300]) from None
    if not isinstance(data, dict):
        raise ModelError(f"{path}: must be a JSON object")
    return data


@dataclass(frozen=True, slots=True)
class _Table:
    """A JSON object whose values are looked up by key and checked."""

    path: Path
    data: dict[str, Any]

    def integer(self, key: str, low: int, high: int) -> int:
        value = self.data.get(key)
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(key, f"an integer from {low} to {high}")
        return value

    def token(self, key: str, n_vocab: int) -> int | None:
        return None if self.data.get(key) is None else self.integer(key, 0, n_vocab - 1)

    def tokens(self, key: str, n_vocab: int) -> dict[str, int]:
        table = self.data.get(key) or {}
        if not isinstance(table, dict) or not all(_is_token(t, n_vocab) for t in table.values()):
            raise self._wrong(key, "a table of tokens")
        return table

    def list_of_tokens(self, key: str, n_vocab: int) -> tuple[int, ...]:
        tokens = self.data.get(key) or []
        if not isinstance(tokens, list) or not all(_is_token(t, n_vocab) for t in tokens):
            raise self._wrong(key, "a list of tokens")
        return tuple(tokens)

    def _wrong(self, key: str, wanted: str) -> ModelError:
        return ModelError(f"{self.path}: {key} is {self.data.get(key)!r}"[:200] + f", not {wanted}")


def _is_token(value: object, n_vocab: int) -> bool:
    return type(value) is int and 0 <= value < n_vocab


def _bare(languages: dict[str, int]) -> dict[str, int]:
    return {name.removeprefix("<|").removesuffix("|>"): token for name, token in languages.items()}


@cache
def byte_table() -> dict[str, int]:
    """The printable character that GPT-2's vocabulary has for each byte (Radford et al. 2019)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(others)}


def read_token_bytes(folder: Path, config: SpeechConfig) -> list[bytes]:
    """The text of each token in UTF-8, maybe a part of a character; empty for special tokens."""
    path = folder / TOKENIZER
    data = read_json(path)
    model = data.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocab, dict) or not vocab:
        raise ModelError(
            f"{path}: has no model.vocab, a table of pieces; is it another tokenizer's?"
        )
    texts, to_bytes = [b""] * config.n_vocab, _from_gpt2 if config.n_mels else _from_sentencepiece
    for piece, token in vocab.items():
        if not _is_token(token, config.n_vocab):
            raise ModelError(f"{path}: token {token!r} is beyond the {config.n_vocab} of {CONFIG}")
        texts[token] = to_bytes(piece)
    for added in data.get("added_tokens") or []:
        if isinstance(added, dict) and _is_token(added.get("id"), config.n_vocab):
            texts[added["id"]] = b""
    return texts


def _from_gpt2(piece: str) -> bytes:
    table = byte_table()
    return (
        bytes(table[c] for c in piece)
        if all(c in table for c in piece)
        else piece.encode("utf-8", "replace")
    )


def _from_sentencepiece(piece: str) -> bytes:
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        try:
            return bytes([int(piece[3:5], 16)])
        except ValueError:
            pass
    return piece.replace("\u2581", " ").encode("utf-8", "replace")
