# SPDX-License-Identifier: Apache-2.0
"""Opening ONNX files: untrusted input, and providers that may not be there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgestream.errors import ModelError, OperationError
from edgestream.library.stand_in import refuse_stand_in
from edgestream.system.names import native_name
from edgestream.system.process import is_out_of_memory

CPU = "CPUExecutionProvider"
NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


def open_session(source: Path | bytes, *, providers: Sequence[str] = (CPU,)) -> Any:
    """An onnxruntime session of one thread over a file or a model in memory.

    onnxruntime takes a provider that cannot be loaded for a wish: compare `get_providers()`.

    Raises:
        ModelError: not an ONNX file, damaged, or with weights outside its own folder.
    """
    import onnxruntime as ort  # 0.2 s: only when a model is loaded

    if isinstance(source, Path):
        refuse_stand_in(source)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its errors come back as exceptions
    given = source if isinstance(source, bytes) else native_name(source)
    name = "operator" if isinstance(source, bytes) else str(source)
    try:
        return ort.InferenceSession(given, options, providers=list(providers), enable_fallback=0)
    except Exception as error:  # onnxruntime raises its own types, not one base
        if is_out_of_memory(error):
            raise OperationError(f"{name}: not enough memory: {one_line(error)}") from None
        raise ModelError(f"{name}: onnxruntime cannot load it: {one_line(error)}") from None


def bind(binding: Any, kind: str, name: str, array: Any, shape: Sequence[int]) -> None:
    """Binds the front of a contiguous `array` as `shape` to an "input" or "output", uncopied."""
    assert array.flags.c_contiguous
    bind_one = binding.bind_input if kind == "input" else binding.bind_output
    bind_one(name, "cpu", 0, array.dtype.type, tuple(shape), array.ctypes.data)


def run_bound(session: Any, binding: Any, name: str) -> None:
    """Runs what is bound; raises OperationError in the `name` of the file where that fails."""
    try:
        session.run_with_iobinding(binding)
    except Exception as error:  # onnxruntime raises its own types, not one base
        raise OperationError(f"{name}: onnxruntime failed: {one_line(error)}") from None


def one_line(error: Exception) -> str:
    """What onnxruntime says, without its line breaks."""
    return " ".join(str(error).split())[:300]
