# SPDX-License-Identifier: Apache-2.0
"""An ONNX decoder's file: which layout it has, how wide it is, how its positions turn."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError
from edgestream.library.json_file import Fields, read_json
from edgestream.library.manifest.ring import EMBEDDINGS_FILE
from edgestream.onnx.operators import check_operators
from edgestream.onnx.rope import Doubles, inverse_frequencies
from edgestream.onnx.session import CPU, NUMPY_TYPES, one_line, open_session

TURNED_INPUTS = {"inputs_embeds", "rope_cos", "rope_sin"}
RING_INPUTS = TURNED_INPUTS | {"write_index", "attention_bias"}
SHARED_INPUTS = TURNED_INPUTS | {"seqlens_k", "total_sequence_length"}
COMMUNITY_INPUTS = {"inputs_embeds", "attention_mask", "position_ids"}
SWITCHES = {"use_cache_branch", "num_logits_to_keep"}  # of community exports; always one
CACHE = (
    re.compile(r"(?P<side>past|present)\D*(?P<layer>\d{1,4})\D*(?P<kind>key|value)\D*"),
    re.compile(r"(?P<side>past|present)_(?P<kind>key|value)\D*(?P<layer>\d{1,4})"),
)


class Cache(NamedTuple):
    """Names of one layer's keys or values."""

    past: str
    present: str


