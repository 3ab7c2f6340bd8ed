# SPDX-License-Identifier: Apache-2.0
"""Pictures to rows of a decoder, by libmtmd and a vision tower's file (mmproj)."""

from __future__ import annotations

import ctypes
import math
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from llama_cpp import mtmd_cpp
from numpy.typing import NDArray

from edgestream._native import read_mmproj_shape
from edgestream.decoder.tokenizer import Tokenizer, silent_log
from edgestream.errors import ModelError, OperationError
from edgestream.library.stand_in import refuse_stand_in
from edgestream.system.names import native_name
from edgestream.system.opencv import cv2

MAX_ASPECT = 16  # of a picture's sides; rounding to whole cells would burst the limit beyond
MIN_CELLS, MAX_CELLS = 4, 4096
FIXED = "idefics3"  # the kind of tower whose pictures all have one size


@dataclass(frozen=True, slots=True)
class PictureRows:
    """Rows of one picture: float32 [n, row width], and of a model that turns positions apart
    (M-RoPE) int32 [n, 3], time, height and width of each within the picture."""

    embeddings: NDArray[np.float32]
    axes: NDArray[np.int32] | None


def expect_aspect(rgb: NDArray[np.uint8]) -> None:
    """Raises ValueError where [height, width, 3] is far longer than wide."""
    height, width = rgb.shape[:2]
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(
            f"vision tower: a picture of {width} x {height}; cut it, "
            f"one side may be {MAX_ASPECT} times the other"
        )


