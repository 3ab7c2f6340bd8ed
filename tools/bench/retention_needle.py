# SPDX-License-Identifier: Apache-2.0
"""A llama of two layers, made by hand, that looks things up: an induction head.

A stream of fillers holds a pair once, a key and a value; when the key comes again, the decoder says
the value (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"). Layer 0 writes
to each row the token before it: a head that looks one row back, by fast pairs of the rotation.
Layer 1 looks for the row whose token before it is the row's own token, by slow pairs, and answers
with that row's token. Its second head looks at marked tokens, wherever they are. The feed-forward
layers add nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgestream.bench.random_decoder import Shape, Weights, write_weights

CODE = 64  # numbers by which a token is known, each 1 or -1
HEAD = 128
N_FILLERS, N_KEYS, N_VALUES = 64, 16, 16
KEYS = range(N_FILLERS, N_FILLERS + N_KEYS)
VALUES = range(KEYS.stop, KEYS.stop + N_VALUES)
MARKED_VALUES = range(VALUES.stop, VALUES.stop + N_VALUES)
SHAPE = Shape(2, 2 * HEAD, 32, 2, 2, MARKED_VALUES.stop)
ROPE_BASE = 10_000.0  # of every file that is written
# What a row holds.
CONSTANT, MARK, NO_MARK = 0, 1, 2
TOKEN = slice(3, 3 + CODE)
BEFORE = slice(TOKEN.stop, TOKEN.stop + CODE)
ANSWER = slice(BEFORE.stop, BEFORE.stop + CODE)
FAST = range(16)  # pairs of a head that turn fast
SLOW = slice(HEAD - CODE, HEAD)  # numbers of the pairs that hardly turn
# Scores: of the row before against any other, of what is looked for, of a mark.
BEFORE_SCORE, MATCH_SCORE, MARK_SCORE = 240.0, 24.0, 6.0


def codes(seed: int) -> NDArray[np.float32]:
    """Of all tokens, [n_vocab, CODE]."""
    rng = np.random.default_rng(seed)
    return rng.choice(np.array([-1, 1], np.float32), (SHAPE.n_vocab, CODE))


def needle_weights(seed: int) -> Weights:
    """The decoder's weights by GGUF name, float32."""
    code = codes(seed)
    embeddings = np.zeros((SHAPE.n_vocab, SHAPE.n_embd), np.float32)
    embeddings[:, CONSTANT] = np.sqrt(CODE)
    embeddings[MARKED_VALUES.start :, MARK] = np.sqrt(CODE)
    embeddings[: MARKED_VALUES.start, NO_MARK] = np.sqrt(CODE)  # one norm for all
    embeddings[:, TOKEN] = code
    weights: Weights = {"token_embd.weight": embeddings}
    for name, n_out, n_in in SHAPE.matrices():
        weights.setdefault(name, np.zeros((n_out, n_in), np.float32))
    for name in SHAPE.norms():
        weights[name] = np.ones(SHAPE.n_embd, np.float32)
    _look_back(weights)
    _look_up(weights)
    return weights


def write_needle(path: Path, seed: int) -> Path:
    """The decoder as a GGUF file."""
    return write_weights(path, SHAPE, needle_weights(seed), "F32")


def _look_back(weights: Weights) -> None:
    """Layer 0, head 0: BEFORE of a row is TOKEN of the one before it."""
    constant = SHAPE.n_embd / 3  # squared, as normed
    gain = np.sqrt(BEFORE_SCORE * np.sqrt(HEAD) / (len(FAST) * constant))
    query, key = weights["blk.0.attn_q.weight"], weights["blk.0.attn_k.weight"]
    for pair in FAST:
        speed = ROPE_BASE ** (-2 * pair / HEAD)
        query[2 * pair, CONSTANT] = gain
        key[2 * pair, CONSTANT] = gain * np.cos(speed)
        key[2 * pair + 1, CONSTANT] = gain * np.sin(speed)
    _carry(weights, 0, BEFORE, np.sqrt(3 * CODE / SHAPE.n_embd))


def _look_up(weights: Weights) -> None:
    """Layer 1: head 0 finds the row behind the same token, head 1 looks at marks."""
    norm = 4 * CODE / SHAPE.n_embd  # squared
    query, key = weights["blk.1.attn_q.weight"], weights["blk.1.attn_k.weight"]
    gain = np.sqrt(MATCH_SCORE * np.sqrt(HEAD) * norm / CODE)
    query[SLOW, TOKEN] = key[SLOW, BEFORE] = gain * np.eye(CODE, dtype=np.float32)
    _carry(weights, 1, ANSWER, np.sqrt(norm))
    other = range(HEAD + SLOW.start, HEAD + SLOW.stop, 2)
    gain = np.sqrt(MARK_SCORE * np.sqrt(HEAD) * norm / (CODE * len(other)))
    query[other, CONSTANT] = key[other, MARK] = gain
    weights["output.weight"] = np.zeros((SHAPE.n_vocab, SHAPE.n_embd), np.float32)
    weights["output.weight"][:, ANSWER] = weights["token_embd.weight"][:, TOKEN]


def _carry(weights: Weights, layer: int, to: slice, gain: float) -> None:
    """Head 0 writes TOKEN of what it looks at to a row's `to`."""
    eye = np.eye(CODE, dtype=np.float32)
    weights[f"blk.{layer}.attn_v.weight"][:CODE, TOKEN] = gain * eye
    weights[f"blk.{layer}.attn_output.weight"][to, :CODE] = eye
