# SPDX-License-Identifier: Apache-2.0
"""The same GGUF file decoded by libllama, with which the ring is compared."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import TracebackType
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from edgestream.errors import OperationError

Rows = NDArray[np.float32]  # [n, n_embd]
KV_TYPES = {"f16": llama_cpp.GGML_TYPE_F16, "f32": llama_cpp.GGML_TYPE_F32}
KV_BYTES = 2  # of a float16
STATE_HEADER_BYTES = 8  # of a saved sequence: what it is, and its number


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _silent(level: int, text: bytes, user_data: ctypes.c_void_p) -> None:
    pass


class LibllamaModel:
    """The weights, shared by its streams; to be closed."""

    def __init__(self, path: Path, *, repack: bool = True) -> None:
        llama_cpp.llama_log_set(_silent, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        params.use_extra_bufts = repack
        self.handle: Any = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise OperationError(f"bench: libllama cannot load {path}")
        self.n_embd: int = llama_cpp.llama_model_n_embd_inp(self.handle)  # deepstack's counted in
        self.n_layers: int = llama_cpp.llama_model_n_layer(self.handle)
        n_heads = llama_cpp.llama_model_n_head(self.handle)
        head_dim = llama_cpp.llama_model_n_embd(self.handle) // n_heads
        self.kv_width: int = head_dim * llama_cpp.llama_model_n_head_kv(self.handle)
        axes = (llama_cpp.LLAMA_ROPE_TYPE_MROPE, llama_cpp.LLAMA_ROPE_TYPE_IMROPE)
        self.has_axes: bool = llama_cpp.llama_model_rope_type(self.handle) in axes
        vocab = llama_cpp.llama_model_get_vocab(self.handle)
        self.n_vocab: int = llama_cpp.llama_vocab_n_tokens(vocab)

    def __enter__(self) -> LibllamaModel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        llama_cpp.llama_model_free(self.handle)


class LibllamaStream:
    """One sequence of rows in a context of `n_ctx` cells."""

    def __init__(
        self,
        model: LibllamaModel,
        n_ctx: int,
        *,
        flash: bool,
        kv_type: str = "f16",
        n_threads: int = 1,
        max_rows: int = 1,
    ) -> None:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, max_rows, max_rows
        params.n_threads = params.n_threads_batch = n_threads
        params.flash_attn_type = int(flash)
        params.type_k = params.type_v = KV_TYPES[kv_type]
        self._context = llama_cpp.llama_init_from_model(model.handle, params)
        if not self._context:
            raise OperationError(f"bench: libllama has no memory for {n_ctx} cells")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(max_rows, model.n_embd, 1)
        self._model, self._flash = model, flash
        # As a number: a pointer taken from the struct would change with it.
        self._one_axis = ctypes.cast(self._batch.pos, ctypes.c_void_p).value or 0
        if model.has_axes:  # rows have time, height, width and a fourth number
            self._positions = (llama_cpp.llama_pos * (4 * max_rows))()
            self._batch.pos = ctypes.cast(self._positions, ctypes.POINTER(llama_cpp.llama_pos))
        self.pos = 0

    def close(self) -> None:
        """Gives its memory back."""
        self._batch.pos = ctypes.cast(self._one_axis, ctypes.POINTER(llama_cpp.llama_pos))
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)

    def step(self, rows: Rows) -> NDArray[np.float32]:
        """Appends rows; returns the logits [n_vocab] of the last.

        Raises OperationError if libllama fails, as when the context is full.
        """
        batch, n_rows = self._batch, len(rows)
        ctypes.memmove(batch.embd, rows.ctypes.data, rows.nbytes)
        if self._model.has_axes:  # of text: one number on three axes
            later = [*range(self.pos, self.pos + n_rows)] * 2 + [0] * n_rows
            self._positions[n_rows : 4 * n_rows] = later
        return self._decode(batch, n_rows)

    def _decode(self, batch: Any, n_rows: int) -> NDArray[np.float32]:
        batch.n_tokens = n_rows
        for i in range(n_rows):
            batch.pos[i], batch.n_seq_id[i] = self.pos + i, 1
            batch.seq_id[i][0], batch.logits[i] = 0, int(i == n_rows - 1)
        if llama_cpp.llama_decode(self._context, batch):
            raise OperationError(f"bench: llama_decode failed at row {self.pos}")
        self.pos += n_rows
        logits = llama_cpp.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(logits, (self._model.n_vocab,)).copy()

    def take_back(self, n_rows: int) -> None:
        """Forgets the newest rows."""
        self.pos -= n_rows
        llama_cpp.llama_memory_seq_rm(self._memory, 0, self.pos, -1)

    def drop(self, first: int, n_rows: int) -> None:
        """Context shift: forgets rows from position `first` on and moves the later ones up.

        Their keys are rotated by the next step.
        """
        llama_cpp.llama_memory_seq_rm(self._memory, 0, first, first + n_rows)
        llama_cpp.llama_memory_seq_add(self._memory, 0, first + n_rows, -1, -n_rows)
        self.pos -= n_rows

    def fill(self, n_rows: int, seed: int = 0) -> None:
        """As if `n_rows` rows had been taken: random float16 keys and values for all of them.

        Computing them would take minutes in large models; the time of a step does not depend on
        what they are. Written as a saved sequence of libllama, whose layout this knows.
        """
        self.step(np.zeros((1, self._model.n_embd), np.float32))
        state = self._header() + self._cells(n_rows) + self._layers(n_rows, seed)
        data = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        taken = llama_cpp.llama_state_seq_set_data(self._context, data, len(state), 0)
        newest = llama_cpp.llama_memory_seq_pos_max(self._memory, 0)
        if taken != len(state) or newest != n_rows - 1:
            raise OperationError("bench: libllama does not take the state that it was given")
        self.pos = n_rows

    def _header(self) -> bytes:
        n_bytes = llama_cpp.llama_state_seq_get_size(self._context, 0)
        data = (ctypes.c_uint8 * n_bytes)()
        llama_cpp.llama_state_seq_get_data(self._context, data, n_bytes, 0)
        return bytes(data[:STATE_HEADER_BYTES])

    def _cells(self, n_rows: int) -> bytes:
        cells = np.zeros((n_rows, 3), "<i4")  # position, number of sequences, the sequence
        cells[:, 0], cells[:, 1] = np.arange(n_rows), 1
        n_streams = 1
        return np.array([n_streams, n_rows], "<u4").tobytes() + cells.tobytes()

    def _layers(self, n_rows: int, seed: int) -> bytes:
        width, transposed = self._model.kv_width, not self._flash
        rng = np.random.default_rng(seed)
        values = rng.standard_normal(n_rows * width, np.float32).astype("<f2").tobytes()
        kind = np.array([KV_TYPES["f16"]], "<i4").tobytes()
        rows = kind + np.array([width * KV_BYTES], "<u8").tobytes() + values
        columns = kind + np.array([KV_BYTES, width], "<u4").tobytes() + values
        n_layers = self._model.n_layers
        head = np.array([transposed, n_layers], "<u4").tobytes()
        return head + rows * n_layers + (columns if transposed else rows) * n_layers