class OnnxModel:
    """Weights of an ONNX decoder, shared by its streams.

    Layouts B and C, as `edgestream.convert` writes them: the graph writes keys into the ring that
    the host plans. Layout A, the community's: `inputs_embeds`, `attention_mask`, `position_ids` and
    past keys in, present keys out. Token embeddings come from `embed_tokens.onnx` beside the file.

    Attributes:
        layout: "A", "B" or "C".
        providers_asked, providers: of onnxruntime, as asked for and as really used.
    """

    def __init__(self, path: Path, *, providers: Sequence[str] = (CPU,)) -> None:
        """Raises ModelError, naming file and finding, on one that is damaged or not supported."""
        self.path = path
        self.session = open_session(path, providers=providers)
        self.providers_asked = tuple(providers)
        self.providers: tuple[str, ...] = tuple(self.session.get_providers())
        self.inputs = {i.name: i for i in self.session.get_inputs()}
        self.outputs = {o.name: o for o in self.session.get_outputs()}
        self.layout = self._layout()
        if self.layout != "A":
            check_operators(self.providers)
        self.keys, self.values = self._caches("key"), self._caches("value")
        self.n_layers = len(self.keys)
        self.dtype = self._dtype(self.keys[0].past)
        self.n_kv_heads = self._width(self.keys[0].past, 1)
        self.head_dim = self._width(self.keys[0].past, 3)
        self.n_embd = self._width("inputs_embeds", 2)
        self.inv_freq = self._inverse_frequencies()
        self._embeddings = open_session(path.parent / EMBEDDINGS_FILE)
        self.n_vocab = self._check_embeddings()

    def token_embedding(self, token: int) -> NDArray[np.float32]:
        """The input embedding of a token [n_embd]."""
        feed = {self._embeddings.get_inputs()[0].name: self._token_ids([token])}
        try:
            row = self._embeddings.run(None, feed)[0]
        except Exception as error:  # onnxruntime raises its own types, not one base
            raise ValueError(f"{self.path}: no embedding of {token}: {one_line(error)}") from None
        return np.asarray(row, np.float32).reshape(-1)

    def token_texts(self) -> list[str]:
        """The tokenizer's text of every token as the writer stored it; empty when it did not."""
        return [str(text) for text in self._property("edgestream.token_texts") or []]

    def _layout(self) -> str:
        names = {name for name in self.inputs if not _cache_name(name)}
        if names in (RING_INPUTS, SHARED_INPUTS):
            return "B" if names == RING_INPUTS else "C"
        if "inputs_embeds" not in names and "input_ids" in names:
            raise ModelError(
                f"{self.path}: takes token ids only, a stream has embeddings; export the model with"
                f" inputs_embeds and {EMBEDDINGS_FILE}"
            )
        if "position_ids" not in names and "attention_mask" in names:
            raise ModelError(
                f"{self.path}: has no position_ids, so rows cannot be placed in a ring; export it"
                " with position_ids or write it with edgestream.convert"
            )
        if names - SWITCHES == COMMUNITY_INPUTS:
            return "A"
        raise ModelError(
            f"{self.path}: inputs {sorted(names)[:12]} are not those of a decoder; known are"
            f" {sorted(COMMUNITY_INPUTS)} and {sorted(RING_INPUTS)}, with past keys and values"
        )

    def _caches(self, kind: str) -> list[Cache]:
        """Names by layer."""
        found: dict[str, dict[int, str]] = {"past": {}, "present": {}}
        for name in (*self.inputs, *self.outputs):
            match = _cache_name(name)
            if match and match["kind"] == kind:
                found[match["side"]][int(match["layer"])] = name
        layers = range(len(found["past"]))
        if not found["past"] or any(set(found[side]) != set(layers) for side in found):
            raise ModelError(
                f"{self.path}: past and present {kind}s do not belong together, layer by layer"
                f" ({len(found['past'])} in, {len(found['present'])} out)"
            )
        return [Cache(found["past"][i], found["present"][i]) for i in layers]

    def _width(self, name: str, axis: int) -> int:
        shape = self.inputs[name].shape
        width = shape[axis] if len(shape) > axis else None
        if not isinstance(width, int) or not 0 < width < 1 << 20:
            raise ModelError(
                f"{self.path}: {name} has the shape {shape}, axis {axis} must be fixed"
            )
        return width

    def _dtype(self, name: str) -> type[np.generic]:
        kind = self.inputs[name].type
        if kind not in ("tensor(float)", "tensor(float16)"):
            raise ModelError(f"{self.path}: {name} is {kind}; supported are float and float16")
        return NUMPY_TYPES[kind]

    def _inverse_frequencies(self) -> Doubles:
        stored = self._property("edgestream.inv_freq") if self.layout != "A" else None
        if self.layout == "A":
            stored = inverse_frequencies(self._config(), self.head_dim).tolist()
        try:
            frequencies = np.array(stored, np.float64)
        except (TypeError, ValueError):
            frequencies = np.empty(0)
        if frequencies.shape != (self.head_dim // 2,) or not np.isfinite(frequencies).all():
            raise ModelError(
                f"{self.path}: edgestream.inv_freq must be {self.head_dim // 2} numbers"
            )
        return frequencies

    def _config(self) -> dict[str, Any]:
        """`config.json` of a community repository, beside the file or one folder up."""
        for folder in (self.path.parent, self.path.parent.parent):
            if (path := folder / "config.json").exists():
                config = Fields(read_json(path), str(path))
                return config.get("text_config", dict, config.data)  # type: ignore[no-any-return]
        raise ModelError(f"{self.path}: config.json is missing; its rope_theta is needed")

    def _property(self, name: str) -> Any:
        try:  # what is no UTF-8 fails at the first line
            properties = self.session.get_modelmeta().custom_metadata_map
            return json.loads(properties.get(name, "null"))
        except (ValueError, RecursionError):
            raise ModelError(f"{self.path}: the property {name} is not JSON") from None

    def _check_embeddings(self) -> int:
        """Number of tokens; refuses embeddings that are of another model."""
        inputs, outputs = self._embeddings.get_inputs(), self._embeddings.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or outputs[0].shape[-1] != self.n_embd:
            raise ModelError(
                f"{EMBEDDINGS_FILE}: must map token ids to rows of {self.n_embd}, as"
                f" {self.path} takes them"
            )
        logits = self.outputs.get("logits")
        if logits is None or not isinstance(logits.shape[-1], int):
            raise ModelError(f"{self.path}: has no output 'logits' of fixed width")
        return int(logits.shape[-1])

    def _token_ids(self, tokens: list[int]) -> NDArray[np.int64]:
        """Of the rank that the file takes: [N], or [1, N] in community exports."""
        rank = len(self._embeddings.get_inputs()[0].shape)
        return np.array(tokens, np.int64).reshape((1,) * (rank - 1) + (-1,))


def _cache_name(name: str) -> re.Match[str] | None:
    """ "past_key_values.0.key", "past_0_key" and "past_key_0" are all met."""
    return CACHE[0].fullmatch(name) or CACHE[1].fullmatch(name)
