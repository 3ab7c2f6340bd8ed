# SPDX-License-Identifier: Apache-2.0
"""What a public speech model says of itself: config.json, generation_config.json, tokenizer.json.

They are transformers' files, as the model's makers published them, and untrusted. Folders of
Moonshine's makers have tokenizer.bin and none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgestream.errors import ModelError
from edgestream.library.byte_letters import LETTER_BYTES
from edgestream.library.json_file import Fields, read_json
from edgestream.speech.reencoded import binary_tokenizer
from edgestream.speech.reencoded.special_tokens import added_tokens, completed, is_complete

CONFIG, GENERATION, TOKENIZER = "config.json", "generation_config.json", "tokenizer.json"
RATE_HZ = 16000  # of both kinds
WINDOW_MS = 30000  # that Whisper hears at most
MAX_VOCAB = 1 << 20
MAX_HEADS = 1 << 10  # in a layer; layers of a model
KINDS = ("whisper", "moonshine")
MOONSHINE_TOKENS = 194  # that the decoder of every published Moonshine has positions for
T = TypeVar("T")


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
    alignment_heads: tuple[tuple[int, int], ...]  # (layer, head) that look where a word is heard

    @property
    def first_time(self) -> int | None:
        """The token of the window's start."""
        return None if self.no_times is None else self.no_times + 1


def is_public_layout(folder: Path) -> bool:
    """Whether the folder is laid out as its makers publish it."""
    return any((folder / name).is_file() for name in (CONFIG, binary_tokenizer.FILE))


def read_speech_config(folder: Path) -> SpeechConfig:
    """Reads and checks config.json and, where it is there, generation_config.json.

    Special tokens that the latter lacks are taken from tokenizer.json.

    Raises:
        ModelError: missing, damaged or of another kind of model; one line with file and key.
    """
    if has_binary_tokenizer(folder):
        return _moonshine_assets(folder)
    model = _Tokens(read_json(folder / CONFIG), str(folder / CONFIG))
    kind = model.data.get("model_type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ModelError(
            f"{folder / CONFIG}: model_type {kind!r:.80} does not run as it is, only"
            f" {' and '.join(KINDS)} do; try: edgestream convert {folder} -o NEW"
        )
    whisper, n_vocab = kind == "whisper", model.integer("vocab_size", 1, MAX_VOCAB)
    generation = _generation(folder, n_vocab, whisper=whisper)
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
        alignment_heads=generation.heads("alignment_heads"),
    )


def has_binary_tokenizer(folder: Path) -> bool:
    """Whether the folder is laid out as Moonshine's makers do."""
    return (folder / binary_tokenizer.FILE).is_file() and not (folder / CONFIG).exists()


def _moonshine_assets(folder: Path) -> SpeechConfig:
    pieces = binary_tokenizer.read_pieces(folder / binary_tokenizer.FILE)
    return SpeechConfig(
        kind="moonshine", n_mels=0, n_vocab=len(pieces), max_tokens=MOONSHINE_TOKENS,
        start=pieces.index(binary_tokenizer.START), end=pieces.index(binary_tokenizer.END),
        languages={}, tasks={}, previous=None, no_speech=None, no_times=None, suppressed=(),
        suppressed_first=(), alignment_heads=(),
    )  # fmt: skip


def _generation(folder: Path, n_vocab: int, *, whisper: bool) -> _Tokens:
    """generation_config.json, or config.json where there is none."""
    path = folder / (GENERATION if (folder / GENERATION).exists() else CONFIG)
    data = read_json(path)
    if whisper and not is_complete(data, n_vocab):
        data = completed(data, added_tokens(folder, TOKENIZER, n_vocab), n_vocab)
    return _Tokens(data, str(path))


class _Tokens(Fields):
    """Fields that hold tokens."""

    def token(self, name: str, n_vocab: int) -> int | None:
        return None if self.data.get(name) is None else self.integer(name, 0, n_vocab - 1)

    def tokens(self, name: str, n_vocab: int) -> dict[str, int]:
        table: dict[str, int] = self.get(name, dict, {})
        return self._checked(name, table, table.values(), n_vocab)

    def list_of_tokens(self, name: str, n_vocab: int) -> tuple[int, ...]:
        tokens: list[int] = self.get(name, list, [])
        return tuple(self._checked(name, tokens, tokens, n_vocab))

    def heads(self, name: str) -> tuple[tuple[int, int], ...]:
        found: list[object] = self.get(name, list, [])
        pairs = [tuple(each) for each in found if isinstance(each, list) and len(each) == 2]
        if len(pairs) != len(found) or not all(_is_token(n, MAX_HEADS) for p in pairs for n in p):
            raise ModelError(f"{self.where}: {name} is {found!r:.80}, not pairs of layer and head")
        return tuple((int(layer), int(head)) for layer, head in pairs)

    def _checked(self, name: str, found: T, tokens: Iterable[object], n_vocab: int) -> T:
        if not all(_is_token(token, n_vocab) for token in tokens):
            raise ModelError(f"{self.where}: {name} is {found!r:.80}, not tokens below {n_vocab}")
        return found


def _is_token(value: object, n_vocab: int) -> bool:
    return type(value) is int and 0 <= value < n_vocab


def _bare(languages: dict[str, int]) -> dict[str, int]:
    return {name.removeprefix("<|").removesuffix("|>"): token for name, token in languages.items()}


def read_token_bytes(folder: Path, config: SpeechConfig) -> list[bytes]:
    """The text of each token in UTF-8, maybe a part of a character; empty for special tokens."""
    if has_binary_tokenizer(folder):
        pieces = binary_tokenizer.read_pieces(folder / binary_tokenizer.FILE)
        return [binary_tokenizer.text_of(piece) for piece in pieces]
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
    return (
        bytes(LETTER_BYTES[c] for c in piece)
        if all(c in LETTER_BYTES for c in piece)
        else piece.encode("utf-8", "replace")
    )


def _from_sentencepiece(piece: str) -> bytes:
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        try:
            return bytes([int(piece[3:5], 16)])
        except ValueError:
            pass
    return piece.replace("\u2581", " ").encode("utf-8", "replace")
