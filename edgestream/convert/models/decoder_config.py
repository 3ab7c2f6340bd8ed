# SPDX-License-Identifier: Apache-2.0
"""The decoders that are converted: a config.json becomes hyper-parameters of the ring's decoder.

What would change results and is not implemented there is refused, never left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgestream.errors import ModelError
from edgestream.library.json_file import Fields
from edgestream.onnx.rope import inverse_frequencies

MAX_LAYERS, MAX_WIDTH, MAX_HEADS, MAX_HEAD_DIM = 1 << 10, 1 << 20, 1 << 12, 1 << 12
MAX_VOCAB, MAX_ROWS = 1 << 24, 1 << 30
GEMMA_PERIOD, GEMMA_LAYERS_SCALED_BY_ROW = 6, 62
YARN_DEFAULTS = {"beta_fast": 32, "beta_slow": 1, "truncate": True, "mscale": None,
                 "mscale_all_dim": None, "attention_factor": None}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Architecture:
    """One `model_type` of config.json and in what its decoder differs from llama's."""

    gguf: str  # general.architecture of the file
    theta: float = 10000.0  # of RoPE, where config.json is silent
    tied: bool = False  # output and embeddings, where config.json is silent
    pairs_neighbours: bool = False  # GGUF turns i with i + 1 where checkpoints turn i with i + half
    biases: bool = False  # of query, key and value
    head_norms: bool = False
    is_gemma: bool = False  # norms store weight - 1, and stand behind attention and ffn as well
    unrotated_step: int = 0  # every so-many-th layer is not rotated
    axes: bool = False  # positions in time, height and width (M-RoPE)
    interleaves_axes: bool = False  # neighbouring pairs turn by different axes


ARCHITECTURES = {
    "llama": Architecture("llama", pairs_neighbours=True),
    "mistral": Architecture("llama", pairs_neighbours=True),
    "smollm3": Architecture(
        "smollm3", theta=2e6, tied=True, pairs_neighbours=True, unrotated_step=4
    ),
    "qwen2": Architecture("qwen2", biases=True),
    "qwen3": Architecture("qwen3", head_norms=True),
    "gemma3_text": Architecture("gemma3", theta=1e6, tied=True, head_norms=True, is_gemma=True),
}
# The decoders of models that see, by the `model_type` of the whole.
SEEING = {
    "smolvlm": ARCHITECTURES["llama"],
    "idefics3": ARCHITECTURES["llama"],
    "qwen2_5_vl": Architecture("qwen2vl", theta=1e6, biases=True, axes=True),
    "qwen3_vl": Architecture(
        "qwen3vl", theta=5e5, head_norms=True, axes=True, interleaves_axes=True
    ),
}


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """How positions turn keys; `factors` [head_dim / 2] divide the frequencies (Llama 3)."""

    theta: float
    scaling: str = "none"  # or linear or yarn
    factor: float = 1.0
    n_trained_rows: int = 0  # of yarn
    factors: tuple[float, ...] = ()
    sections: tuple[int, ...] = ()  # pairs of a head that turn by time, height and width


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """Hyper-parameters, checked. `local_rows` > 0: layers see only so many rows, all but each
    `local_period`-th, and turn by `local_theta`."""

    architecture: Architecture
    n_layers: int
    n_embd: int
    n_ff: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    n_vocab: int
    n_rows: int  # positions that the model was trained for
    rms_epsilon: float
    tied: bool
    rope: RopeConfig
    local_rows: int = 0
    local_period: int = 0
    local_theta: float = 0.0
    n_deepstack: int = 0  # layers behind which a picture's row has a part of its own

    def shapes(self) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        """Name in the checkpoint, name in GGUF and shape [output, input] of every tensor."""
        d, f = self.n_embd, self.n_ff
        yield "model.embed_tokens.weight", "token_embd.weight", (self.n_vocab, d)
        for i in range(self.n_layers):
            for name, part, shape in self._layer(d, f):
                yield f"model.layers.{i}.{name}", f"blk.{i}.{part}", shape
        yield "model.norm.weight", "output_norm.weight", (d,)
        if not self.tied:
            yield "lm_head.weight", "output.weight", (self.n_vocab, d)

    def _layer(self, d: int, f: int) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        q, kv, a = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim, self.architecture
        yield "input_layernorm.weight", "attn_norm.weight", (d,)
        for part, width in (("q", q), ("k", kv), ("v", kv)):
            yield f"self_attn.{part}_proj.weight", f"attn_{part}.weight", (width, d)
            if a.biases:
                yield f"self_attn.{part}_proj.bias", f"attn_{part}.bias", (width,)
            if a.head_norms and part != "v":
                yield f"self_attn.{part}_norm.weight", f"attn_{part}_norm.weight", (self.head_dim,)
        yield "self_attn.o_proj.weight", "attn_output.weight", (d, q)
        if a.is_gemma:
            yield "post_attention_layernorm.weight", "post_attention_norm.weight", (d,)
            yield "post_feedforward_layernorm.weight", "post_ffw_norm.weight", (d,)
        before_ffn = "pre_feedforward" if a.is_gemma else "post_attention"
        yield f"{before_ffn}_layernorm.weight", "ffn_norm.weight", (d,)
        yield "mlp.gate_proj.weight", "ffn_gate.weight", (f, d)
        yield "mlp.up_proj.weight", "ffn_up.weight", (f, d)
        yield "mlp.down_proj.weight", "ffn_down.weight", (d, f)


