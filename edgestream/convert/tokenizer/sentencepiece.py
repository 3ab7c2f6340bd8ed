# SPDX-License-Identifier: Apache-2.0
"""tokenizer.model of SentencePiece (Kudo and Richardson 2018): BPE with its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgestream.convert.tokenizer.vocabulary import TokenType, Vocabulary
from edgestream.errors import ModelError
from edgestream.library.json_file import LIMIT_BYTES


def read_sentencepiece(path: Path) -> Vocabulary:
    """The vocabulary of a BPE model; raises ModelError on another kind or on a damaged file."""
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2 as pb2

    if path.stat().st_size > LIMIT_BYTES:
        raise ModelError(f"{path}: larger than {LIMIT_BYTES >> 20} MB, not a {path.name}")
    model: Any = pb2.ModelProto()  # type: ignore[attr-defined]  # made by protobuf at import
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        raise ModelError(f"{path}: not a SentencePiece model, or damaged") from None
    _refuse_what_libllama_has_not(model, path)
    # GGUF numbers the types as SentencePiece does.
    types = [TokenType(piece.type) for piece in model.pieces]
    return Vocabulary(
        "llama",
        [piece.piece for piece in model.pieces],
        types,
        scores=[piece.score for piece in model.pieces],
        add_space_prefix=model.normalizer_spec.add_dummy_prefix,
        add_bos=True,
    )


def _refuse_what_libllama_has_not(model: Any, path: Path) -> None:
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    if not model.pieces:
        raise ModelError(f"{path}: not a SentencePiece model, or damaged")
    if trainer.model_type != trainer.BPE:
        raise ModelError(f"{path}: a SentencePiece model that is not BPE; converted is BPE")
    if normalizer.precompiled_charsmap or normalizer.remove_extra_whitespaces:
        raise ModelError(f"{path}: changes the text (normalizer); libllama does not")
    if not normalizer.escape_whitespaces or trainer.treat_whitespace_as_suffix:
        raise ModelError(f"{path}: marks spaces otherwise than libllama")