class VisionTower:
    """A tower beside the decoder's vocabulary: the decoder's weights are not needed for it.

    Streams may share one; a second thread waits. Everything that would make libmtmd stop the
    process is checked before.

    Attributes:
        shape: what the file says of itself.
        max_rows: that a picture may become.
        has_axes: whether rows have time, height and width.
    """

    def __init__(
        self,
        path: Path,
        tokenizer: Tokenizer,
        *,
        n_embd: int,
        max_cells: int = 256,
        n_threads: int = 1,
    ) -> None:
        """Opens the file.

        Args:
            path: of the tower.
            tokenizer: of the decoder's file.
            n_embd: width of the decoder's rows.
            max_cells: most rows of a picture, for towers that take pictures of any size.
            n_threads: that compute a picture.

        Raises:
            ModelError: the file is damaged, not supported, or not of this decoder.
        """
        if not MIN_CELLS <= max_cells <= MAX_CELLS:
            raise ModelError(f"max_cells is {max_cells}; it must be {MIN_CELLS} to {MAX_CELLS}")
        refuse_stand_in(path)
        try:
            self.shape = read_mmproj_shape(native_name(path))
        except ValueError as error:
            raise ModelError(str(error)) from None
        if self.shape.row_width != n_embd:
            raise ModelError(
                f"{path}: gives rows of {self.shape.row_width}, the decoder takes {n_embd}; they"
                " are not of one model"
            )
        self._path = path
        self._tokenizer = tokenizer  # its vocabulary must outlive the tower
        mtmd_cpp.mtmd_log_set(silent_log, ctypes.c_void_p(0))
        params = self._parameters(max_cells, n_threads)
        context = mtmd_cpp.mtmd_init_from_file(str(path).encode(), tokenizer.model, params)
        if not context:
            raise ModelError(f"{path}: libmtmd cannot load this vision tower")
        weakref.finalize(self, mtmd_cpp.mtmd_free, context)
        self._context = context
        self._busy = threading.Lock()
        self.has_axes = bool(mtmd_cpp.mtmd_decode_use_mrope(context))
        if self.has_axes == self.is_fixed:
            raise ModelError(f"{path}: a vision tower of another family than the decoder")
        if mtmd_cpp.mtmd_decode_use_non_causal(context, None):
            raise ModelError(f"{path}: pictures whose rows see later ones are not supported")

    @property
    def is_fixed(self) -> bool:
        """Whether all pictures become as many rows."""
        return self.shape.projector == FIXED

    @property
    def max_pixels(self) -> int:
        """Of a picture that makes `max_rows` rows; what has more is made smaller."""
        return self.max_rows * self._cell_px**2

    @property
    def _cell_px(self) -> int:
        """The side of what becomes a row."""
        return int(self.shape.patch_size * self.shape.n_merge)

    def _parameters(self, max_cells: int, n_threads: int) -> Any:
        """One overview of a fixed size, or at most so many rows; no run to warm up."""
        params = mtmd_cpp.mtmd_context_params_default()
        params.n_threads = n_threads
        params.print_timings = False
        params.warmup = False
        params.use_gpu = False
        side = self.shape.image_size // self._cell_px
        self.max_rows = side * side if self.is_fixed else max_cells
        params.image_max_tokens = self.max_rows
        params.image_min_tokens = 0 if self.is_fixed else MIN_CELLS
        return params

    def push(self, rgb: NDArray[np.uint8], max_rows: int | None = None) -> PictureRows:
        """The rows of one picture, uint8 [height, width, 3].

        A tower that takes pictures of any size makes it `max_rows` rows at most, or a few.

        Raises:
            ValueError: it is no such array, or far longer than wide.
            ModelError: the tower gives numbers that are not finite.
            OperationError: libmtmd failed.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
            raise ValueError(f"vision tower: a picture is {rgb.dtype} {list(rgb.shape)}, "
                             "must be uint8 [height, width, 3]")  # fmt: skip
        expect_aspect(rgb)
        with self._busy:
            chunks = self._preprocess(self._shrunk(np.ascontiguousarray(rgb), max_rows))
            try:
                return self._encode(chunks)
            finally:
                mtmd_cpp.mtmd_input_chunks_free(chunks)

    def _shrunk(self, rgb: NDArray[np.uint8], max_rows: int | None) -> NDArray[np.uint8]:
        if max_rows is None or max_rows >= self.max_rows or self.is_fixed:
            return rgb  # libmtmd makes it fit
        cell_px = self._cell_px
        height, width = rgb.shape[:2]
        scale = math.sqrt(max(max_rows, MIN_CELLS) * cell_px**2 / (height * width))
        if scale >= 1:
            return rgb
        size = [max(1, int(side * scale / cell_px)) * cell_px for side in (width, height)]
        return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _preprocess(self, rgb: NDArray[np.uint8]) -> Any:
        height, width = rgb.shape[:2]
        data = rgb.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        bitmap = mtmd_cpp.mtmd_bitmap_init(width, height, data)
        chunks = mtmd_cpp.mtmd_input_chunks_init()
        marker = mtmd_cpp.mtmd_default_marker()
        text = mtmd_cpp.mtmd_input_text(marker, len(marker), False, True)
        bitmaps = (mtmd_cpp.mtmd_bitmap_p_ctypes * 1)(bitmap)
        status = mtmd_cpp.mtmd_tokenize(self._context, chunks, ctypes.byref(text), bitmaps, 1)
        mtmd_cpp.mtmd_bitmap_free(bitmap)
        if status != 0:
            mtmd_cpp.mtmd_input_chunks_free(chunks)
            raise OperationError(f"{self._path}: libmtmd cannot prepare a picture ({status})")
        return chunks

    def _encode(self, chunks: Any) -> PictureRows:
        """Of a picture that libmtmd cuts up as well, the overview: it comes last."""
        all_chunks = [
            mtmd_cpp.mtmd_input_chunks_get(chunks, i)
            for i in range(mtmd_cpp.mtmd_input_chunks_size(chunks))
        ]
        image = mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_IMAGE
        chunk = [c for c in all_chunks if mtmd_cpp.mtmd_input_chunk_get_type(c) == image][-1]
        n = mtmd_cpp.mtmd_input_chunk_get_n_tokens(chunk)
        if mtmd_cpp.mtmd_encode_chunk(self._context, chunk) != 0:
            raise OperationError(f"{self._path}: libmtmd cannot compute a picture")
        values = mtmd_cpp.mtmd_get_output_embd(self._context)
        rows = np.ctypeslib.as_array(values, (n, self.shape.row_width)).astype(np.float32)
        if not np.isfinite(rows).all():
            raise ModelError(f"{self._path}: the tower gives numbers that are not finite")
        return PictureRows(rows, self._axes(chunk, n) if self.has_axes else None)

    @staticmethod
    def _axes(chunk: Any, n: int) -> NDArray[np.int32]:
        places = (mtmd_cpp.mtmd_decoder_pos * n)()
        tokens = mtmd_cpp.mtmd_input_chunk_get_tokens_image(chunk)
        mtmd_cpp.mtmd_helper_image_get_decoder_pos(tokens, 0, places)
        return np.array([(place.t, place.y, place.x) for place in places], np.int32)
