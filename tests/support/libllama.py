# SPDX-License-Identifier: Apache-2.0
"""The same GGUF decoded by libllama itself: the oracle for everything before the ring wraps."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import llama_cpp
import numpy as np

from edgestream.bench.decoder.libllama import LibllamaModel, LibllamaStream


class Libllama(LibllamaStream):
    """One stream on one thread, without flash attention, over a model of its own.

    Its weights are repacked where the ring's are: those are summed in another order.
    """

    def __init__(
        self, path: Path, *, kv_type: str = "f16", n_ctx: int = 512, repack: bool = False
    ) -> None:
        self._weights = LibllamaModel(path, repack=repack)
        super().__init__(self._weights, n_ctx, flash=False, kv_type=kv_type, max_rows=n_ctx)

    def __enter__(self) -> Libllama:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        self._weights.__exit__(kind, error, trace)

    def step_tokens(self, tokens: list[int]) -> np.ndarray:
        """As step(), with libllama's own embeddings of tokens."""
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        for i, token in enumerate(tokens):
            batch.token[i] = token
        logits = self._decode(batch, len(tokens))
        llama_cpp.llama_batch_free(batch)
        return logits
