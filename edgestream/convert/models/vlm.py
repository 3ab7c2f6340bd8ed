# SPDX-License-Identifier: Apache-2.0
"""Vision language models: a checkpoint becomes a decoder, a vision tower and a manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.gguf.mmproj import write_mmproj
from edgestream.convert.gguf.quantize import GGUF_QUANTS, write_quantized
from edgestream.convert.gguf.tensors import View
from edgestream.convert.models.decoder_config import SEEING, DecoderConfig, read_decoder_config
from edgestream.convert.models.tower import TowerConfig
from edgestream.convert.models.tower_qwen import read_qwen3, read_qwen25
from edgestream.convert.models.tower_siglip import read_tower
from edgestream.convert.request import Request
from edgestream.convert.tokenizer.find import read_vocabulary
from edgestream.convert.verify.vlm import Difference, compare_vlm
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields
from edgestream.library.manifest.manifest import FORMAT, VLM
from edgestream.library.manifest.vlm import VlmDecoderSpec, VlmManifest, VlmPromptSpec, VlmTowerSpec
from edgestream.library.manifest.write import write_manifest
from edgestream.library.progress import Progress
from edgestream.vision.vlm.model import VlmModel

SYSTEM_PROMPT = (
    "You comment on a live video. You are shown what something happens to, and told what is known"
    " of it. Say in one short sentence what you see. If you see nothing, answer with three dots."
)
QUESTION = "What happens here? Answer in one short sentence."
DECODER, TOWER = "decoder.gguf", "mmproj.gguf"
TOWERS: dict[str, Callable[[Checkpoint, int], TowerConfig]] = {
    "smolvlm": read_tower,
    "idefics3": read_tower,
    "qwen2_5_vl": read_qwen25,
    "qwen3_vl": read_qwen3,
}
# What `text_config` may call itself; files without one are of the first days.
DECODERS = {
    "smolvlm": ("llama",),
    "idefics3": ("llama",),
    "qwen2_5_vl": ("qwen2_5_vl_text", "qwen2_5_vl"),
    "qwen3_vl": ("qwen3_vl_text",),
}
# Beginnings of tensors' names that have changed over the years, and what stands for all of them.
BEGINNINGS = {
    "model.visual.": "visual.",
    "model.language_model.": "model.",
    "model.text_model.": "model.",
}
OF_TOWERS = ("visual.", "model.vision_model.", "model.connector.")
HEAD = "lm_head.weight"


class Part(View):
    """The tensors of a checkpoint that are the tower's, or those that are not, by usual names."""

    def __init__(self, checkpoint: Checkpoint, *, of_tower: bool) -> None:
        super().__init__(checkpoint)
        self._checkpoint = checkpoint
        self._names: dict[str, str] = {}
        for name in checkpoint.shapes:
            usual = _usual(name)
            if usual.startswith(OF_TOWERS) != of_tower:
                continue
            if usual in self._names:
                raise ModelError(
                    f"{self.folder}: {name!r:.100} and {self._names[usual]!r:.100} are one tensor"
                )
            self._names[usual] = name

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor by its usual name."""
        return {usual: self._checkpoint.shapes[name] for usual, name in self._names.items()}

    def array(self, name: str) -> NDArray[Any]:
        """A tensor as stored."""
        return self._checkpoint.array(self._names[name])


def _usual(name: str) -> str:
    for old, usual in BEGINNINGS.items():
        if name.startswith(old):
            return usual + name.removeprefix(old)
    return name


def read_configs(checkpoint: Checkpoint) -> tuple[DecoderConfig, TowerConfig]:
    """Of the decoder and the tower.

    Raises:
        ModelError: a value is missing, out of range or not supported.
    """
    config = checkpoint.config
    text = config
    if "text_config" in config.data:
        text = config.table("text_config")
        text.refuse("model_type", *DECODERS[checkpoint.model_type])
    decoder = read_decoder_config(text, SEEING[checkpoint.model_type])
    tower = TOWERS[checkpoint.model_type](checkpoint, decoder.n_embd)
    n_deepstack = len(tower.deepstack_layers)
    if n_deepstack >= decoder.n_layers:
        raise ModelError(
            f"{config.where}: {n_deepstack} deepstack layers, the decoder has {decoder.n_layers}"
        )
    tied = _is_tied(config, text, has_head=HEAD in checkpoint.shapes)
    return dataclasses.replace(decoder, tied=tied, n_deepstack=n_deepstack), tower


def _is_tied(config: Fields, text: Fields, *, has_head: bool) -> bool:
    """What the whole says goes before what its text part says, where there is an output to use."""
    said = [each.flag("tie_word_embeddings", False) for each in (config, text)
            if each.data.get("tie_word_embeddings") is not None]  # fmt: skip
    return said[0] if said and has_head else any(said)


def write(checkpoint: Checkpoint, folder: Path, request: Request, progress: Progress) -> None:
    """Writes the model's folder.

    Raises:
        ModelError: the checkpoint is damaged or not supported.
        UsageError: another format, or a quantization that there is not.
    """
    _, quant = request.choose(GGUF_QUANTS)
    decoder, tower = read_configs(checkpoint)
    vocabulary = read_vocabulary(checkpoint, decoder.n_vocab)
    if vocabulary is None:
        raise ModelError(f"{checkpoint.folder}: has no tokenizer for the words around a picture")
    kind = "f32" if quant == "f32" else "f16"
    vision, text = (Part(checkpoint, of_tower=of_tower) for of_tower in (True, False))
    write_mmproj(folder / TOWER, vision, tower, kind, progress)
    write_quantized(folder / DECODER, text, decoder, vocabulary, quant, request.n_threads, progress)
    checkpoint.copy_license(folder)
    write_manifest(folder, _manifest(checkpoint, request), request.entry)
    VlmModel(folder)  # what cannot be loaded is not delivered


def compare(checkpoint: Checkpoint, folder: Path) -> Difference:
    """The result's rows of a picture and logits beside those of transformers."""
    _, tower = read_configs(checkpoint)
    return compare_vlm(checkpoint.folder, tower, folder)


def _manifest(checkpoint: Checkpoint, request: Request) -> VlmManifest:
    return VlmManifest(
        format=FORMAT,
        name=request.name,
        family=VLM,
        description=f"{checkpoint.model_type}, converted from {request.source}",
        languages=(),
        license=checkpoint.license(),
        files={},
        tower=VlmTowerSpec(TOWER),
        decoder=VlmDecoderSpec(DECODER),
        prompt=VlmPromptSpec(SYSTEM_PROMPT, QUESTION),
    )
