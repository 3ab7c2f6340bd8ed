# SPDX-License-Identifier: Apache-2.0
"""What `model.toml` says of a streaming encoder whose rows enter a decoder."""

from __future__ import annotations

from dataclasses import dataclass

from edgestream.library.manifest.manifest import Manifest
from edgestream.library.manifest.ring import RingSpec, ring_rules


@dataclass(frozen=True, slots=True)
class MelSpec:
    """The log-mel that the encoder was trained on; silence of `lead_samples` comes before the
    input. `scale` htk is natural, slaney is Whisper's (see LogMel)."""

    sample_rate_hz: int
    window_samples: int
    hop_samples: int
    fft_size: int
    n_mels: int
    min_hz: float
    max_hz: float
    log_floor: float
    lead_samples: int = 0
    scale: str = "htk"


@dataclass(frozen=True, slots=True)
class WaveformSpec:
    """An encoder that hears samples as they are: its frames are samples, a frame one number."""

    sample_rate_hz: int
    lead_samples: int = 0

    @property
    def hop_samples(self) -> int:
        """Samples from one frame to the next."""
        return 1

    @property
    def n_mels(self) -> int:
        """Numbers in a frame."""
        return 1


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A streaming encoder: chunks of mel frames in, embeddings out, state carried."""

    file: str
    chunk_frames: int
    left_frames: int
    right_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderSpec(RingSpec):
    """The decoder of a streaming encoder: a step of it lasts `step_ms`."""

    step_ms: int


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """Tokens with a meaning of their own; only tokens below `n_text` are ever written.

    Without `delay_0`, the token of delay 0, the model has one delay; or, with `prompt_pads`, that
    many PADs and one more for each step of delay are read behind BOS.
    """

    pad: int
    bos: int
    n_text: int
    delay_0: int | None = None
    prompt_pads: int | None = None


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Default delay, its range, and what is taken from the logit of PAD."""

    delay_frames: int
    min_delay_frames: int
    max_delay_frames: int
    pad_bias: float


@dataclass(frozen=True, slots=True)
class ConcatenatedManifest(Manifest):
    """All of the `model.toml` of a streaming encoder whose rows enter a decoder."""

    audio: MelSpec | WaveformSpec
    encoder: EncoderSpec
    decoder: DecoderSpec
    tokens: TokenSpec
    policy: PolicySpec


def concatenated_rules(manifest: ConcatenatedManifest) -> list[tuple[bool, str]]:
    """Ranges that later stages rely on; each line names what is wrong."""
    audio, encoder, decoder = manifest.audio, manifest.encoder, manifest.decoder
    tokens, policy = manifest.tokens, manifest.policy
    return [
        (8000 <= audio.sample_rate_hz <= 192000, "audio.sample_rate_hz must be 8000 to 192000"),
        *(_mel_rules(audio) if isinstance(audio, MelSpec) else ()),
        (0 <= audio.lead_samples <= 1 << 20, "audio.lead_samples must be 0 to 1048576"),
        (0 < encoder.chunk_frames <= 4096, "encoder.chunk_frames must be 1 to 4096"),
        (0 <= encoder.left_frames <= 4096, "encoder.left_frames must be 0 to 4096"),
        (0 <= encoder.right_frames <= 4096, "encoder.right_frames must be 0 to 4096"),
        *ring_rules(decoder, manifest.files),
        (encoder.chunk_frames * audio.hop_samples * 1000
         == decoder.step_ms * audio.sample_rate_hz,
         "decoder.step_ms must be encoder.chunk_frames times the hop"),
        (min(tokens.pad, tokens.bos, tokens.delay_0 or 0, tokens.n_text - 1) >= 0,
         "tokens must not be negative"),
        (tokens.prompt_pads is None or tokens.delay_0 is None,
         "tokens.prompt_pads and tokens.delay_0 exclude one another"),
        (0 <= (tokens.prompt_pads or 0) <= 4096, "tokens.prompt_pads must be 0 to 4096"),
        (0 <= policy.min_delay_frames <= policy.delay_frames <= policy.max_delay_frames <= 4096,
         "policy needs 0 <= min_delay_frames <= delay_frames <= max_delay_frames <= 4096"),
        (-100 < policy.pad_bias < 100, "policy.pad_bias must be -100 to 100"),
        (encoder.file in manifest.files,
         "encoder.file must be listed with its sha256 in [files]"),
    ]  # fmt: skip


def _mel_rules(audio: MelSpec) -> list[tuple[bool, str]]:
    return [
        (0 < audio.hop_samples <= audio.window_samples <= audio.fft_size <= 1 << 16,
         "audio needs 0 < hop_samples <= window_samples <= fft_size <= 65536"),
        (0 < audio.n_mels <= 512, "audio.n_mels must be 1 to 512"),
        (0 <= audio.min_hz < audio.max_hz <= audio.sample_rate_hz / 2,
         "audio needs 0 <= min_hz < max_hz <= sample_rate_hz / 2"),
        (0 < audio.log_floor < 1, "audio.log_floor must be above 0 and below 1"),
        (audio.scale in ("htk", "slaney"), "audio.scale must be htk or slaney"),
    ]  # fmt: skip
