# SPDX-License-Identifier: Apache-2.0
"""A Whisper in the form of CTranslate2, as faster-whisper keeps it, read as a checkpoint.

Its variables get the names and shapes that transformers gives them; config.json and
generation_config.json are put together out of shapes, its own config.json and tokenizer.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgestream.convert.checkpoint import CONFIG, Checkpoint
from edgestream.convert.models.ctranslate2_file import SCALE, CTranslate2File
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields, read_json
from edgestream.speech.reencoded.config import GENERATION, TOKENIZER
from edgestream.speech.reencoded.special_tokens import END, START, added_tokens, completed

MODEL, SPEC = "model.bin", "WhisperSpec"
MAX_LAYERS, MAX_HEADS = 1 << 8, 1 << 10
GELU, YES, NO = 3, 1, 0
# Of the numbers that choose how it computes, those of Whisper; all others must be off.
CHOICES = {"activation": GELU, "pre_norm": YES}
UNUSED = ("alignment_heads", "alignment_layer", "num_heads")  # unused, or read elsewhere
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a variable that make a tensor: the `index`-th of `n` equal parts."""

    variable: str
    shape: tuple[int, ...]
    index: int = 0
    n: int = 1


def is_ctranslate2(folder: Path) -> bool:
    """Whether the folder has such a file of weights and no other."""
    return (folder / MODEL).is_file() and not any(folder.glob("model*.safetensors*"))


class CTranslate2Checkpoint(Checkpoint):
    """Config and tensors by the names of transformers' Whisper."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelError when a file is missing, damaged or no Whisper's."""
        self.folder, self.model_type = folder, "whisper"
        self._model = CTranslate2File(self.file(MODEL))
        if self._model.model != SPEC:
            raise ModelError(
                f"{folder / MODEL}: a {self._model.model!r:.60} of CTranslate2; converted is {SPEC}"
            )
        if not self.has(TOKENIZER):
            raise ModelError(f"{folder}: {self._without_tokenizer()}")
        self.file(TOKENIZER)  # no link out of the folder
        self.config = Fields(self._config(), str(folder / MODEL))
        self._parts = dict(self._tensors(self.config))
        self._generation = self._generation_config()

    @contextmanager
    def opened(self) -> Iterator[CTranslate2Checkpoint]:
        """Shapes and arrays are known inside; every variable of the file must have its place."""
        self._check_choices()
        used = {part.variable for part in self._parts.values()} | {"decoder/projection/weight"}
        used |= {name + SCALE for name in used}
        for name, part in self._parts.items():
            met = self._variable(part.variable)
            rows = (part.shape[0] * part.n, *part.shape[1:])
            if met.shape != rows:
                raise ModelError(
                    f"{self._model.path}: {part.variable} for {name} has the shape"
                    f" {list(met.shape)}, not {list(rows)}"
                )
            if name.endswith("self_attn.q_proj.bias") or name.endswith("encoder_attn.v_proj.bias"):
                self._check_keys(part)
        others = [n for n, each in self._model.variables.items() if each.shape and n not in used]
        if others:
            raise ModelError(f"{self._model.path}: has {others[0]!r:.80}, which no Whisper has")
        self._shapes = {name: part.shape for name, part in self._parts.items()}
        yield self

    @property
    def n_bytes(self) -> int:
        """Size of all weights."""
        return self._model.path.stat().st_size

    def array(self, name: str) -> NDArray[Any]:
        """A tensor, float32 or as stored; raises ModelError if a number is not finite."""
        part = self._parts[name]
        values = self._model.array(part.variable)
        n_rows = part.shape[0]
        values = values[part.index * n_rows : (part.index + 1) * n_rows]
        return self._finite(name, values)

    def json_file(self, name: str) -> dict[str, Any] | None:
        """As of a checkpoint; what CTranslate2 does not keep was put together."""
        if name == CONFIG:
            return self.config.data
        return self._generation if name == GENERATION else super().json_file(name)

    def _without_tokenizer(self) -> str:
        beside = next((name for name in VOCABULARIES if self.has(name)), "")
        met = f"has {beside} but no {TOKENIZER}" if beside else f"has no {TOKENIZER}"
        return f"{met}; put beside it that of the Whisper of which it was made (openai/whisper-...)"

    def _variable(self, name: str) -> Any:
        if name not in self._model.variables:
            raise ModelError(f"{self._model.path}: the variable {name} is missing")
        return self._model.variables[name]

    def _shape(self, name: str, rank: int) -> tuple[int, ...]:
        shape: tuple[int, ...] = self._variable(name).shape
        if len(shape) != rank or 0 in shape:
            raise ModelError(f"{self._model.path}: {name} has the shape {list(shape)}")
        return shape

    def _config(self) -> dict[str, Any]:
        """config.json as transformers has it."""
        n_vocab, width = self._shape("decoder/embeddings/weight", 2)
        tokens = added_tokens(self.folder, TOKENIZER, n_vocab)
        if not {START, END} <= set(tokens):
            raise ModelError(
                f"{self.folder / TOKENIZER}: has no {START} or {END}; is it a Whisper's?"
            )
        config = {
            "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper",
            "activation_function": "gelu", "scale_embedding": False, "tie_word_embeddings": True,
            "vocab_size": n_vocab, "d_model": width,
            "num_mel_bins": self._shape("encoder/conv1/weight", 3)[1],
            "max_source_positions": self._shape("encoder/position_encodings/encodings", 2)[0],
            "max_target_positions": self._shape("decoder/position_encodings/encodings", 2)[0],
            "decoder_start_token_id": tokens[START],
            **dict.fromkeys(("eos_token_id", "bos_token_id", "pad_token_id"), tokens[END]),
        }  # fmt: skip
        for side in ("encoder", "decoder"):
            heads = self._scalar(f"{side}/num_heads")
            if not 0 < heads <= MAX_HEADS or width % heads:
                raise ModelError(f"{self._model.path}: {side} of {heads} heads in {width} numbers")
            config[f"{side}_layers"] = self._n_layers(side)
            config[f"{side}_attention_heads"] = heads
            config[f"{side}_ffn_dim"] = self._shape(f"{side}/layer_0/ffn/linear_0/weight", 2)[0]
        return config

    def _n_layers(self, side: str) -> int:
        n, names = 0, self._model.variables
        while f"{side}/layer_{n}/ffn/linear_0/weight" in names and n < MAX_LAYERS:
            n += 1
        return n

    def _scalar(self, name: str) -> int:
        self._shape(name, 0)
        return int(self._model.raw(name))

    def _check_choices(self) -> None:
        for name, variable in self._model.variables.items():
            choice = name.rpartition("/")[2]
            if variable.shape or choice in UNUSED or choice.endswith(SCALE):
                continue
            value, wanted = float(self._model.raw(name)), CHOICES.get(choice, NO)
            if value != wanted:
                raise ModelError(
                    f"{self._model.path}: {name} is {value:g}; converted is {wanted}, Whisper's"
                )

    def _check_keys(self, part: Part) -> None:
        """Keys have no bias in a Whisper; CTranslate2 writes zeros, in the middle or in front."""
        width, of_keys = part.shape[0], 1 if part.n == 3 else 0
        bias = self._model.array(part.variable)[of_keys * width : (of_keys + 1) * width]
        if bias.any():
            raise ModelError(f"{self._model.path}: {part.variable} has a bias of keys")

    def _generation_config(self) -> dict[str, Any]:
        own = Fields(read_json(self.file(CONFIG)), str(self.folder / CONFIG))
        end, n_vocab = self.config.data["eos_token_id"], self.config.data["vocab_size"]
        known = {
            "decoder_start_token_id": self.config.data["decoder_start_token_id"],
            **dict.fromkeys(("eos_token_id", "bos_token_id", "pad_token_id"), end),
            "max_length": self.config.data["max_target_positions"],
            "max_initial_timestamp_index": 50,  # a second, as in every published Whisper
            "suppress_tokens": own.get("suppress_ids", list, []),
            "begin_suppress_tokens": own.get("suppress_ids_begin", list, []),
            "alignment_heads": own.get("alignment_heads", list, []),
        }
        return completed(known, added_tokens(self.folder, TOKENIZER, n_vocab), n_vocab)

    def _tensors(self, config: Fields) -> Iterator[tuple[str, Part]]:
        """Name in transformers, and where its rows are."""
        c, width = config.data, config.data["d_model"]
        rows = {"encoder": c["max_source_positions"], "decoder": c["max_target_positions"]}
        yield (
            "model.decoder.embed_tokens.weight",
            Part("decoder/embeddings/weight", (c["vocab_size"], width)),
        )
        for i, n_in in ((1, c["num_mel_bins"]), (2, width)):
            yield f"model.encoder.conv{i}.weight", Part(f"encoder/conv{i}/weight", (width, n_in, 3))
            yield f"model.encoder.conv{i}.bias", Part(f"encoder/conv{i}/bias", (width,))
        for side, n_rows in rows.items():
            at = f"model.{side}."
            yield (
                f"{at}embed_positions.weight",
                Part(f"{side}/position_encodings/encodings", (n_rows, width)),
            )
            yield from _norm(at + "layer_norm", f"{side}/layer_norm", width)
            for i in range(c[f"{side}_layers"]):
                layer, source = f"{at}layers.{i}.", f"{side}/layer_{i}/"
                yield from _layer(layer, source, width, c[f"{side}_ffn_dim"])
                if side == "decoder":
                    yield from _across(layer, source, width)


