# SPDX-License-Identifier: Apache-2.0
"""A converted decoder beside its source: transformers and the ring on the same tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgestream._native import Decoder, RingDecoder
from edgestream.convert.verify.source import running
from edgestream.decoder.model import DecoderModel
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields
from edgestream.onnx.decoder import OnnxDecoder
from edgestream.onnx.session import one_line
from edgestream.onnx.weights import OnnxModel

N_TOKENS = 128
# Allowed root mean square of the logits' differences, as a share of the logits' own spread: half as
# much again as random weights, which average nothing out, need. Of unrelated logits it is 1.41.
BOUNDS = {
    "f32": 0.001, "f16": 0.01, "bf16": 0.03, "q8_0": 0.08, "int8": 0.08, "q6_k": 0.2,
    "q5_k_m": 0.4, "q4_k_m": 0.65, "q4_0": 0.75, "q4": 0.75,
}  # fmt: skip
TEXT = (
    "The ferry left at 7:45 in the morning, and by noon nobody could see the shore. We had bread,"
    " two bottles of water and a map of 1938. \u201cIs it far?\u201d she asked. It was far, perhaps"
    " thirty miles, but the wind was good and the old sailor knew every rock between here and the"
    " lighthouse. Later, when the rain began, he told us how his father had once crossed the same"
    " bay in winter, alone, with a broken mast and a letter for the doctor in his coat."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the result's logits are off by, over `n_tokens` positions."""

    n_tokens: int
    max_abs: float  # largest difference of a logit
    relative_rms: float  # root mean square of differences over the logits' standard deviation
    same_argmax: float  # share of positions with the same most probable token
    bound: float  # of relative_rms
    same_tokens: bool | None  # whether both cut the text alike; None without a tokenizer

    @classmethod
    def of_logits(
        cls,
        given: NDArray[np.float32],
        expected: NDArray[np.float32],
        bound: float,
        same_tokens: bool | None,
    ) -> Comparison:
        """Of the result's logits [n, n_vocab] and the source's."""
        difference = (given - expected).astype(np.float64)
        return cls(
            n_tokens=len(given),
            max_abs=float(np.abs(difference).max()),
            relative_rms=float(np.sqrt((difference**2).mean()) / expected.std()),
            same_argmax=float((given.argmax(axis=1) == expected.argmax(axis=1)).mean()),
            bound=bound,
            same_tokens=same_tokens,
        )

    @property
    def holds(self) -> bool:
        """Whether the result is as near to its source as its type of weights should be."""
        return self.relative_rms <= self.bound and self.same_tokens is not False

    def __str__(self) -> str:
        cut = {None: "", True: ", text cut alike", False: ", text NOT cut alike"}[self.same_tokens]
        return (
            f"max|dlogit| {self.max_abs:.3g}, rms {self.relative_rms:.2%} of the logits' spread"
            f" (bound {self.bound:.1%}), same argmax {self.same_argmax:.1%} of {self.n_tokens}{cut}"
        )


def compare(source: Path, config: Fields, result: DecoderModel, quant: str) -> Comparison:
    """Runs both on a text, or on random tokens if the model has no tokenizer.

    Raises:
        UsageError: torch or transformers is not installed.
        ModelError: transformers cannot load the source.
    """
    tokens = _tokens(result, config)
    expected, given = _logits_of_source(source, tokens), _logits_of_result(result, tokens)
    return Comparison.of_logits(given, expected, BOUNDS[quant], _same_tokens(source, result))


def bound_of(decoder: Path) -> float:
    """What the type of a GGUF file's weights allows.

    libllama's quantizer writes down which it was asked for; where rows do not suit it, it takes
    others for some tensors.
    """
    import gguf

    asked_for = gguf.GGUFReader(decoder).fields.get("general.file_type")
    if asked_for is None:
        return BOUNDS[type_of(decoder, "blk.0.attn_q.weight")]
    name = gguf.LlamaFileType(int(asked_for.contents())).name
    return BOUNDS[name.removeprefix("MOSTLY_").lower()]


def type_of(path: Path, tensor: str) -> str:
    """The type of a tensor of a GGUF file, as BOUNDS has it."""
    import gguf

    kinds = {each.name: each.tensor_type.name for each in gguf.GGUFReader(path).tensors}
    return str(kinds[tensor]).lower()


def _tokens(result: DecoderModel, config: Fields) -> list[int]:
    n_vocab, n_rows = result.weights.n_vocab, config.integer("max_position_embeddings", 1, 1 << 30)
    tokens = result.tokenizer.encode(TEXT) if result.tokenizer else []
    if not tokens:
        tokens = np.random.default_rng(0).integers(0, n_vocab, N_TOKENS).tolist()
    return [int(token) for token in tokens[: min(N_TOKENS, n_rows)]]


def _same_tokens(source: Path, result: DecoderModel) -> bool | None:
    if result.tokenizer is None:
        return None
    from transformers import AutoTokenizer

    try:
        original = AutoTokenizer.from_pretrained(
            source, local_files_only=True, trust_remote_code=False
        )
        expected = original.encode(TEXT, add_special_tokens=False)
    except Exception as error:  # transformers raises whatever its parsing runs into
        raise ModelError(
            f"{source}: transformers has no tokenizer of it ({one_line(error)})"
        ) from None
    return bool(result.tokenizer.encode(TEXT, add_special=False) == expected)


def _logits_of_source(source: Path, tokens: list[int]) -> NDArray[np.float32]:
    with running(source) as transformers:
        import torch

        model = transformers.AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, local_files_only=True, use_safetensors=True,
            trust_remote_code=False, attn_implementation="eager",
        ).eval()  # fmt: skip
        with torch.inference_mode():
            logits = model(torch.tensor([tokens])).logits[0]
    array: NDArray[np.float32] = logits.float().numpy()
    return array


def _logits_of_result(result: DecoderModel, tokens: list[int]) -> NDArray[np.float32]:
    ring: Decoder
    if isinstance(result.weights, OnnxModel):
        ring = OnnxDecoder(result.weights, n_sinks=0, window=len(tokens), max_rows=1)
    else:  # float32 keys: it is the weights that are compared
        ring = RingDecoder(result.weights, n_sinks=0, window=len(tokens), kv_type="f32")
    rows = [ring.step(ring.token_embedding(token)[None]) for token in tokens]
    return np.stack(rows)
