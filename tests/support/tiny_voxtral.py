# SPDX-License-Identifier: Apache-2.0
"""A small random Voxtral Realtime: `python tiny_voxtral.py` writes data/tiny-voxtral by
transformers, a checkpoint as it is published with what transformers writes for `sound(60)`."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "data" / "tiny-voxtral"
STEP = 1280  # samples of 80 ms
N_SPECIAL, N_VOCAB, PAD, BOS = 40, 320, 32, 1
PAD_STEPS = 32
CONFIG = {
    "audio_config": {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "head_dim": 8, "num_mel_bins": 16, "sliding_window": 30,
        "hidden_act": "silu", "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    },
    "text_config": {
        "vocab_size": N_VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 24,
        "max_position_embeddings": 512,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "eos_token_id": None,
        "tie_word_embeddings": True,
    },
    "tie_word_embeddings": True,
}  # fmt: skip


def make(seed: int = 0):
    """The model, with weights that make it write many different tokens."""
    import torch
    from transformers import VoxtralRealtimeConfig, VoxtralRealtimeForConditionalGeneration

    torch.manual_seed(seed)
    model = VoxtralRealtimeForConditionalGeneration(VoxtralRealtimeConfig(**CONFIG)).eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_tokens" in name:
                weight.normal_(0, 0.5, generator=random)
            elif name.endswith("norm.weight"):
                weight.uniform_(0.5, 1.5, generator=random)
            elif weight.ndim >= 2:
                fan_in = weight[0].numel()
                weight.normal_(0, 1.5 * fan_in**-0.5, generator=random)
            else:
                weight.normal_(0, 0.1, generator=random)
    return model


def save(model, folder: Path) -> Path:
    """The checkpoint as it is published."""
    model.save_pretrained(folder)
    special = ["<unk>", "<s>", "</s>", *(f"<SPECIAL_{i}>" for i in range(3, N_SPECIAL))]
    special[PAD], special[PAD + 1] = "[STREAMING_PAD]", "[STREAMING_WORD]"
    ranks = [bytes([byte]) for byte in range(256)]
    ranks += [b" " + bytes([ord("a") + i]) for i in range(N_VOCAB - N_SPECIAL - 256)]
    tekken = {
        "config": {
            "pattern": PATTERN, "default_num_special_tokens": N_SPECIAL,
            "default_vocab_size": N_VOCAB, "num_vocab_tokens": len(ranks), "version": "v13",
        },
        "vocab": [
            {"rank": rank, "token_bytes": base64.b64encode(data).decode(), "token_str": None}
            for rank, data in enumerate(ranks)
        ],
        "special_tokens": [
            {"rank": rank, "token_str": text, "is_control": True}
            for rank, text in enumerate(special)
        ],
    }  # fmt: skip
    (folder / "tekken.json").write_text(json.dumps(tekken), encoding="utf-8")
    return folder


PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def sound(n_steps: int, seed: int = 0) -> np.ndarray:
    """Noise and a tone that swell and fade, [n_steps * STEP] float32."""
    t = np.arange(n_steps * STEP)
    noise = np.random.default_rng(seed).standard_normal(len(t)) * (1 + np.sin(t / 3000.0)) * 0.1
    return (noise + 0.3 * np.sin(t * (0.05 + 0.04 * np.sin(t / 9000.0)))).astype(np.float32)


def features(samples: np.ndarray):
    """What transformers makes of samples with silence before them [1, n_mels, frames]."""
    from transformers import VoxtralRealtimeFeatureExtractor

    extractor = VoxtralRealtimeFeatureExtractor(feature_size=CONFIG["audio_config"]["num_mel_bins"])
    led = np.concatenate([np.zeros(PAD_STEPS * STEP, np.float32), samples])
    return extractor(led, sampling_rate=16000, return_tensors="pt")["input_features"]


def written(model, samples: np.ndarray, delay: int = 6) -> list[int]:
    """What transformers writes for samples, from the first slot behind the prompt on."""
    import torch

    prompt = [BOS] + [PAD] * (PAD_STEPS + delay)
    with torch.no_grad():
        ids = model.generate(
            input_ids=torch.tensor([prompt]), input_features=features(samples),
            num_delay_tokens=delay, do_sample=False,
        )  # fmt: skip
    return ids[0].tolist()[len(prompt) :]


def main() -> None:
    model = make()
    save(model, FOLDER)
    (FOLDER / "generation_config.json").unlink(missing_ok=True)
    expected = {str(delay): written(model, sound(60), delay) for delay in (3, 6, 12)}
    (FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
