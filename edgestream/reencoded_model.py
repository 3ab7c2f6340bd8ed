# SPDX-License-Identifier: Apache-2.0
"""A Whisper or Moonshine folder, loaded once; builds the stages of as many streams as are wanted.

The folder is laid out as the public ONNX repositories are: config.json, generation_config.json,
tokenizer.json, and encoder_model and decoder_model_merged in `onnx/`. Or it was pulled: then the
same files lie side by side, and a model.toml has their checksums.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgestream._native import LoopConfig, ReencodedLoop
from edgestream.clock import Clock
from edgestream.config import LOCK, MANIFEST, Manifest
from edgestream.dialects import foreign
from edgestream.encoder_decoder import EncoderDecoder
from edgestream.errors import ModelError, UsageError
from edgestream.hypothesis_rules import HypothesisRules
from edgestream.library import read_verified
from edgestream.policy import AlignAtt, Head, LocalAgreement, Policy
from edgestream.prompt_tokens import prompt_tokens
from edgestream.reencoded import ROW_MS, ReencodedStages
from edgestream.resample import Resampler
from edgestream.segment_caption import SegmentCaption
from edgestream.session import Stream
from edgestream.speech_config import (
    RATE_HZ,
    has_binary_tokenizer,
    read_speech_config,
    read_token_bytes,
)
from edgestream.speech_weights import HOP_SAMPLES, EncoderDecoderModel
from edgestream.voice import VOICE_FILE, VoiceGate, VoiceWeights, load_voice
from edgestream.window_rows import CentredMel, SampleFrames, WindowRows

ENCODER, DECODER = "encoder_model", "decoder_model_merged"
# Of the precisions that a repository offers, the first that is there: on a CPU int8 is the fastest
# and float16 the slowest.
SUFFIXES = ("_quantized", "_int8", "_uint8", "", "_q4", "_bnb4", "_fp16", "_q4f16")
PLACE_ROWS = 2  # Whisper's times are 20 ms apart
PLACE_MS = PLACE_ROWS * ROW_MS
LOCAL_AGREEMENT = "local-agreement"
WAIT_K = "wait-k"
POLICIES = {LOCAL_AGREEMENT: 2, "alignatt": 25, WAIT_K: 3}  # by name, each with its usual number
MAX_NUMBER = 64
N_DRAFT = 256  # tokens of the last hypothesis that are verified at once
MAX_HYPOTHESIS = 224  # tokens, as Whisper's reference decoder


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How often the window is decoded and how long it gets, in milliseconds of sound."""

    step_ms: int = 1000
    keep_ms: int = 8000  # a longer window loses the segments that ended
    max_ms: int = 28000

    def units(self, ms: int) -> int:
        """Steps in so long a time."""
        return max(1, ms // self.step_ms)


class ReencodedModel:
    """Weights of one encoder-decoder; immutable, may be shared between threads."""

    # What a stream can be told beside the rate of its samples.
    STREAM_OPTIONS: tuple[str, ...] = ("language", "task", "prompt", "times", "vad", "policy")

    def __init__(self, folder: Path, window: WindowSpec | None = None) -> None:
        """Raises ModelError when a file is missing, damaged, or of another program's dialect."""
        self.folder, self.name = folder, folder.name
        self.window = window or WindowSpec()
        if (folder / MANIFEST).exists():
            _refuse_unnamed(folder, read_verified(folder, Manifest))
        encoder, decoder = find_onnx(folder, ENCODER), find_onnx(folder, DECODER)
        self.config = read_speech_config(folder)
        self.token_bytes = read_token_bytes(folder, self.config)
        self.weights = EncoderDecoderModel(encoder, decoder, self.config)
        voice = folder / VOICE_FILE
        self.voice = VoiceWeights(voice) if voice.exists() else None

    def stream(
        self,
        *,
        rate_hz: int | None = None,
        policy: Policy | Head | str | os.PathLike[str] | None = None,
        language: str | None = None,
        task: str | None = None,
        prompt: str | None = None,
        times: bool = True,
        vad: str | os.PathLike[str] | None = None,
    ) -> Stream:
        """A new stream over these weights.

        Args:
            rate_hz: rate of the samples that will be pushed; 16000 if None.
            policy: decides what is committed: a Policy, or by name `local-agreement` (the
                default), `alignatt` or `wait-k`, with the number of hypotheses that must agree,
                of the newest frames of 20 ms that a word may not be heard in (`alignatt:25`), or
                of tokens that must have been heard behind a token (`wait-k:3`).
            language: that is spoken, as `en`; None: the model hears it in the first speech.
            task: `transcribe` or `translate` (to English), where the model knows tasks.
            prompt: text that came before, for names and spelling, where the model knows such.
            times: let a Whisper write times; without them lines end at full stops.
            vad: a Silero VAD by name, folder or file: what nobody says is not computed. If None,
                that of the model's folder, where there is one.

        Raises:
            ModelError: the VAD is missing, damaged or none.
            UsageError: the model does not know the language or the task; the message names those
                that it knows.
        """
        decides, n_hypotheses = self._policy(policy)
        rate_hz = RATE_HZ if rate_hz is None else rate_hz
        config, clock = self.config, Clock()
        times = times and config.first_time is not None
        earlier = prompt_tokens(self.folder, config, prompt) if prompt is not None else []
        before, language_at = self._prompt(earlier, language, task, times=times)
        rules = HypothesisRules(config, self.token_bytes, times=times)
        decoder = EncoderDecoder(
            self.weights, rules, prompt=before, language_at=language_at, look=True
        )
        frames = CentredMel(config.n_mels) if config.n_mels else SampleFrames()
        voice = self.voice if vad is None else load_voice(vad)
        stages = ReencodedStages(
            resampler=Resampler(rate_hz, RATE_HZ),
            window_rows=WindowRows(
                frames, self.weights.payload, VoiceGate(voice) if voice else None
            ),
            decoder=decoder,
            loop=self.loop(decoder, decides, before, times=times, n_hypotheses=n_hypotheses),
            caption=SegmentCaption(
                self.token_bytes,
                clock,
                first_time=config.first_time if times else None,
                place_ms=PLACE_MS,
            ),
            unit_rows=self._unit_rows,
            lag_units=n_hypotheses - 1,
        )
        delay_ms = float(n_hypotheses * self.window.step_ms)
        return Stream(stages, clock, rate_hz=rate_hz, delay_ms=delay_ms)

    def loop(
        self,
        decoder: EncoderDecoder,
        policy: Policy,
        prompt: Sequence[int],
        *,
        times: bool,
        n_hypotheses: int = POLICIES[LOCAL_AGREEMENT],
        n_draft: int = N_DRAFT,
    ) -> ReencodedLoop:
        """The read/write loop of a stream alone: rows of the window in, committed tokens out."""
        first_time = self.config.first_time if times else None
        return ReencodedLoop(
            decoder,
            policy,
            LoopConfig(
                unit_rows=self._unit_rows,
                max_tokens_per_unit=MAX_HYPOTHESIS,
                max_tokens_at_end=MAX_HYPOTHESIS,
                end_of_turn=[self.config.end],
            ),
            after_window=prompt,
            max_units=self.window.units(self.window.max_ms),
            keep_units=self.window.units(self.window.keep_ms),
            max_hypothesis=min(MAX_HYPOTHESIS, self.config.max_tokens // 2),
            n_hypotheses=n_hypotheses,
            n_draft=n_draft,
            first_time=-1 if first_time is None else first_time,
            time_rows=PLACE_ROWS,
            lag_rows=PLACE_ROWS,
        )

    def _policy(self, given: Policy | Head | str | os.PathLike[str] | None) -> tuple[Policy, int]:
        """The policy, and how many hypotheses are compared for it."""
        usual = POLICIES[LOCAL_AGREEMENT]
        if isinstance(given, Head):
            raise UsageError(f"{self.name}: a policy head decides for models of another family")
        if isinstance(given, Policy):
            self._check_looks(given)
            return given, usual
        name, _, text = os.fspath(given or LOCAL_AGREEMENT).partition(":")
        number = int(text) if text.isdecimal() else POLICIES.get(name, 0)
        if name not in POLICIES or (text and not text.isdecimal()) or not 0 < number <= MAX_NUMBER:
            known = ", ".join(f"{each}:{number}" for each, number in POLICIES.items())
            raise UsageError(f"{self.name}: policy {os.fspath(given or '')!r:.80}: try {known}")
        if name == LOCAL_AGREEMENT:
            return LocalAgreement(), number
        if name == WAIT_K:  # of one hypothesis: with as many tokens behind the one that is written
            return LocalAgreement(number + 1), 1
        self._check_looks(policy := AlignAtt(number))
        return policy, 1

    def _check_looks(self, policy: Policy) -> None:
        if isinstance(policy, AlignAtt) and not self.weights.aligned_heads:
            raise UsageError(
                f"{self.name}: alignatt needs a decoder that gives its cross-attention, as"
                " `edgestream convert` writes it (of public exports, those named timestamped)"
            )

    @property
    def _unit_rows(self) -> int:
        return self.window.step_ms * RATE_HZ // 1000 // HOP_SAMPLES

    def _prompt(
        self, earlier: list[int], language: str | None, task: str | None, *, times: bool
    ) -> tuple[list[int], int | None]:
        """The tokens before every hypothesis, and at which of them the language is to be heard."""
        config, language_at = self.config, None
        prompt = [*earlier, config.start]
        if config.languages:
            language_at = None if language else len(prompt)
            prompt.append(self._known("language", language or "en", config.languages))
            prompt.append(self._known("task", task or "transcribe", config.tasks))
        elif language not in (None, "en") or task not in (None, "transcribe"):
            raise UsageError(f"{self.name}: transcribes English and nothing else")
        if config.no_times is not None and not times:
            prompt.append(config.no_times)
        return prompt, language_at

    def _known(self, what: str, name: str, table: dict[str, int]) -> int:
        if name not in table:
            known = ", ".join(sorted(table))
            raise UsageError(f"{self.name}: {what} {name!r} is not known; known are {known}")
        return table[name]


def find_onnx(folder: Path, name: str) -> Path:
    """The graph in the first of SUFFIXES that is there, in `onnx/` or in the folder itself.

    Raises:
        ModelError: there is none; the message says what was met instead.
    """
    for place in (folder / "onnx", folder):
        for suffix in SUFFIXES:
            if (path := place / f"{name}{suffix}.onnx").exists():
                return path
    if has_binary_tokenizer(folder):
        if (path := folder / f"{name}.ort").exists():
            return path
        raise ModelError(f"{folder}: has no {name}.ort")
    raise ModelError(f"{folder}: {foreign(folder) or f'has no onnx/{name}.onnx'}")


def _refuse_unnamed(folder: Path, manifest: Manifest) -> None:
    """No checksum covers a file that was put beside; it would be read for one that is named."""
    named = {MANIFEST, LOCK, VOICE_FILE, *manifest.files}
    for path in sorted(folder.iterdir()):
        if path.name not in named and (path.is_dir() or path.suffix in (".onnx", ".json")):
            raise ModelError(f"{path}: {MANIFEST} does not name it; remove it")