def read_decoder_config(config: Fields, a: Architecture) -> DecoderConfig:
    """From config.json, or the part of it that is the decoder's; raises ModelError naming the key
    that is missing or not supported."""
    n_heads = config.integer("num_attention_heads", 1, MAX_HEADS)
    n_embd = config.integer("hidden_size", 1, MAX_WIDTH)
    head_dim = config.integer("head_dim", 1, MAX_HEAD_DIM, max(1, n_embd // n_heads))
    n_kv_heads = config.integer("num_key_value_heads", 1, MAX_HEADS, n_heads)
    if n_heads % n_kv_heads or head_dim % 2 or n_heads * head_dim > MAX_WIDTH:
        raise ModelError(f"{config.where}: {n_heads} heads of {head_dim} on {n_kv_heads} key heads")
    _refuse_what_is_not_computed(config, a)
    n_layers = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    local_rows, local_period = _local_layers(config, a, n_layers)
    n_rows = config.integer("max_position_embeddings", 1, MAX_ROWS)
    return DecoderConfig(
        architecture=a,
        n_layers=n_layers,
        n_embd=n_embd,
        n_ff=config.integer("intermediate_size", 1, MAX_WIDTH),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        n_vocab=config.integer("vocab_size", 1, MAX_VOCAB),
        n_rows=n_rows,
        rms_epsilon=config.positive("rms_norm_eps"),
        tied=config.flag("tie_word_embeddings", a.tied),
        rope=_rope(config, a, head_dim, n_rows),
        local_rows=local_rows,
        local_period=local_period,
        local_theta=_local_theta(config) if a.is_gemma else 0.0,
    )


def _refuse_what_is_not_computed(config: Fields, a: Architecture) -> None:
    activation = "hidden_activation" if a.is_gemma else "hidden_act"
    config.refuse(activation, "gelu_pytorch_tanh" if a.is_gemma else "silu")
    config.refuse("attention_bias", False)
    config.refuse("mlp_bias", False)
    config.refuse("use_sliding_window", False)
    config.refuse("quantization_config")
    config.refuse("attn_logit_softcapping")
    config.refuse("final_logit_softcapping")
    config.refuse("partial_rotary_factor", 1, 1.0)
    config.refuse("use_bidirectional_attention", False)
    if a.gguf == "llama":
        config.refuse("sliding_window")
    if a.unrotated_step:
        n_layers = config.integer("num_hidden_layers", 1, MAX_LAYERS)
        config.refuse(
            "no_rope_layers", [int((i + 1) % a.unrotated_step != 0) for i in range(n_layers)]
        )
    if a.is_gemma:
        # The largest Gemma 3, of 62 layers, divides by the width of a row per head instead.
        heads = config.integer("num_attention_heads", 1, MAX_HEADS)
        width = config.integer("hidden_size", 1, MAX_WIDTH) // heads
        by_row = config.data.get("num_hidden_layers") == GEMMA_LAYERS_SCALED_BY_ROW
        config.refuse("query_pre_attn_scalar", width if by_row else config.data.get("head_dim"))


def _local_layers(config: Fields, a: Architecture, n_layers: int) -> tuple[int, int]:
    """Rows that local layers see, and the period of those that see all."""
    kinds = config.get("layer_types", list, [])
    if not a.is_gemma:
        config.refuse("layer_types", ["full_attention"] * n_layers)
        return 0, 0
    period = GEMMA_PERIOD
    if "full_attention" in kinds:
        period = kinds.index("full_attention") + 1
    elif kinds:  # fewer layers than a period
        period = max(period, n_layers + 1)
    period = config.integer("sliding_window_pattern", 1, MAX_LAYERS, period)
    expected = [
        "sliding_attention" if (i + 1) % period else "full_attention" for i in range(n_layers)
    ]
    config.refuse("layer_types", expected)
    return config.integer("sliding_window", 1, MAX_ROWS), period


def _local_theta(config: Fields) -> float:
    rope = config.table("rope_parameters").table("sliding_attention")
    rope.refuse("rope_type", "default")
    return rope.positive("rope_theta", config.positive("rope_local_base_freq", 10000.0))


def _rope(config: Fields, a: Architecture, head_dim: int, n_rows: int) -> RopeConfig:
    """`rope_parameters` of transformers 5, or `rope_theta` and `rope_scaling` of those before."""
    rope = config.table("rope_parameters" if "rope_parameters" in config.data else "rope_scaling")
    if "full_attention" in rope.data:
        rope = rope.table("full_attention")
    theta = rope.positive("rope_theta", config.positive("rope_theta", a.theta))
    kind = rope.text("rope_type", rope.text("type", "default"))
    rope.refuse("partial_rotary_factor", 1, 1.0)
    if a.axes:
        return RopeConfig(theta, sections=_sections(rope, a, kind, head_dim))
    if kind == "default":
        return RopeConfig(theta)
    if kind == "linear":
        return RopeConfig(theta, "linear", rope.positive("factor"))
    if kind == "yarn":
        for name, only in YARN_DEFAULTS.items():
            rope.refuse(name, only)
        trained = rope.integer("original_max_position_embeddings", 1, MAX_ROWS, n_rows)
        return RopeConfig(theta, "yarn", rope.positive("factor"), trained)
    if kind == "llama3" and a.gguf == "llama":
        plain = inverse_frequencies({"rope_theta": theta}, head_dim)
        scaled = inverse_frequencies({"rope_theta": theta, "rope_scaling": rope.data}, head_dim)
        return RopeConfig(theta, factors=tuple((plain / scaled).tolist()))
    raise ModelError(
        f"{config.where}: rope scaling {kind!r:.80} of {a.gguf} is not supported;"
        " converted are default, linear, yarn and, of llamas, llama3"
    )


def _sections(rope: Fields, a: Architecture, kind: str, head_dim: int) -> tuple[int, ...]:
    """Pairs of a head by axis; older files call this kind of rotation mrope, others default."""
    if kind not in ("mrope", "default"):
        raise ModelError(f"{rope.where}: rope scaling {kind!r:.80} of {a.gguf} is not supported")
    rope.refuse("mrope_interleaved", a.interleaves_axes)
    sections = tuple(rope.get("mrope_section", list))
    whole = len(sections) == 3 and all(type(n) is int and n >= 0 for n in sections)
    if not whole or sum(sections) != head_dim // 2:
        raise ModelError(
            f"{rope.where}: mrope_section is {list(sections)!r:.80}, it must be 3 counts that make"
            f" {head_dim // 2}, half a head"
        )
    return sections
