# SPDX-License-Identifier: Apache-2.0
"""A Whisper or Moonshine folder, loaded once; builds the stages of as many streams as are wanted.

The folder is laid out as the public ONNX repositories are: config.json, generation_config.json,
tokenizer.json, and encoder_model and decoder_model_merged in `onnx/`. Or it was pulled: then the
same files lie side by side, and a model.toml has their checksums.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from edgestream._native import LoopConfig, ReencodedLoop
from edgestream.captions.clock import Clock
from edgestream.captions.segment_caption import SegmentCaption
from edgestream.captions.steady_draft import SteadyDraft
from edgestream.errors import ModelError, UsageError
from edgestream.library.folders import read_verified
from edgestream.library.foreign import foreign
from edgestream.library.manifest.manifest import DEFAULT_VOICE, LOCK, MANIFEST, VOICE_OFF, Manifest
from edgestream.policy import ChosenPolicy, Policy
from edgestream.speech.reencoded.commit_policy import (
    NORMAL,
    Delay,
    commit_policy,
    delay_of,
    held_from_outside,
    without_alignment,
)
from edgestream.speech.reencoded.config import (
    RATE_HZ,
    has_binary_tokenizer,
    read_speech_config,
    read_token_bytes,
)
from edgestream.speech.reencoded.decoder import EncoderDecoder
from edgestream.speech.reencoded.language import MOST_ROWS, LanguageEar
from edgestream.speech.reencoded.pace import Pace
from edgestream.speech.reencoded.prompt import prompt_tokens
from edgestream.speech.reencoded.rules import HypothesisRules
from edgestream.speech.reencoded.stages import ROW_MS, ReencodedStages
from edgestream.speech.reencoded.utterances import Utterances, UtteranceSpec
from edgestream.speech.reencoded.voice import VOICE_FILE, VoiceGate, VoiceWeights, load_voice
from edgestream.speech.reencoded.weights import HOP_SAMPLES, EncoderDecoderModel
from edgestream.speech.reencoded.window import CentredMel, SampleFrames, WindowRows
from edgestream.speech.speech_model import SpeechModel
from edgestream.speech.stream import Stream, stream_options
from edgestream.system.native_work import native_work

ENCODER, DECODER = "encoder_model", "decoder_model_merged"
# Of the precisions that a repository offers, the first that is there: on a CPU int8 is the fastest
# and float16 the slowest.
SUFFIXES = ("_quantized", "_int8", "_uint8", "", "_q4", "_bnb4", "_fp16", "_q4f16")
SENTENCE_ENDS = tuple(mark.encode() for mark in ".?!\u3002\uff1f\uff01")
STATE_ROWS = 2  # that a state of Whisper's encoder hears, 20 ms
HOLD_MS = 200.0  # before a token that one hypothesis alone has is shown
# Nobody speaks six tokens in a fifth of a second: what is heard so is invented.
CROWD_TOKENS, CROWD_ROWS = 6, 20
LOYALTY = 0.5  # nats by which another token must be likelier than that of the last hypothesis
N_DRAFT = 256  # tokens of the last hypothesis that are verified at once
MAX_HYPOTHESIS = 224  # tokens, as Whisper's reference decoder
TRANSLATE = "translate"  # a task


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How long the window gets, and how often it is decoded, in milliseconds of sound."""

    unit_ms: int | None = None  # instead of the delay's own
    keep_ms: int = 8000  # a longer window loses the sentences that ended
    max_ms: int = 22000  # with the silence behind it no more than the 30 s that a Whisper hears


