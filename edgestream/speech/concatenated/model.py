# SPDX-License-Identifier: Apache-2.0
"""A model directory, loaded once; builds the stages of as many streams as are wanted."""

from __future__ import annotations

import math
import os
from pathlib import Path

from edgestream._native import (
    Chunker,
    ConcatenatedLoop,
    Decoder,
    GgufModel,
    LogMel,
    MelScale,
    SpecialTokens,
)
from edgestream.captions.clock import Clock
from edgestream.captions.pieces import pieces
from edgestream.captions.step_caption import Caption
from edgestream.decoder.open import make_ring, open_decoder
from edgestream.errors import ModelError, UsageError
from edgestream.library.folders import find, read_verified
from edgestream.library.manifest.concatenated import ConcatenatedManifest, MelSpec
from edgestream.library.manifest.manifest import MANIFEST
from edgestream.onnx.encoder import MEL, SAMPLES, Encoder, EncoderWeights
from edgestream.onnx.weights import OnnxModel
from edgestream.policy import (
    ChosenPolicy,
    ConfidenceThreshold,
    Head,
    Policy,
    WaitK,
    choose_policy,
)
from edgestream.speech.concatenated.stages import ConcatenatedStages
from edgestream.speech.concatenated.waveform import Lead, Waveform
from edgestream.speech.speech_model import SpeechModel
from edgestream.speech.stream import Stream, stream_options
from edgestream.system.checks import finite, whole
from edgestream.system.native_work import native_work


class Model(SpeechModel):
    """Weights and manifest of one model; immutable, may be shared between threads."""

    def __init__(self, folder: Path, *, decoder_device: str | None = None) -> None:
        self.folder = folder
        self.manifest = read_verified(folder, ConcatenatedManifest)
        m = self.manifest
        self.encoder = EncoderWeights(
            folder / m.encoder.file,
            input_name=MEL if isinstance(m.audio, MelSpec) else SAMPLES,
            chunk_shape=(
                m.encoder.left_frames + m.encoder.chunk_frames + m.encoder.right_frames,
                m.audio.n_mels,
            ),
        )
        self.decoder = open_decoder(folder, m.decoder, decoder_device)
        self.token_texts: list[str] = self.decoder.token_texts()
        self.pieces = _pieces(self.decoder)
        self._check_tokens()

    @native_work()
    def stream(
        self,
        *,
        delay: str | None = None,
        delay_ms: float | None = None,
        rate_hz: int | None = None,
        confidence: float | None = None,
        policy: Policy | Head | str | os.PathLike[str] | None = None,
        deferrals: int | None = None,
    ) -> Stream:
        """A new stream over these weights.

        Args:
            delay: `low`, `normal` or `sure`: the model's shortest, its usual, its longest.
            delay_ms: instead, how long after a word's end it is written.
            rate_hz: rate of the samples that will be pushed; the model's own if None.
            confidence: if given, what the model is less sure of than this is decided a step later.
            policy: decides instead (see docs/policies.md). Of a Head, or the file of one, the delay
                and the deferrals hold too, unless they are given.
            deferrals: how many steps later at most; each takes the time of the decoder once more.

        Raises:
            UsageError: a value is out of range; the message names the range.
        """
        m = self.manifest
        model_hz = m.audio.sample_rate_hz
        chosen = None if policy is None else choose_policy(policy, m.name, named=False)
        if chosen and (head := chosen.head):
            delay_ms = head.delay_frames * m.decoder.step_ms if delay_ms is None else delay_ms
            deferrals = head.deferrals if deferrals is None else deferrals
        delay_frames = self._delay_frames(delay_ms, delay)
        if deferrals is None:
            deferrals = 0 if confidence is None else 1
        deferrals = whole(deferrals, "deferrals", 0, 1 << 16)
        self._check_deferrals(delay_frames, deferrals)
        # A model that was not told its delay by a token keeps to it by itself.
        wait_steps = 0 if m.tokens.delay_0 is None else delay_frames
        decides = _policy(wait_steps, confidence, chosen, deferrals)
        clock = Clock()
        try:
            stages = self._stages(decides, clock, delay_frames, deferrals)
        except ValueError as error:  # numbers of the manifest that the native stages cannot serve
            raise ModelError(f"{self.folder / MANIFEST}: {error}") from None
        if stages.encoder.n_embd != self.decoder.n_embd:
            raise ModelError(
                f"{self.folder}: the encoder gives rows of {stages.encoder.n_embd},"
                f" the decoder takes {self.decoder.n_embd}"
            )
        return Stream(
            stages,
            clock,
            rate_hz=model_hz if rate_hz is None else rate_hz,
            model_hz=model_hz,
            delay_ms=float(delay_frames * m.decoder.step_ms),
        )

    STREAM_OPTIONS = stream_options(stream)

    def _stages(
        self, policy: Policy, clock: Clock, delay_frames: int, deferrals: int
    ) -> ConcatenatedStages:
        m = self.manifest
        return ConcatenatedStages(
            lead=Lead(m.audio.lead_samples),
            mel=_frames(m),
            chunker=_chunker(m),
            encoder=Encoder(self.encoder),
            loop=self.loop(policy, delay_frames, deferrals),
            caption=Caption(
                self.pieces,
                clock,
                pad=m.tokens.pad,
                step_ms=m.decoder.step_ms,
                delay_frames=delay_frames,
                lead_ms=1000 * m.audio.lead_samples / m.audio.sample_rate_hz,
            ),
        )

    def loop(
        self,
        policy: Policy,
        delay_frames: int,
        deferrals: int = 0,
        *,
        decoder: Decoder | None = None,
    ) -> ConcatenatedLoop:
        """The read/write loop of a stream alone: embeddings in, tokens out.

        With a `decoder` of your own instead of the memory that the manifest describes.
        """
        m, t = self.manifest, self.manifest.tokens
        return ConcatenatedLoop(
            self._ring(delay_frames) if decoder is None else decoder,
            policy,
            SpecialTokens(
                pad=t.pad,
                bos=t.bos,
                n_text=t.n_text,
                delay_0=t.delay_0,
                prompt_pads=t.prompt_pads,
            ),
            delay_frames=delay_frames,
            pad_bias=m.policy.pad_bias,
            deferrals=deferrals,
        )

    def _ring(self, delay_frames: int) -> Decoder:
        """A stream's memory. A step's input holds the token before it: rows come one by one."""
        delay = delay_frames if isinstance(d := self.decoder, GgufModel) and d.n_delays else 0
        return make_ring(self.decoder, self.manifest.decoder, max_rows=1, delay=delay)

    def _delay_frames(self, delay_ms: float | None, delay: str | None) -> int:
        policy, step_ms = self.manifest.policy, self.manifest.decoder.step_ms
        named = {
            "low": policy.min_delay_frames, "normal": policy.delay_frames,
            "sure": policy.max_delay_frames,
        }  # fmt: skip
        if delay is not None and (delay not in named or delay_ms is not None):
            raise UsageError(
                f"delay: {delay!r:.80}: choose {', '.join(named)}, or give it in milliseconds"
            )
        if delay_ms is None:
            return named[delay or "normal"]
        delay_ms = finite(delay_ms, "delay")
        low, high = policy.min_delay_frames * step_ms, policy.max_delay_frames * step_ms
        if not low <= delay_ms <= high:
            raise UsageError(
                f"delay: {delay_ms:g} ms is out of range; {self.manifest.name} takes"
                f" {low} to {high} ms in steps of {step_ms}"
            )
        return round(delay_ms / step_ms)

    def _check_deferrals(self, delay_frames: int, deferrals: int) -> None:
        policy, step_ms = self.manifest.policy, self.manifest.decoder.step_ms
        if deferrals and self.manifest.tokens.delay_0 is None:
            raise UsageError(
                f"deferrals: {self.manifest.name} has no tokens for delays, it cannot decide later"
                " (confidence defers too)"
            )
        if not 0 <= deferrals <= policy.max_delay_frames - delay_frames:
            raise UsageError(
                f"deferrals: {deferrals} after a delay of {delay_frames * step_ms} ms is out of"
                f" range; {self.manifest.name} has delays up to"
                f" {policy.max_delay_frames * step_ms} ms in steps of {step_ms}"
            )

    def _check_tokens(self) -> None:
        t, n = self.manifest.tokens, len(self.token_texts)
        last = max(t.pad, t.bos, t.n_text - 1)
        if t.delay_0 is not None:
            last = max(last, t.delay_0 + self.manifest.policy.max_delay_frames)
        if last >= n:
            raise ModelError(
                f"{self.folder / MANIFEST}: token {last} is named,"
                f" {self.manifest.decoder.file} has {n} tokens"
            )


