# SPDX-License-Identifier: Apache-2.0
"""A vision language model as its checkpoint has it, run by transformers (5 and later)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.convert.models.tower import TowerConfig
from edgestream.convert.verify.source import running

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the source makes of a picture and a text around it."""

    rows: Floats  # [n, row width] of the picture, deepstack's parts side by side
    written: list[int]  # greedy tokens behind the prompt
    logits: Floats  # [n_after + n_written, n_vocab] of each row behind the picture


def run_source(
    folder: Path,
    tower: TowerConfig,
    picture: NDArray[np.uint8],
    before: list[int],
    after: list[int],
    n_written: int,
) -> Seen:
    """Greedy text behind the tokens `before`, the picture [height, width, 3] and `after`.

    Raises:
        UsageError: torch or transformers is not installed.
        ModelError: transformers cannot run the checkpoint.
    """
    with running(folder) as transformers:
        import torch

        model = transformers.AutoModelForImageTextToText.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True,
            trust_remote_code=False, attn_implementation="eager",
        ).eval()  # fmt: skip
        with torch.inference_mode():
            return _see(model, pixels(picture, tower), before, after, n_written)


def pixels(picture: NDArray[np.uint8], tower: TowerConfig) -> dict[str, NDArray[Any]]:
    """A picture of whole cells as the source's own processor would give it.

    Qwen's patches are rows [channel, time, height, width], those that become one row next to one
    another, and a still picture stands twice in time.
    """
    scaled = picture.astype(np.float32) / 255 - np.array(tower.normalization.mean, np.float32)
    planes = (scaled / np.array(tower.normalization.deviation, np.float32)).transpose(2, 0, 1)
    if tower.longest_edge:
        return {"pixel_values": planes[None, None]}
    p, m = tower.sizes.patch_size, tower.n_merge
    n_down, n_across = (side // (p * m) for side in planes.shape[1:])
    cut = planes.reshape(3, n_down, m, p, n_across, m, p).transpose(1, 4, 2, 5, 0, 3, 6)
    n_patches = n_down * n_across * m * m
    patches = np.repeat(cut.reshape(n_patches, 3, 1, p, p), 2, axis=2).reshape(n_patches, -1)
    return {
        "pixel_values": patches,
        "image_grid_thw": np.array([[1, n_down * m, n_across * m]]),
    }


def _see(
    model: Any, inputs: dict[str, NDArray[Any]], before: list[int], after: list[int], n_written: int
) -> Seen:
    import torch

    given = {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in inputs.items()}
    features = model.get_image_features(**given)
    parts = [features.pooler_output, *(getattr(features, "deepstack_features", None) or ())]
    rows = torch.cat([torch.cat(list(part)).flatten(0, -2) for part in parts], dim=-1)
    tokens = [*before, *[model.config.image_token_id] * len(rows), *after]
    for _ in range(n_written):
        tokens.append(int(_logits(model, given, tokens, 1)[-1].argmax()))
    written = tokens[len(tokens) - n_written :]
    logits = _logits(model, given, tokens, len(after) + n_written)
    return Seen(rows.numpy(), written, logits.numpy())


def _logits(model: Any, given: dict[str, Any], tokens: list[int], n_last: int) -> Any:
    import torch

    ids = torch.tensor([tokens])
    kinds = {}
    if "image_grid_thw" in given:  # positions on three axes are found by what each token is
        kinds["mm_token_type_ids"] = (ids == model.config.image_token_id).int()
    return model(input_ids=ids, **given, **kinds, use_cache=False).logits[0, -n_last:].float()
