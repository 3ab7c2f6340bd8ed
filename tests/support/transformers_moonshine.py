# SPDX-License-Identifier: Apache-2.0
"""What transformers writes for the random Moonshines of the tests: the known answer.

python tests/transformers_moonshine.py   # with torch and transformers: renews the answers
"""

from __future__ import annotations

import json
from pathlib import Path

import tiny_moonshine as tiny
from transformers_whisper import SEEDS, sound

ANSWERS = Path(__file__).parents[1] / "data" / "moonshine_answers.json"
N_TOKENS = 40


def answer(seed: int) -> list[int]:
    """Greedy tokens behind the start, at most N_TOKENS."""
    import torch
    from transformers import MoonshineConfig, MoonshineForConditionalGeneration

    model = MoonshineForConditionalGeneration(MoonshineConfig(**tiny.CONFIG)).eval()
    weights = {name: torch.from_numpy(array) for name, array in tiny.tensors(seed).items()}
    weights["proj_out.weight"] = weights["model.decoder.embed_tokens.weight"]
    model.load_state_dict(weights)
    with torch.no_grad():
        heard = torch.from_numpy(sound(seed))[None]
        tokens = model.generate(heard, do_sample=False, max_new_tokens=N_TOKENS)
    return [int(token) for token in tokens[0][1:]]


if __name__ == "__main__":
    ANSWERS.write_text(json.dumps({seed: answer(seed) for seed in SEEDS}) + "\n", encoding="utf-8")
