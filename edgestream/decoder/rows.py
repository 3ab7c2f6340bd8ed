# SPDX-License-Identifier: Apache-2.0
"""Tokens as a decoder takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream._native import GgufModel


def token_rows(model: GgufModel, tokens: Sequence[int]) -> NDArray[np.float32]:
    """The input embeddings of tokens, float32 [n, n_embd]."""
    rows = [model.token_embedding(token) for token in tokens]
    return np.stack(rows) if rows else np.empty((0, model.n_embd), np.float32)
