# SPDX-License-Identifier: Apache-2.0
"""A llama in plain PyTorch with the parameter names of `transformers`: what people convert."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from edgestream.onnx.rope import inverse_frequencies


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        n_embd, self.n_heads = config["hidden_size"], config["num_attention_heads"]
        self.n_kv_heads = config["num_key_value_heads"]
        self.head_dim = n_embd // self.n_heads
        kv_width = self.n_kv_heads * self.head_dim
        self.q_proj = nn.Linear(n_embd, n_embd, bias=False)
        self.k_proj = nn.Linear(n_embd, kv_width, bias=False)
        self.v_proj = nn.Linear(n_embd, kv_width, bias=False)
        self.o_proj = nn.Linear(n_embd, n_embd, bias=False)

    def forward(self, x, cos, sin):
        def heads(rows, n):
            return rows.unflatten(-1, (n, self.head_dim)).transpose(1, 2)

        def turned(rows):
            left, right = rows.chunk(2, dim=-1)
            return rows * cos + torch.cat([-right, left], dim=-1) * sin

        q = turned(heads(self.q_proj(x), self.n_heads))
        k = turned(heads(self.k_proj(x), self.n_kv_heads))
        v = heads(self.v_proj(x), self.n_kv_heads)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        n_embd, n_ff = config["hidden_size"], config["intermediate_size"]
        self.gate_proj = nn.Linear(n_embd, n_ff, bias=False)
        self.up_proj = nn.Linear(n_embd, n_ff, bias=False)
        self.down_proj = nn.Linear(n_ff, n_embd, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        n_embd, epsilon = config["hidden_size"], config["rms_norm_eps"]
        self.input_layernorm = nn.RMSNorm(n_embd, epsilon)
        self.post_attention_layernorm = nn.RMSNorm(n_embd, epsilon)
        self.self_attn, self.mlp = Attention(config), FeedForward(config)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class TinyTorchLlama(nn.Module):
    """Random weights; token ids [batch, n] to logits [batch, n, n_vocab]."""

    def __init__(self, config):
        super().__init__()
        n_embd = config["hidden_size"]
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(config["vocab_size"], n_embd)
        self.model.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.model.norm = nn.RMSNorm(n_embd, config["rms_norm_eps"])
        self.lm_head = nn.Linear(n_embd, config["vocab_size"], bias=False)
        head_dim = n_embd // config["num_attention_heads"]
        self.inv_freq = inverse_frequencies(config, head_dim)
        for weight in self.parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=2 / math.sqrt(weight.shape[1]))

    def forward(self, tokens):
        positions = torch.arange(tokens.shape[1])
        angles = (positions[:, None] * torch.tensor(self.inv_freq)).repeat(1, 2)
        cos, sin = angles.cos().float(), angles.sin().float()
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return self.lm_head(self.model.norm(x))
