# SPDX-License-Identifier: Apache-2.0
"""The same GGUF decoded by libllama itself: the oracle for everything before the ring wraps."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import TracebackType

import llama_cpp
import numpy as np

KV_TYPES = {"f16": llama_cpp.GGML_TYPE_F16, "f32": llama_cpp.GGML_TYPE_F32}


@llama_cpp.llama_log_callback
def _silent(level: int, text: bytes, user_data: ctypes.c_void_p) -> None:
    pass


class Libllama:
    """One stream on one thread, without flash attention."""

    def __init__(self, path: Path, *, kv_type: str = "f16", n_ctx: int = 512) -> None:
        llama_cpp.llama_log_set(_silent, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        model_params = llama_cpp.llama_model_default_params()
        model_params.n_gpu_layers = 0
        model_params.use_extra_bufts = False  # repacked weights are summed in another order
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_params)
        assert self._model, f"{path}: libllama cannot load it"
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, n_ctx, n_ctx
        params.n_threads = params.n_threads_batch = 1
        params.flash_attn_type = 0  # disabled
        params.type_k = params.type_v = KV_TYPES[kv_type]
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        assert self._context
        self._n_embd = llama_cpp.llama_model_n_embd(self._model)
        axes = (llama_cpp.LLAMA_ROPE_TYPE_MROPE, llama_cpp.LLAMA_ROPE_TYPE_IMROPE)
        self._has_axes = llama_cpp.llama_model_rope_type(self._model) in axes
        vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._n_vocab = llama_cpp.llama_vocab_n_tokens(vocab)
        self.pos = 0

    def __enter__(self) -> Libllama:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def step(self, rows: np.ndarray) -> np.ndarray:
        """Appends rows float32 [n, n_embd]; returns the logits [n_vocab] of the last."""
        rows = np.ascontiguousarray(rows, np.float32)
        batch = llama_cpp.llama_batch_init(len(rows), self._n_embd, 1)
        ctypes.memmove(batch.embd, rows.ctypes.data, rows.nbytes)
        return self._decode(batch, len(rows))

    def step_tokens(self, tokens: list[int]) -> np.ndarray:
        """As step(), with libllama's own embeddings of tokens."""
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        for i, token in enumerate(tokens):
            batch.token[i] = token
        return self._decode(batch, len(tokens))

    def _decode(self, batch: llama_cpp.llama_batch, n_rows: int) -> np.ndarray:
        batch.n_tokens = n_rows
        for i in range(n_rows):
            batch.pos[i], batch.n_seq_id[i] = self.pos + i, 1
            batch.seq_id[i][0], batch.logits[i] = 0, int(i == n_rows - 1)
        single = ctypes.cast(batch.pos, ctypes.c_void_p).value
        if self._has_axes and batch.embd:  # rows of text: time, height and width are one number
            text = [*range(self.pos, self.pos + n_rows)] * 3 + [0] * n_rows
            batch.pos = (llama_cpp.llama_pos * (4 * n_rows))(*text)
        failed = llama_cpp.llama_decode(self._context, batch)
        batch.pos = ctypes.cast(single, ctypes.POINTER(llama_cpp.llama_pos))
        llama_cpp.llama_batch_free(batch)
        assert not failed
        self.pos += n_rows
        logits = llama_cpp.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(logits, (self._n_vocab,)).copy()
