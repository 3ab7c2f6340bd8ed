# SPDX-License-Identifier: Apache-2.0
"""Small random vision language models: `python tiny_vision.py` writes data/tiny-* by transformers.

Such a folder is a checkpoint as it is published, in bfloat16, with what transformers makes of
`picture()` and of a prompt around it in expected.npz.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

DATA = Path(__file__).parents[1] / "data"
SIDE = 56  # pixels; whole patches and cells for all of them, so that nothing is resized
N_WRITTEN = 24
SPECIAL = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<end_of_utterance>",
    "<fake_token_around_image>", "<global-img>", "<image>", "<|vision_start|>", "<|vision_end|>",
    "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
MERGES = [("t", "h"), ("th", "e"), ("i", "n")]
FIRST_SPECIAL = 256 + len(MERGES)
N_VOCAB = 320
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "vocab_size": N_VOCAB,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
}  # fmt: skip
TOWER = {"hidden_size": 16, "intermediate_size": 40}
NORMALIZED = {"do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
QWEN_TOKENS = {
    "image_token_id": FIRST_SPECIAL + SPECIAL.index("<|image_pad|>"),
    "video_token_id": FIRST_SPECIAL + SPECIAL.index("<|video_pad|>"),
    "vision_start_token_id": FIRST_SPECIAL + SPECIAL.index("<|vision_start|>"),
    "vision_end_token_id": FIRST_SPECIAL + SPECIAL.index("<|vision_end|>"),
}
KINDS = {
    "smolvlm": {
        "text_config": TEXT | {"model_type": "llama", "head_dim": 16},
        "vision_config": TOWER | {
            "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE, "patch_size": 7,
        },
        "scale_factor": 2,
        "image_token_id": FIRST_SPECIAL + SPECIAL.index("<image>"),
    },
    "qwen2_5_vl": {
        "text_config": TEXT | {
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3],
            },
        },
        "vision_config": TOWER | {
            "depth": 4, "num_heads": 2, "patch_size": 14, "out_hidden_size": 32,
            "fullatt_block_indexes": [1, 3],
        },
        **QWEN_TOKENS,
    },
    "qwen3_vl": {
        "text_config": TEXT | {
            "head_dim": 16, "rope_parameters": {
                "rope_type": "default", "rope_theta": 5e5, "mrope_section": [3, 3, 2],
                "mrope_interleaved": True,
            },
        },
        "vision_config": TOWER | {
            "depth": 4, "num_heads": 2, "patch_size": 14, "out_hidden_size": 32,
            "num_position_embeddings": 36, "deepstack_visual_indexes": [0, 2],
        },
        **QWEN_TOKENS,
    },
}  # fmt: skip
CLASSES = {
    "smolvlm": ("SmolVLMConfig", "SmolVLMForConditionalGeneration"),
    "qwen2_5_vl": ("Qwen2_5_VLConfig", "Qwen2_5_VLForConditionalGeneration"),
    "qwen3_vl": ("Qwen3VLConfig", "Qwen3VLForConditionalGeneration"),
}


def picture(kind: str) -> np.ndarray:
    """Colours that change over the picture, with noise: uint8 [height, width, 3]."""
    # Of Qwen more cells than a window of attention has, and other counts down than across.
    height, width = (SIDE, SIDE) if kind == "smolvlm" else (5 * 28, 6 * 28)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + y / 17), np.cos(x / 23 - y / 7), np.sin((x + 2 * y) / 31)]
    noise = np.random.default_rng(7).normal(0, 20, (height, width, 3))
    return np.clip(128 + 90 * np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


def prompt() -> tuple[list[int], list[int]]:
    """Tokens before and behind the picture."""
    start, end = (FIRST_SPECIAL + SPECIAL.index(f"<|vision_{side}|>") for side in ("start", "end"))
    return [98, 101, 40, 70, start], [end, 71, 97, 33, 120]


def make(kind: str, seed: int = 0):
    """The model, with weights that make it see and write many different things."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config_name, model_name = CLASSES[kind]
    config = getattr(transformers, config_name)(**KINDS[kind])
    model = getattr(transformers, model_name)(config)
    random = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        with torch.no_grad():
            if "embed_tokens" in name:
                weight.normal_(0, 1, generator=random)
            elif weight.ndim > 1:
                weight.normal_(0, 1.2 * weight[0].numel() ** -0.5, generator=random)
            elif name.endswith("weight"):
                weight.uniform_(0.5, 1.5, generator=random)
            else:
                weight.normal_(0, 0.2, generator=random)
    return model.to(torch.bfloat16).eval()


def save(kind: str, folder: Path, seed: int = 0) -> Path:
    """The checkpoint as it is published."""
    make(kind, seed).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(kind)), encoding="utf-8")
    template = {"chat_template": "{% for message in messages %}{{ message }}{% endfor %}"}
    (folder / "chat_template.json").write_text(json.dumps(template), encoding="utf-8")
    settings = NORMALIZED | (HALF if kind == "smolvlm" else CLIP)
    if kind == "smolvlm":
        settings |= {"size": {"longest_edge": 4 * SIDE}, "max_image_size": {"longest_edge": SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def tokenizer(kind: str) -> dict:
    """Bytes and a few merges, as tokenizer.json of the kind has them."""
    from edgestream.convert.tokenizer.json import PATTERNS

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters |= {byte: chr(256 + i) for i, byte in enumerate(others)}
    vocabulary = {letters[byte]: byte for byte in range(256)}
    vocabulary |= {"".join(pair): 256 + i for i, pair in enumerate(MERGES)}
    words = {pattern for pattern, name in PATTERNS.items() if name == "qwen2"}.pop()
    bytes_alone = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
    first = {"type": "Digits", "individual_digits": True} if kind == "smolvlm" else {
        "type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": False,
    }  # fmt: skip
    second = bytes_alone | {"use_regex": kind == "smolvlm"}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": token, "content": text, "special": True}
            for token, text in enumerate(SPECIAL, FIRST_SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [first, second]},
        "post_processor": None,
        "decoder": bytes_alone | {"use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [list(pair) for pair in MERGES]},
    }  # fmt: skip


def expect(kind: str, folder: Path) -> None:
    """Writes expected.npz by transformers."""
    from edgestream.convert.checkpoint import Checkpoint
    from edgestream.convert.models.vlm import read_configs
    from edgestream.convert.verify.vlm_source import run_source

    with Checkpoint(folder).opened() as checkpoint:
        _, tower = read_configs(checkpoint)
    seen = run_source(folder, tower, picture(kind), *prompt(), N_WRITTEN)
    np.savez_compressed(
        folder / "expected.npz", rows=seen.rows, written=np.array(seen.written, np.int32)
    )


if __name__ == "__main__":
    for each in KINDS:
        expect(each, save(each, DATA / f"tiny-{each.replace('_', '-')}"))
