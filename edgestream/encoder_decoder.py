# SPDX-License-Identifier: Apache-2.0
"""An encoder-decoder for speech behind the decoder's interface: Whisper and Moonshine in ONNX.

The files are those of the public exports: an encoder (`input_features` [1, n_mels, frames] or
`input_values` [1, samples] -> `last_hidden_state`) and a merged decoder (`input_ids`,
`encoder_hidden_states`, `past_key_values.N.{decoder,encoder}.{key,value}`, `use_cache_branch` ->
`logits`, `present.*`). The branch without a cache takes any number of tokens, so committed tokens,
prompt and draft are one run; the other branch was traced for one token and gets one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream._native import Decoder
from edgestream.errors import ModelError, OperationError
from edgestream.hypothesis_rules import HypothesisRules
from edgestream.onnx_session import NUMPY_TYPES, one_line, open_session
from edgestream.speech_config import RATE_HZ, WINDOW_MS, SpeechConfig

Floats = NDArray[np.float32]
HOP_SAMPLES = 160  # of an input row: a mel frame, or as many samples
WINDOW_FRAMES = WINDOW_MS * RATE_HZ // 1000 // HOP_SAMPLES
MIN_SAMPLES = 1024  # Moonshine's convolutions need 895 for their first row
DYNAMIC_RANGE = 8.0  # decades below the loudest bin of a window that Whisper hears
CODE, VOICE, PAYLOAD = 0, 1, 2  # columns of a row: what it is, whether anybody speaks, numbers
MAX_PROPOSAL = 1024
ALSO = {"cache_position", "encoder_attention_mask"}  # inputs that some exports have
CACHE, PRESENT = "past_key_values.", "present."
CROSS_ATTENTIONS = "cross_attentions."  # outputs of exports with attention, by layer


class EncoderDecoderModel:
    """Both graphs, loaded once and shared by streams."""

    def __init__(self, encoder: Path, decoder: Path, config: SpeechConfig) -> None:
        """Raises ModelError when a file is damaged or not such a graph."""
        self.config, self.encoder_path, self.decoder_path = config, encoder, decoder
        self.encoder, self.decoder = open_session(encoder), open_session(decoder)
        self.inputs = {each.name: each for each in self.decoder.get_inputs()}
        self.outputs = [each.name for each in self.decoder.get_outputs()]
        self.caches = [name for name in self.inputs if name.startswith(CACHE)]
        self._check()
        self.padded = self._needs_padding()

    @property
    def payload(self) -> int:
        """Numbers of an input row."""
        return self.config.n_mels or HOP_SAMPLES

    def encode(self, rows: Floats) -> NDArray[Any]:
        """A window of input rows [n, 2 + payload] to encoder states [1, m, width]."""
        given = self.encoder.get_inputs()[0]
        feed: dict[str, Any] = {given.name: self.heard(rows).astype(NUMPY_TYPES[given.type])}
        return np.asarray(_run(self.encoder, ["last_hidden_state"], feed, self.encoder_path)[0])

    def decode(
        self, tokens: Sequence[int], states: NDArray[Any], past: dict[str, NDArray[Any]]
    ) -> tuple[Floats, dict[str, NDArray[Any]]]:
        """Logits [n, n_vocab] after each token, and the caches; with a past, which holds what came
        before, the decoder's own caches alone."""
        feed: dict[str, Any] = {}
        for name, each in self.inputs.items():
            kind = NUMPY_TYPES[each.type]
            if name == "input_ids":
                feed[name] = np.array([tokens], kind)
            elif name == "encoder_hidden_states":
                feed[name] = np.asarray(states, kind)
            elif name == "encoder_attention_mask":
                feed[name] = np.ones((1, states.shape[1]), kind)
            elif name == "cache_position":
                n_past = next(iter(past.values())).shape[2] if past else 0
                feed[name] = np.arange(n_past, n_past + len(tokens), dtype=kind)
            elif name == "use_cache_branch":
                feed[name] = np.array([bool(past)], kind)
            else:
                empty = (1, each.shape[1], 0, each.shape[3])
                feed[name] = np.ascontiguousarray(past[name]) if past else np.zeros(empty, kind)
        kept = [name for name in self.caches if not past or ".decoder." in name]
        outputs = ["logits", *(name.replace(CACHE, PRESENT, 1) for name in kept)]
        logits, *present = _run(self.decoder, outputs, feed, self.decoder_path)
        if logits.shape != (1, len(tokens), self.config.n_vocab):
            raise OperationError(f"{self.decoder_path}: gives logits of shape {logits.shape}")
        return np.array(logits[0], np.float32), dict(zip(kept, present, strict=True))

    def heard(self, rows: Floats) -> Floats:
        """What the encoder hears of a window: normalised mel [1, n_mels, frames], or samples."""
        return self._features(rows) if self.config.n_mels else self._samples(rows)

    def _features(self, rows: Floats) -> Floats:
        """Whisper's normalisation: 8 decades below the loudest, silence up to 30 s."""
        n_frames = WINDOW_FRAMES if self.padded else len(rows) + len(rows) % 2
        frames = np.full((n_frames, self.config.n_mels), -10.0, np.float32)  # log10 of its floor
        frames[: len(rows)] = rows[:n_frames, PAYLOAD:]
        frames = (np.maximum(frames, frames.max() - np.float32(DYNAMIC_RANGE)) + 4) / 4
        return np.ascontiguousarray(frames.T[None], np.float32)

    def _samples(self, rows: Floats) -> Floats:
        n_last = int(-rows[-1, CODE])  # a last row may hold fewer
        samples = rows[:, PAYLOAD:].reshape(1, -1)
        samples = samples[:, : samples.shape[1] - HOP_SAMPLES + n_last]
        return np.pad(samples, ((0, 0), (0, max(0, MIN_SAMPLES - samples.shape[1]))))

    def _needs_padding(self) -> bool:
        """Most exports of Whisper hear 30 s and nothing shorter; an export that slices its
        positions hears what is there. One run tells."""
        if not self.config.n_mels:
            return False
        shape = self.encoder.get_inputs()[0].shape
        if isinstance(shape[-1], int):
            return True
        self.padded = False
        try:
            self.encode(np.zeros((100, PAYLOAD + self.config.n_mels), np.float32))
        except OperationError:
            return True
        return False

    def _check(self) -> None:
        heard = "input_features" if self.config.n_mels else "input_values"
        encoder = [each.name for each in self.encoder.get_inputs()]
        if encoder != [heard]:
            raise ModelError(
                f"{self.encoder_path}: takes {encoder}, an encoder takes {heard}"[:300]
            )
        if (
            heard == "input_features"
            and self.encoder.get_inputs()[0].shape[1] != self.config.n_mels
        ):
            raise ModelError(f"{self.encoder_path}: takes other mel bins than config.json says")
        wanted = {"input_ids", "encoder_hidden_states", "use_cache_branch"}
        presents = {name.replace(CACHE, PRESENT, 1) for name in self.caches}
        if not wanted <= set(self.inputs) or not self.caches or not presents <= set(self.outputs):
            raise ModelError(
                f"{self.decoder_path}: not a merged decoder with a cache (decoder_model_merged of a"
                " public export: input_ids, encoder_hidden_states, use_cache_branch,"
                f" {CACHE}N.decoder.key, ...)"
            )
        extra = set(self.inputs) - wanted - set(self.caches) - ALSO
        kinds = {self.inputs[name].type for name in self.inputs} - set(NUMPY_TYPES)
        heads = [self.inputs[name].shape for name in self.caches]
        if extra or kinds or not all(len(s) == 4 and isinstance(s[1], int) and isinstance(s[3], int)
                                     for s in heads):  # fmt: skip
            raise ModelError(f"{self.decoder_path}: has inputs that a merged decoder has not")


