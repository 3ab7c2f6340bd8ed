# SPDX-License-Identifier: Apache-2.0
"""libmtmd and libllama themselves, as llama.cpp's own programs use them: the oracle of towers."""

from __future__ import annotations

import ctypes
from pathlib import Path

import llama_cpp
import numpy as np
from llama_cpp import mtmd_cpp


class Libmtmd:
    """One picture and a text around it, evaluated by libmtmd's helper into a llama_context."""

    def __init__(self, decoder: Path, tower: Path, *, max_cells: int) -> None:
        params = llama_cpp.llama_model_default_params()
        params.use_extra_bufts = False
        self._model = llama_cpp.llama_model_load_from_file(str(decoder).encode(), params)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = 1024
        options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
        options.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.n_threads = options.n_threads_batch = 1
        self._context = llama_cpp.llama_init_from_model(self._model, options)
        tower_options = mtmd_cpp.mtmd_context_params_default()
        tower_options.n_threads = 1
        tower_options.warmup = tower_options.use_gpu = False
        tower_options.image_max_tokens = max_cells
        tower_options.image_min_tokens = 4
        self._tower = mtmd_cpp.mtmd_init_from_file(str(tower).encode(), self._model, tower_options)
        assert self._tower

    def close(self) -> None:
        mtmd_cpp.mtmd_free(self._tower)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _chunks(self, rgb: np.ndarray, before: str, after: str) -> ctypes.c_void_p:
        bitmap = mtmd_cpp.mtmd_bitmap_init(
            rgb.shape[1], rgb.shape[0], rgb.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        )
        text = (before + mtmd_cpp.mtmd_default_marker().decode() + after).encode()
        chunks = mtmd_cpp.mtmd_input_chunks_init()
        given = mtmd_cpp.mtmd_input_text(text, len(text), False, True)
        bitmaps = (mtmd_cpp.mtmd_bitmap_p_ctypes * 1)(bitmap)
        assert mtmd_cpp.mtmd_tokenize(self._tower, chunks, ctypes.byref(given), bitmaps, 1) == 0
        mtmd_cpp.mtmd_bitmap_free(bitmap)
        return chunks

    def evaluate(self, rgb: np.ndarray, before: str, after: str, n_tokens: int) -> list[int]:
        """Greedy tokens behind a text with the picture in it, all as the helper cuts it up."""
        chunks = self._chunks(rgb, before, after)
        n_past = llama_cpp.llama_pos(0)
        status = mtmd_cpp.mtmd_helper_eval_chunks(
            self._tower, self._context, chunks, 0, 0, 1024, True, ctypes.byref(n_past)
        )
        assert status == 0
        mtmd_cpp.mtmd_input_chunks_free(chunks)
        return self._greedy(n_past.value, n_tokens)

    def evaluate_overview(
        self, rgb: np.ndarray, before: str, after: str, n_tokens: int
    ) -> list[int]:
        """As evaluate(), the picture's own delimiters in the texts: of a picture that is cut up,
        the overview, which comes last."""
        kept, n_past = [], 0
        for piece in (before, rgb, after):
            chunks = self._text(piece) if isinstance(piece, str) else self._chunks(piece, "", "")
            kept.append(chunks)
            images = [
                mtmd_cpp.mtmd_input_chunks_get(chunks, i)
                for i in range(mtmd_cpp.mtmd_input_chunks_size(chunks))
            ]
            if not isinstance(piece, str):
                image = mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_IMAGE
                images = [c for c in images if mtmd_cpp.mtmd_input_chunk_get_type(c) == image][-1:]
            for chunk in images:
                after_chunk = llama_cpp.llama_pos(n_past)
                status = mtmd_cpp.mtmd_helper_eval_chunk_single(
                    self._tower, self._context, chunk, n_past, 0, 1024, True,
                    ctypes.byref(after_chunk),
                )  # fmt: skip
                assert status == 0
                n_past = after_chunk.value
        written = self._greedy(n_past, n_tokens)
        for chunks in kept:
            mtmd_cpp.mtmd_input_chunks_free(chunks)
        return written

    def _text(self, text: str) -> ctypes.c_void_p:
        chunks, data = mtmd_cpp.mtmd_input_chunks_init(), text.encode()
        given = mtmd_cpp.mtmd_input_text(data, len(data), False, True)
        assert mtmd_cpp.mtmd_tokenize(self._tower, chunks, ctypes.byref(given), None, 0) == 0
        return chunks

    def _greedy(self, n_past: int, n_tokens: int) -> list[int]:
        written: list[int] = []
        for position in range(n_past, n_past + n_tokens):
            written.append(int(np.argmax(self._logits())))
            self._step(written[-1], position)
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        return written

    def _logits(self) -> np.ndarray:
        n = llama_cpp.llama_vocab_n_tokens(self._vocab)
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self._context, -1), (n,))

    def _step(self, token: int, position: int) -> None:
        batch = llama_cpp.llama_batch_init(1, 0, 1)
        batch.n_tokens, batch.token[0], batch.pos[0] = 1, token, position
        batch.n_seq_id[0], batch.seq_id[0][0], batch.logits[0] = 1, 0, 1
        assert llama_cpp.llama_decode(self._context, batch) == 0
        llama_cpp.llama_batch_free(batch)