def load(name: str | os.PathLike[str], *, decoder_device: str | None = None) -> Model:
    """As `speech.listen.load`, of this family alone."""
    return Model(find(name), decoder_device=decoder_device)


def _pieces(decoder: GgufModel | OnnxModel) -> list[str]:
    texts = decoder.token_texts()
    if isinstance(decoder, OnnxModel):  # its writer stores texts alone
        return pieces(texts, [], "")
    types, kind = (decoder.metadata(f"tokenizer.ggml.{key}") for key in ("token_type", "model"))
    numbers = (
        [each if isinstance(each, int) else 0 for each in types] if isinstance(types, list) else []
    )
    return pieces(texts, numbers, str(kind))


def _frames(m: ConcatenatedManifest) -> LogMel | Waveform:
    a = m.audio
    if not isinstance(a, MelSpec):
        return Waveform()
    return LogMel(
        sample_rate_hz=a.sample_rate_hz,
        window_samples=a.window_samples,
        hop_samples=a.hop_samples,
        fft_size=a.fft_size,
        n_bins=a.n_mels,
        min_hz=a.min_hz,
        max_hz=a.max_hz,
        log_floor=a.log_floor,
        scale=MelScale[a.scale],
    )


def _chunker(m: ConcatenatedManifest) -> Chunker:
    e = m.encoder
    return Chunker(
        n_bins=m.audio.n_mels,
        left_frames=e.left_frames,
        chunk_frames=e.chunk_frames,
        right_frames=e.right_frames,
        pad_value=_silence(m),
    )


def _silence(m: ConcatenatedManifest) -> float:
    """What a frame holds where there is no sound."""
    a = m.audio
    if not isinstance(a, MelSpec):
        return 0.0
    return math.log(a.log_floor) if a.scale == "htk" else math.log10(a.log_floor)


def _policy(
    delay_frames: int, confidence: float | None, chosen: ChosenPolicy | None, deferrals: int
) -> Policy:
    if chosen:
        if confidence is not None:
            raise UsageError("stream: give either a confidence or a policy, not both")
        return chosen.policy
    if confidence is None:
        return WaitK(delay_frames)
    try:
        return ConfidenceThreshold(delay_frames, finite(confidence, "confidence"), deferrals)
    except ValueError as error:
        raise UsageError(str(error)) from None