class EncoderDecoder(Decoder):
    """One stream's window over an `EncoderDecoderModel`, driven by the native re-encoding loop.

    A row [2 + payload] is a token (column 0 holds it) or input (column 0 holds minus the count of
    its numbers; column 1 whether anybody speaks; then a mel frame or samples). Nothing is computed
    before logits are wanted: then the window is encoded once, and the tokens that wait are one run.
    A window in which nobody speaks is not computed at all: its hypothesis is empty.
    """

    def __init__(
        self,
        model: EncoderDecoderModel,
        rules: HypothesisRules,
        *,
        prompt: Sequence[int],
        language_at: int | None = None,
    ) -> None:
        """`prompt` comes before every hypothesis; at `language_at` of it the language is put in
        that the model hears in the first window with speech."""
        super().__init__(
            n_embd=PAYLOAD + model.payload, n_vocab=model.config.n_vocab, max_proposal=MAX_PROPOSAL
        )
        self.model, self._rules = model, rules
        self.prompt, self._language_at = list(prompt), language_at
        self._language: int | None = None
        self._n_cached = 0  # tokens whose keys and values are in the cache
        self.clear()

    def forget_language(self) -> None:
        """The next stream may be in another language."""
        self._language = None

    def append(self, groups: list[tuple[int, Floats]], logits: str) -> Floats:
        """Takes rows of the window or of tokens; float32 logits [0, 1 or n, n_vocab]."""
        n_rows = 0
        for _, rows in groups:
            n_rows += len(rows)
            codes = rows[:, CODE]
            if (codes < 0).any():
                self._window.append(np.array(rows[codes < 0]))
            self._tokens += [int(code) for code in codes[codes >= 0]]
        if logits == "none":
            return np.empty((0, self.n_vocab), np.float32)
        n_wanted = n_rows if logits == "every" else 1
        result = self._compute()[-n_wanted:]
        first = len(self._tokens) - n_wanted
        for i, row in enumerate(result):
            self._rule(row, first + i + 1)
        return result

    def take_back(self, n_rows: int) -> None:
        """The newest tokens were never taken."""
        del self._tokens[len(self._tokens) - n_rows :]
        self._n_cached = min(self._n_cached, len(self._tokens))

    def embedding(self, token: int) -> Floats:
        """The row of a token, float32 [n_embd]."""
        row = np.zeros(self.n_embd, np.float32)
        row[CODE] = token
        return row

    def copy(self) -> EncoderDecoder:
        """A second stream with the same past."""
        other = EncoderDecoder(
            self.model, self._rules, prompt=self.prompt, language_at=self._language_at
        )
        other._language, other._window = self._language, list(self._window)
        other._tokens, other._states, other._cache = list(self._tokens), self._states, self._cache
        other._n_cached, other._silent = self._n_cached, self._silent
        return other

    def clear(self) -> None:
        """An empty window; the language stays."""
        self._window: list[Floats] = []
        self._tokens: list[int] = []
        self._states: NDArray[Any] = np.empty((1, 0, 0))  # of the encoder; none yet
        self._cache: dict[str, NDArray[Any]] = {}
        self._n_cached = 0
        self._silent = False

    def _rule(self, row: Floats, n_tokens: int) -> None:
        """Rules and guards for the logits after `n_tokens` tokens."""
        if self._silent or n_tokens >= self.model.config.max_tokens:
            self._rules.end(row)
        else:
            self._rules.apply(row, self._tokens[len(self.prompt) : n_tokens])

    def _compute(self) -> Floats:
        """Logits of the tokens that were not computed yet [n, n_vocab]."""
        if not self._states.size and not self._silent:
            self._silent = not any((rows[:, VOICE] > 0).any() for rows in self._window)
        n = len(self._tokens) - self._n_cached
        if self._silent:
            return np.zeros((n, self.n_vocab), np.float32)
        if not self._states.size:
            self._states = self.model.encode(np.concatenate(self._window))
            return self._open(n)
        rows = [self._step(i) for i in range(self._n_cached, len(self._tokens))]
        return np.concatenate(rows)

    def _open(self, n: int) -> Floats:
        """The first run of a window: every token so far."""
        if self._language_at is not None:
            self._tokens[self._language_at] = self._language or self._hear_language()
        tokens = self._tokens[: self.model.config.max_tokens]
        logits, self._cache = self.model.decode(tokens, self._states, {})
        self._n_cached = len(tokens)
        start = self.prompt.index(self.model.config.start)
        self._silent = self._rules.is_silent(logits[start])
        beyond = np.zeros((n - len(tokens), self.n_vocab), np.float32)
        return np.concatenate([logits, beyond])

    def _hear_language(self) -> int:
        """The likeliest language after nothing but the start, as Whisper detects it."""
        languages = list(self.model.config.languages.values())
        logits, _ = self.model.decode([self.model.config.start], self._states, {})
        self._language = languages[int(logits[0, languages].argmax())]
        return self._language

    def _step(self, i: int) -> Floats:
        """The logits after token i, with the keys and values of those before it."""
        if i >= self.model.config.max_tokens:
            return np.zeros((1, self.n_vocab), np.float32)
        past = {
            name: array[:, :, :i] if ".decoder." in name else array
            for name, array in self._cache.items()
        }
        logits, present = self.model.decode([self._tokens[i]], self._states, past)
        self._cache |= present
        self._n_cached = i + 1
        return logits


def _run(session: Any, outputs: list[str], feed: dict[str, Any], path: Path) -> list[Any]:
    try:
        return list(session.run(outputs, feed))
    except Exception as error:  # onnxruntime raises its own types, not one base
        raise OperationError(f"{path}: onnxruntime failed: {one_line(error)}") from None
