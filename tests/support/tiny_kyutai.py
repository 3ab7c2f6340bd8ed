# SPDX-License-Identifier: Apache-2.0
"""A small random Kyutai stt: `python tiny_kyutai.py` writes data/tiny-kyutai by transformers.

That folder is a checkpoint as it is published, but for Mimi's decoder, with what transformers
writes for `sound(80)` in expected.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "data" / "tiny-kyutai"
FRAME = 1920  # samples of 80 ms
N_TEXT, N_BOOKS, N_CODES = 41, 4, 17
CODEC = {
    "model_type": "mimi", "hidden_size": 16, "num_filters": 2, "upsampling_ratios": [8, 6, 5, 4],
    "codebook_size": N_CODES - 1, "codebook_dim": 8, "vector_quantization_hidden_dimension": 8,
    "num_quantizers": N_BOOKS, "num_semantic_quantizers": 1, "num_hidden_layers": 2,
    "intermediate_size": 24, "num_attention_heads": 2, "num_key_value_heads": 2,
    "sliding_window": 12, "upsample_groups": 16, "layer_scale_initial_scale": 0.5,
}  # fmt: skip
CONFIG = {
    "codec_config": CODEC, "codebook_vocab_size": N_CODES, "vocab_size": N_TEXT, "hidden_size": 32,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 8,
    "max_position_embeddings": 24, "sliding_window": 24, "ffn_dim": 96, "num_codebooks": N_BOOKS,
    "audio_bos_token_id": N_CODES - 1, "audio_pad_token_id": N_TEXT + N_BOOKS * N_CODES,
    "pad_token_id": 3, "bos_token_id": N_TEXT - 1,
}  # fmt: skip
PIECES = ["<unk>", "<s>", "</s>", "<pad>", *(f"▁w{i}" for i in range(4, 20)), *"abcdefgh.,?é"]


def make(seed: int = 0):
    """The model, with weights that make it write many different tokens."""
    import torch
    from transformers import KyutaiSpeechToTextConfig, KyutaiSpeechToTextForConditionalGeneration

    torch.manual_seed(seed)
    model = KyutaiSpeechToTextForConditionalGeneration(KyutaiSpeechToTextConfig(**CONFIG)).eval()
    random = torch.Generator().manual_seed(seed)
    for name, weight in [*model.named_parameters(), *model.named_buffers()]:
        with torch.no_grad():
            if name.endswith("embed_sum") or name.endswith("embed_tokens.weight"):
                weight.normal_(0, 1, generator=random)
            elif name.endswith(("cluster_usage", "norm.weight", "layernorm.weight")):
                weight.uniform_(0.5, 1.5, generator=random)
            elif weight.ndim == 2:
                weight.normal_(0, 1.5 * weight.shape[1] ** -0.5, generator=random)
    return model


def save(model, folder: Path) -> Path:
    """The checkpoint as it is published."""
    model.save_pretrained(folder)
    vocabulary = [[piece, 0.0] for piece in PIECES]
    tokenizer = {"version": "1.0", "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    settings = {"audio_delay_seconds": 0.5, "audio_silence_prefix_seconds": 1.0}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def convert(checkpoint: Path, folder: Path, quant: str = "f32") -> Path:
    """A model's folder of a checkpoint."""
    from edgestream.convert.checkpoint import Checkpoint
    from edgestream.convert.registry import find_converter
    from edgestream.convert.request import Request

    folder.mkdir(parents=True, exist_ok=True)
    opened = Checkpoint(checkpoint)
    request = Request("tiny", "a test", "gguf", quant, n_threads=1)
    with opened.opened():
        find_converter(opened).write(opened, folder, request, lambda *done: None)
    return folder


def sound(n_frames: int, seed: int = 0) -> np.ndarray:
    """Noise that swells and fades, [n_frames * FRAME] float32."""
    n = n_frames * FRAME
    swell = 0.3 * (1 + np.sin(np.arange(n) / 5000.0))
    return (swell * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def written(model, samples: np.ndarray) -> list[int]:
    """What transformers writes for samples, from the slot of the first frame on."""
    import torch

    with torch.no_grad():
        ids = model.generate(input_values=torch.tensor(samples)[None, None], do_sample=False)
    return ids[0].tolist()[2:]  # BOS, and the slot before the first frame


def main() -> None:
    from safetensors.numpy import load_file, save_file

    model = make()
    save(model, FOLDER)
    weights = load_file(FOLDER / "model.safetensors")
    unused = ("codec_model.decoder", "codec_model.upsample")
    kept = {name: array for name, array in weights.items() if not name.startswith(unused)}
    save_file(kept, FOLDER / "model.safetensors", {"format": "pt"})
    (FOLDER / "generation_config.json").unlink()
    (FOLDER / "expected.json").write_text(json.dumps(written(model, sound(80))) + "\n")


if __name__ == "__main__":
    main()
