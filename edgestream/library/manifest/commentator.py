# SPDX-License-Identifier: Apache-2.0
"""What `model.toml` of a commentator says: a small model that sees pictures and tells of them."""

from __future__ import annotations

from dataclasses import dataclass

from edgestream.library.manifest.manifest import Manifest
from edgestream.library.manifest.ring import RingSpec, ring_rules


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """What the picture encoder was trained on: RGB of one size, a picture each `picture_ms`."""

    width: int
    height: int
    picture_ms: int


@dataclass(frozen=True, slots=True)
class PictureGateSpec:
    """What is new enough to be computed: a tile that differs by `min_difference` from what was last
    kept of it, and an embedding below `max_cosine` to the last one kept.

    For `linger_ms` after anything new all pictures are: that nothing moves any more is news too.
    """

    tile_px: int
    min_difference: float
    max_cosine: float
    linger_ms: int


@dataclass(frozen=True, slots=True)
class PictureEncoderSpec:
    """A streaming encoder: a picture in, an embedding out, state carried."""

    file: str


@dataclass(frozen=True, slots=True)
class CommentTokenSpec:
    """Tokens with a meaning of their own; only tokens below `n_text` are ever written."""

    silence: int
    end: int
    bos: int
    n_text: int


@dataclass(frozen=True, slots=True)
class CommentPolicySpec:
    """What is taken from the logit of silence by default, and the longest comment."""

    silence_bias: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class CommentatorManifest(Manifest):
    """All of the `model.toml` of a picture encoder whose rows and comments share a decoder."""

    pictures: PictureSpec
    gate: PictureGateSpec
    encoder: PictureEncoderSpec
    decoder: RingSpec
    tokens: CommentTokenSpec
    policy: CommentPolicySpec


def commentator_rules(manifest: CommentatorManifest) -> list[tuple[bool, str]]:
    """Ranges that later stages rely on; each line names what is wrong."""
    pictures, gate, decoder = manifest.pictures, manifest.gate, manifest.decoder
    tokens, policy = manifest.tokens, manifest.policy
    return [
        (min(pictures.width, pictures.height) > 0
         and max(pictures.width, pictures.height) <= 4096,
         "pictures.width and height must be 1 to 4096"),
        (0 < pictures.picture_ms <= 60_000, "pictures.picture_ms must be 1 to 60000"),
        (0 < gate.tile_px <= min(pictures.width, pictures.height),
         "gate.tile_px must be 1 to the smaller side of the picture"),
        (0 <= gate.min_difference <= 1, "gate.min_difference must be 0 to 1"),
        (-1 <= gate.max_cosine <= 1, "gate.max_cosine must be -1 to 1"),
        (0 <= gate.linger_ms <= 3_600_000, "gate.linger_ms must be 0 to 3600000"),
        *ring_rules(decoder, manifest.files),
        (not decoder.is_onnx, "decoder.file must be a GGUF file"),
        (min(tokens.silence, tokens.end, tokens.bos) >= 0
         and max(tokens.silence, tokens.end) < tokens.n_text and tokens.silence != tokens.end,
         "tokens need two of silence and end below n_text, and none may be negative"),
        (-100 < policy.silence_bias < 100, "policy.silence_bias must be -100 to 100"),
        (0 < policy.max_tokens <= 1024, "policy.max_tokens must be 1 to 1024"),
        (manifest.encoder.file in manifest.files,
         "encoder.file must be listed with its sha256 in [files]"),
    ]  # fmt: skip