class ReencodedModel(SpeechModel):
    """Weights of one encoder-decoder; immutable, may be shared between threads."""

    def __init__(self, folder: Path, window: WindowSpec | None = None) -> None:
        """Raises ModelError when a file is missing, damaged, or of another program's dialect."""
        self.folder, self.name = folder, folder.name
        self.window = window or WindowSpec()
        if (folder / MANIFEST).exists():
            _refuse_unnamed(folder, read_verified(folder, Manifest))
        encoder, decoder = find_onnx(folder, ENCODER), find_onnx(folder, DECODER)
        self.config = read_speech_config(folder)
        self.token_bytes = read_token_bytes(folder, self.config)
        self._sentence_ends = [
            token for token, text in enumerate(self.token_bytes) if text.endswith(SENTENCE_ENDS)
        ]
        self.weights = EncoderDecoderModel(encoder, decoder, self.config)

    @native_work()
    def stream(
        self,
        *,
        rate_hz: int | None = None,
        delay: str | None = None,
        policy: Policy | str | None = None,
        language: str | None = None,
        task: str | None = None,
        prompt: str | None = None,
        times: bool = True,
        vad: str | os.PathLike[str] | None = None,
        behind_ms: Callable[[], float] | None = None,
    ) -> Stream:
        """A new stream over these weights.

        Args:
            rate_hz: rate of the samples that will be pushed; 16000 if None.
            delay: `low`, `normal` (the default) or `sure` (the default of translations): how soon a
                word is committed.
            policy: decides what is committed instead: a Policy, or by name `local-agreement`,
                `alignatt` or `wait-k`, with the number of hypotheses that must agree, of the newest
                frames of 20 ms that a word may not be heard in (`alignatt:25`), or of tokens that
                must have been heard behind a token (`wait-k:3`); or two of them with + between.
            language: that is spoken, as `en`; None: the model hears it, again after each pause.
            task: `transcribe` or `translate` (to English), where the model knows tasks.
            prompt: text that came before, for names and spelling, where the model knows such.
            times: let a Whisper think of times as it writes, which makes it surer.
            vad: a Silero VAD by name, folder or file, or `off`; None: that of the model's folder,
                else the one that ships. What nobody says is not computed.
            behind_ms: how far a live source is ahead of this stream now. A slow machine then reads
                all that waits before it decodes, so that nothing queues; Lag events tell of it.

        Raises:
            ModelError: the VAD is missing, damaged or none.
            UsageError: the model does not know the delay, policy, language or task; the message
                names those that it knows.
        """
        chosen = self._delay(delay, policy, task)
        decides = commit_policy(
            chosen.policy if policy is None else policy, self.name,
            aligned=bool(self.weights.aligned_heads),
        )  # fmt: skip
        config, clock = self.config, Clock()
        times = times and config.first_time is not None
        earlier = prompt_tokens(self.folder, config, prompt) if prompt is not None else []
        before = self._prompt(earlier, language, task, times=times)
        rules = HypothesisRules(config, self.token_bytes, times=times)
        ear = None if language or not config.languages else self._ear()
        decoder = EncoderDecoder(self.weights, rules, prompt=before, ear=ear, look=True)
        if ear:
            decides = held_from_outside(decides)
        stages = ReencodedStages(
            window_rows=self._window_rows(vad),
            utterances=Utterances(decoder.n_embd, UtteranceSpec()),
            pace=Pace(rows_in(chosen.unit_ms), ROW_MS, behind_ms),
            decoder=decoder,
            loop=self.loop(decoder, decides, before, times=times),
            draft=SteadyDraft(HOLD_MS),
            caption=SegmentCaption(self.token_bytes, clock),
            n_hypotheses=decides.n_hypotheses,
        )
        return Stream(
            stages,
            clock,
            rate_hz=RATE_HZ if rate_hz is None else rate_hz,
            model_hz=RATE_HZ,
            delay_ms=float(decides.n_hypotheses * chosen.unit_ms),
        )

    STREAM_OPTIONS = stream_options(stream)

    def loop(
        self,
        decoder: EncoderDecoder,
        decides: ChosenPolicy,
        prompt: Sequence[int],
        *,
        times: bool,
        n_draft: int = N_DRAFT,
    ) -> ReencodedLoop:
        """The read/write loop of a stream alone: rows of the window in, committed tokens out."""
        first_time = self.config.first_time if times else None
        return ReencodedLoop(
            decoder,
            decides.policy,
            LoopConfig(
                max_tokens_per_unit=MAX_HYPOTHESIS,
                max_tokens_at_end=MAX_HYPOTHESIS,
                end_of_turn=[self.config.end],
            ),
            after_window=prompt,
            max_rows=rows_in(self.window.max_ms),
            keep_rows=rows_in(self.window.keep_ms),
            max_hypothesis=min(MAX_HYPOTHESIS, self.config.max_tokens // 2),
            n_hypotheses=decides.n_hypotheses,
            n_draft=n_draft,
            first_time=-1 if first_time is None else first_time,
            sentence_ends=self._sentence_ends,
            lag_rows=STATE_ROWS,
            loyalty=LOYALTY,
            crowd_tokens=CROWD_TOKENS,
            crowd_rows=CROWD_ROWS,
        )

    @cached_property
    def voice(self) -> VoiceWeights:
        """The gate of the folder, else the one that ships; loaded for the first stream with one."""
        own = self.folder / VOICE_FILE
        return VoiceWeights(own) if own.exists() else load_voice(DEFAULT_VOICE)

    def _delay(self, name: str | None, policy: object, task: str | None) -> Delay:
        """The delay as this model can have it: some exports hear no attention, some 30 s only."""
        if name is not None and policy is not None:
            raise UsageError(f"{self.name}: give a delay or a policy, not both")
        # 30 s are too much work more often; and what was translated early is often put differently.
        usual = "sure" if self.weights.padded or task == TRANSLATE else NORMAL
        chosen = delay_of(name or usual, self.name)
        chosen = replace(chosen, unit_ms=self.window.unit_ms or chosen.unit_ms)
        if self.weights.aligned_heads:
            return chosen
        return replace(chosen, policy=without_alignment(chosen.policy))

    def _window_rows(self, vad: str | os.PathLike[str] | None) -> WindowRows:
        """Frames behind the voice gate, unless that is off."""
        frames = CentredMel(self.config.n_mels) if self.config.n_mels else SampleFrames()
        if vad == VOICE_OFF:
            return WindowRows(frames, self.weights.payload, None)
        voice = self.voice if vad is None else load_voice(vad)
        return WindowRows(frames, self.weights.payload, VoiceGate(voice))

    def _prompt(
        self, earlier: list[int], language: str | None, task: str | None, *, times: bool
    ) -> list[int]:
        """The tokens before every hypothesis."""
        config = self.config
        prompt = [*earlier, config.start]
        if config.languages:
            prompt.append(self._known("language", language or "en", config.languages))
            prompt.append(self._known("task", task or "transcribe", config.tasks))
        elif language not in (None, "en") or task not in (None, "transcribe"):
            raise UsageError(f"{self.name}: transcribes English and nothing else")
        if config.no_times is not None:
            prompt.append(config.no_times + 1 if times else config.no_times)
        return prompt

    def _ear(self) -> LanguageEar:
        """Sure before anything leaves the window."""
        return LanguageEar(min(MOST_ROWS, rows_in(self.window.keep_ms)))

    def _known(self, what: str, name: str, table: dict[str, int]) -> int:
        if name not in table:
            known = ", ".join(sorted(table))
            raise UsageError(f"{self.name}: {what} {name!r} is not known; known are {known}")
        return table[name]


def rows_in(ms: int) -> int:
    """Input rows in so long a time."""
    return ms * RATE_HZ // 1000 // HOP_SAMPLES


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
