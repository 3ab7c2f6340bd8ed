# SPDX-License-Identifier: Apache-2.0
"""The two graphs of an encoder-decoder for speech: Whisper and Moonshine in ONNX.

The files are those of the public exports: an encoder (`input_features` [1, n_mels, frames] or
`input_values` [1, samples] -> `last_hidden_state`) and a merged decoder (`input_ids`,
`encoder_hidden_states`, `past_key_values.N.{decoder,encoder}.{key,value}`, `use_cache_branch` ->
`logits`, `present.*`). The branch without a cache takes any number of tokens, so committed tokens,
prompt and draft are one run; the other branch was traced for one token and gets one. Some exports
also give `cross_attentions.N` [1, n_heads, tokens, encoder rows]: where a token was heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError, OperationError
from edgestream.onnx.session import NUMPY_TYPES, one_line, open_session
from edgestream.speech.reencoded.config import RATE_HZ, WINDOW_MS, SpeechConfig

Floats = NDArray[np.float32]
HOP_SAMPLES = 160  # of an input row: a mel frame, or as many samples
WINDOW_FRAMES = WINDOW_MS * RATE_HZ // 1000 // HOP_SAMPLES
MIN_SAMPLES = 1024  # Moonshine's convolutions need 895 for their first row
# Of silence that the encoder hears behind the sound, by kind: a Whisper was trained on sound that
# ends in silence, and without it says the last sentence again. docs/whisper.md has the errors and
# the cost of other lengths; Moonshine was trained on sound as long as it is.
SILENCE_MS = {"whisper": 6000, "moonshine": 0}
DYNAMIC_RANGE = 8.0  # decades below the loudest bin of a window that Whisper hears
CODE, PAYLOAD = 0, 1  # columns of a row: what it is, and from there on its numbers
ALSO = {"cache_position", "encoder_attention_mask"}  # inputs that some exports have
MASK = (
    "attention_mask"  # of an encoder that hears several lengths at once; then both are of samples
)
STATE_SAMPLES = 384  # of a state of Moonshine's encoder: the strides of its convolutions
CACHE, PRESENT = "past_key_values.", "present."
CROSS_ATTENTIONS = "cross_attentions."  # outputs of exports with attention, by layer


class Decoded(NamedTuple):
    """Of a run of tokens [n]."""

    logits: Floats  # [n, n_vocab] after each
    caches: dict[str, NDArray[Any]]  # with a past, the decoder's own alone
    attention: Floats  # [n_aligned_heads, n, encoder rows]; of no heads if it was not wanted


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
        self.n_heads = int(self.inputs[self.caches[0]].shape[1])
        self.aligned_heads = self._aligned_heads()
        self.silence_rows = SILENCE_MS[config.kind] * RATE_HZ // 1000 // HOP_SAMPLES
        self.padded = self._needs_padding()

    @property
    def payload(self) -> int:
        """Numbers of an input row."""
        return self.config.n_mels or HOP_SAMPLES

    def encode(self, rows: Floats) -> NDArray[Any]:
        """A window of input rows [n, 1 + payload] to encoder states [1, m, width]."""
        given, *masks = self.encoder.get_inputs()
        heard: NDArray[Any] = self.heard(rows).astype(NUMPY_TYPES[given.type])
        feed: dict[str, Any] = {given.name: heard}
        feed |= {each.name: np.ones(heard.shape, NUMPY_TYPES[each.type]) for each in masks}
        return np.asarray(_run(self.encoder, ["last_hidden_state"], feed, self.encoder_path)[0])

    def decode(
        self,
        tokens: Sequence[int],
        states: NDArray[Any],
        past: dict[str, NDArray[Any]],
        *,
        look: bool = False,
    ) -> Decoded:
        """Runs tokens behind those whose caches are `past`; `look`: with attention."""
        kept = [name for name in self.caches if not past or ".decoder." in name]
        layers = sorted({layer for layer, _ in self.aligned_heads}) if look else []
        outputs = ["logits", *(name.replace(CACHE, PRESENT, 1) for name in kept)]
        outputs += [f"{CROSS_ATTENTIONS}{layer}" for layer in layers]
        feed = self._feed(tokens, states, past)
        logits, *rest = _run(self.decoder, outputs, feed, self.decoder_path)
        if logits.shape != (1, len(tokens), self.config.n_vocab):
            raise OperationError(f"{self.decoder_path}: gives logits of shape {logits.shape}")
        caches = dict(zip(kept, rest, strict=False))
        seen = dict(zip(layers, rest[len(kept) :], strict=True))
        attention = self._aligned(seen, len(tokens), states.shape[1])
        return Decoded(np.array(logits[0], np.float32), caches, attention)

    def _feed(
        self, tokens: Sequence[int], states: NDArray[Any], past: dict[str, NDArray[Any]]
    ) -> dict[str, Any]:
        feed: dict[str, Any] = {}
        for name, each in self.inputs.items():
            kind = NUMPY_TYPES[each.type]
            if name == "input_ids":
                feed[name] = np.array([tokens], kind)
            elif name == "encoder_hidden_states":
                feed[name] = np.asarray(states, kind)
            elif name == "encoder_attention_mask":
                feed[name] = np.ones((1, states.shape[1] * self._mask_step), kind)
            elif name == "cache_position":
                n_past = next(iter(past.values())).shape[2] if past else 0
                feed[name] = np.arange(n_past, n_past + len(tokens), dtype=kind)
            elif name == "use_cache_branch":
                feed[name] = np.array([bool(past)], kind)
            else:
                empty = (1, each.shape[1], 0, each.shape[3])
                feed[name] = np.ascontiguousarray(past[name]) if past else np.zeros(empty, kind)
        return feed

    def _aligned(self, seen: dict[int, NDArray[Any]], n: int, m: int) -> Floats:
        """The aligned heads of the layers' attention [n_heads, n, m]."""
        heads = [(layer, head) for layer, head in self.aligned_heads if layer in seen]
        for array in seen.values():
            if array.shape != (1, self.n_heads, n, m):
                raise OperationError(f"{self.decoder_path}: attention of shape {array.shape}")
        found = np.empty((len(heads), n, m), np.float32)
        for i, (layer, head) in enumerate(heads):
            found[i] = seen[layer][0, head]
        return found

    def heard(self, rows: Floats) -> Floats:
        """What the encoder hears of a window: normalised mel [1, n_mels, frames], or samples."""
        return self._features(rows) if self.config.n_mels else self._samples(rows)

    def _features(self, rows: Floats) -> Floats:
        """Whisper's normalisation: 8 decades below the loudest; silence behind the sound."""
        n_frames = self._n_frames(len(rows))
        frames = np.full((n_frames, self.config.n_mels), -10.0, np.float32)  # log10 of its floor
        frames[: len(rows)] = rows[:n_frames, PAYLOAD:]
        frames = (np.maximum(frames, frames.max() - np.float32(DYNAMIC_RANGE)) + 4) / 4
        return np.ascontiguousarray(frames.T[None], np.float32)

    def _n_frames(self, n_rows: int) -> int:
        """Frames of a window, silence included; the encoder halves their number."""
        if self.padded:
            return WINDOW_FRAMES
        n_frames = max(n_rows, min(WINDOW_FRAMES, n_rows + self.silence_rows))
        return n_frames + n_frames % 2

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

    def heard_rows(self, n_rows: int, n_states: int) -> int:
        """Those of the encoder's rows that heard the window's `n_rows`, not silence behind them."""
        if not self.config.n_mels:
            return n_states
        return max(1, n_states * n_rows // self._n_frames(n_rows))

    def _aligned_heads(self) -> list[tuple[int, int]]:
        """Layers and heads that look where a token is heard: those that generation_config.json
        names, else all in the upper half, as openai-whisper does; none without such outputs."""
        n_layers = len({name.split(".")[1] for name in self.caches})
        if not {f"{CROSS_ATTENTIONS}{i}" for i in range(n_layers)} <= set(self.outputs):
            return []
        named = list(self.config.alignment_heads)
        for layer, head in named:
            if layer >= n_layers or head >= self.n_heads:
                raise ModelError(
                    f"{self.decoder_path}: has no head {head} in layer {layer}, which"
                    " alignment_heads of generation_config.json names"
                )
        upper = range(n_layers // 2, n_layers)
        return named or [(layer, head) for layer in upper for head in range(self.n_heads)]

    def _check(self) -> None:
        heard = "input_features" if self.config.n_mels else "input_values"
        encoder = [each.name for each in self.encoder.get_inputs()]
        self._mask_step = STATE_SAMPLES if MASK in encoder else 1
        if encoder != [heard] and (self.config.n_mels or encoder != [heard, MASK]):
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


def _run(session: Any, outputs: list[str], feed: dict[str, Any], path: Path) -> list[Any]:
    try:
        return list(session.run(outputs, feed))
    except Exception as error:  # onnxruntime raises its own types, not one base
        raise OperationError(f"{path}: onnxruntime failed: {one_line(error)}") from None
