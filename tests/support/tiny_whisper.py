# SPDX-License-Identifier: Apache-2.0
"""A random Whisper in the layout of a public repository, small enough to run in a test."""

from __future__ import annotations

import json

import numpy as np

LANGUAGES = ("en", "de", "fr")
N_BYTES = 256  # tokens of one byte each come first
WORDS = ("Ġthe", "Ġof", "Ġhouse", "Ġgreen", "Ġand", ".", "Ġsaid", "Ġwe")
END = N_BYTES + len(WORDS)
START = END + 1
FIRST_LANGUAGE = START + 1
TRANSLATE = FIRST_LANGUAGE + len(LANGUAGES)
TRANSCRIBE, PREVIOUS, NO_SPEECH, NO_TIMES = (TRANSLATE + 1 + i for i in range(4))
FIRST_TIME = NO_TIMES + 1
N_VOCAB = FIRST_TIME + 1501

CONFIG = {
    "model_type": "whisper", "vocab_size": N_VOCAB, "num_mel_bins": 80, "d_model": 32,
    "encoder_layers": 2, "encoder_attention_heads": 4, "decoder_layers": 2,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
    "max_source_positions": 1500, "max_target_positions": 448, "decoder_start_token_id": START,
    "eos_token_id": END, "bos_token_id": END, "pad_token_id": END, "activation_function": "gelu",
}  # fmt: skip
GENERATION = {
    "decoder_start_token_id": START, "eos_token_id": END, "pad_token_id": END, "bos_token_id": END,
    "lang_to_id": {f"<|{name}|>": FIRST_LANGUAGE + i for i, name in enumerate(LANGUAGES)},
    "task_to_id": {"transcribe": TRANSCRIBE, "translate": TRANSLATE}, "is_multilingual": True,
    "no_timestamps_token_id": NO_TIMES, "prev_sot_token_id": PREVIOUS,
    "suppress_tokens": [1, 2, START, TRANSLATE, TRANSCRIBE, PREVIOUS, NO_SPEECH],
    "begin_suppress_tokens": [32, END], "max_initial_timestamp_index": 50, "max_length": 448,
}  # fmt: skip


class Weights:
    """Random tensors by the names of transformers; large enough that texts depend on the sound."""

    def __init__(self, seed: int, config: dict) -> None:
        self.random, self.config = np.random.default_rng(seed), config
        self.found: dict[str, np.ndarray] = {}

    def put(self, name: str, *shape: int, scale: float | None = None) -> None:
        scale = shape[-1] ** -0.5 * 1.6 if scale is None else scale
        self.found[name] = self.random.normal(0, scale, shape).astype(np.float32)

    def norm(self, name: str) -> None:
        for part, mean in (("weight", 1), ("bias", 0)):
            array = self.random.normal(mean, 0.1, self.config["d_model"])
            self.found[f"{name}.{part}"] = array.astype(np.float32)

    def layer(self, name: str, attentions: tuple[str, ...], n_ffn: int) -> None:
        d = self.config["d_model"]
        for each in attentions:
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                self.put(f"{name}.{each}.{part}.weight", d, d)
                if part != "k_proj":
                    self.put(f"{name}.{each}.{part}.bias", d, scale=0.1)
            self.norm(f"{name}.{each}_layer_norm")
        self.norm(f"{name}.final_layer_norm")
        for part, n, k in (("fc1", n_ffn, d), ("fc2", d, n_ffn)):
            self.put(f"{name}.{part}.weight", n, k)
            self.put(f"{name}.{part}.bias", n, scale=0.1)


def tensors(seed: int = 0, config: dict = CONFIG) -> dict[str, np.ndarray]:
    """The weights of a whole model."""
    w, d = Weights(seed, config), config["d_model"]
    w.put("model.encoder.conv1.weight", d, config["num_mel_bins"], 3, scale=0.15)
    w.put("model.encoder.conv1.bias", d, scale=0.1)
    w.put("model.encoder.conv2.weight", d, d, 3, scale=0.2)
    w.put("model.encoder.conv2.bias", d, scale=0.1)
    w.put("model.encoder.embed_positions.weight", config["max_source_positions"], d, scale=0.5)
    w.put("model.decoder.embed_tokens.weight", config["vocab_size"], d, scale=0.6)
    w.put("model.decoder.embed_positions.weight", config["max_target_positions"], d, scale=2.0)
    for side, attentions in (
        ("encoder", ("self_attn",)),
        ("decoder", ("self_attn", "encoder_attn")),
    ):
        for i in range(config[f"{side}_layers"]):
            w.layer(f"model.{side}.layers.{i}", attentions, config[f"{side}_ffn_dim"])
        w.norm(f"model.{side}.layer_norm")
    return w.found


def tokenizer() -> dict:
    """Byte-level pieces as in GPT-2's vocabulary; specials are added tokens."""
    from edgestream.library.byte_letters import LETTER_BYTES

    vocab = LETTER_BYTES | {word: N_BYTES + i for i, word in enumerate(WORDS)}
    named = {
        END: "endoftext", START: "startoftranscript", TRANSLATE: "translate", NO_SPEECH: "nospeech",
        TRANSCRIBE: "transcribe", PREVIOUS: "startofprev", NO_TIMES: "notimestamps",
        **{FIRST_LANGUAGE + i: name for i, name in enumerate(LANGUAGES)},
    }  # fmt: skip
    added = [{"id": i, "content": f"<|{named.get(i, i)}|>"} for i in range(END, N_VOCAB)]
    return {"model": {"type": "BPE", "vocab": vocab, "merges": []}, "added_tokens": added}


def write(folder, weights=None, config: dict = CONFIG, generation: dict = GENERATION):
    """A repository as the community lays it out; returns its folder."""
    from edgestream.convert.onnx.whisper import write_whisper

    (folder / "onnx").mkdir(parents=True)
    write_whisper(config, tensors() if weights is None else weights, folder / "onnx")
    for name, data in (
        ("config.json", config), ("generation_config.json", generation),
        ("tokenizer.json", tokenizer()),
    ):  # fmt: skip
        (folder / name).write_text(json.dumps(data), encoding="utf-8")
    return folder