def _layer(at: str, source: str, width: int, n_ffn: int) -> Iterator[tuple[str, Part]]:
    mine, theirs = at + "self_attn", source + "self_attention"
    yield from _norm(mine + "_layer_norm", theirs + "/layer_norm", width)
    yield from _linear([f"{mine}.{p}_proj" for p in "qkv"], theirs + "/linear_0", width, width)
    yield from _linear([mine + ".out_proj"], theirs + "/linear_1", width, width)
    yield from _norm(at + "final_layer_norm", source + "ffn/layer_norm", width)
    yield from _linear([at + "fc1"], source + "ffn/linear_0", n_ffn, width)
    yield from _linear([at + "fc2"], source + "ffn/linear_1", width, n_ffn)


def _across(at: str, source: str, width: int) -> Iterator[tuple[str, Part]]:
    mine, theirs = at + "encoder_attn", source + "attention"
    yield from _norm(mine + "_layer_norm", theirs + "/layer_norm", width)
    yield from _linear([mine + ".q_proj"], theirs + "/linear_0", width, width)
    yield from _linear([f"{mine}.{p}_proj" for p in "kv"], theirs + "/linear_1", width, width)
    yield from _linear([mine + ".out_proj"], theirs + "/linear_2", width, width)


def _norm(module: str, source: str, width: int) -> Iterator[tuple[str, Part]]:
    yield module + ".weight", Part(source + "/gamma", (width,))
    yield module + ".bias", Part(source + "/beta", (width,))


def _linear(modules: list[str], source: str, n: int, k: int) -> Iterator[tuple[str, Part]]:
    """Layers of one input, which CTranslate2 keeps as one; Whisper's keys have no bias."""
    for i, module in enumerate(modules):
        yield module + ".weight", Part(source + "/weight", (n, k), i, len(modules))
        if not module.endswith("k_proj"):
            yield module + ".bias", Part(source + "/bias", (n,), i, len(modules))
