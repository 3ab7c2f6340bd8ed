# SPDX-License-Identifier: Apache-2.0
"""libllama's quantizer, in a process of its own: it can be stopped, and its asserts end it alone.

Run as a program: python -m edgestream.convert.gguf.quantize SOURCE TARGET TYPE THREADS
"""

from __future__ import annotations

import ctypes
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edgestream.convert.gguf.decoder import write_gguf_decoder
from edgestream.convert.gguf.tensors import PLAIN_TYPES, Source
from edgestream.convert.models.decoder_config import DecoderConfig
from edgestream.convert.tokenizer.vocabulary import Vocabulary
from edgestream.errors import ModelError, OperationError, OutputError
from edgestream.library.progress import Progress
from edgestream.system.process import end_at_once_on_ctrl_c

# Name of a quantization to libllama's.
QUANT_TYPES = {
    "q8_0": "LLAMA_FTYPE_MOSTLY_Q8_0",
    "q6_k": "LLAMA_FTYPE_MOSTLY_Q6_K",
    "q5_k_m": "LLAMA_FTYPE_MOSTLY_Q5_K_M",
    "q4_k_m": "LLAMA_FTYPE_MOSTLY_Q4_K_M",
    "q4_0": "LLAMA_FTYPE_MOSTLY_Q4_0",
}
# What a decoder in GGUF can have, first the usual one.
GGUF_QUANTS = {"gguf": tuple(dict.fromkeys(("q8_0", *PLAIN_TYPES, *QUANT_TYPES)))}
WRITE_FAILED = "iostream error"  # what libllama says when the disk takes no more
_TENSOR = re.compile(r"^\[\s*(\d+)/\s*(\d+)\]")  # of libllama's log: the number of a tensor, of all


def write_quantized(
    path: Path,
    source: Source,
    config: DecoderConfig,
    vocabulary: Vocabulary | None,
    quant: str,
    n_threads: int,
    progress: Progress,
    extra: Mapping[str, NDArray[np.float32]] = MappingProxyType({}),
) -> None:
    """Writes a decoder in a plain type, or in one of libllama's through a plain file beside it."""
    plain = quant if quant in PLAIN_TYPES else source.dtype.lower()
    whole = path if quant in PLAIN_TYPES else path.with_name(f".plain-{path.name}")
    write_gguf_decoder(whole, source, config, vocabulary, plain, progress, extra)
    if whole != path:
        quantize(whole, path, quant, n_threads, progress)
        whole.unlink()


def quantize(source: Path, target: Path, kind: str, n_threads: int, progress: Progress) -> None:
    """Writes `target` with the weights of `source` in the type `kind`.

    Raises:
        ModelError: libllama refuses the file.
        OutputError: the disk failed.
        OperationError: its process was ended.
    """
    command = [sys.executable, "-m", __name__, str(source), str(target), kind, str(n_threads)]
    last = ""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                last = line.strip() or last
                if found := _TENSOR.match(line):
                    progress("quantizing", int(found[1]), int(found[2]))
        except BaseException:
            process.kill()
            raise
    if process.returncode > 0 and WRITE_FAILED in last:
        raise OutputError(f"{target.name}: cannot be written; is the disk full?")
    if process.returncode > 0:
        raise ModelError(f"{source.name}: cannot be quantized to {kind} ({last[:200]})")
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        raise OperationError(f"quantizing to {kind} was ended by {name} ({last[:200]})")


def _run(source: str, target: str, kind: str, n_threads: int) -> int:
    import llama_cpp

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def tell(level: int, text: bytes, user_data: ctypes.c_void_p) -> None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()

    llama_cpp.llama_log_set(tell, ctypes.c_void_p(0))
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, QUANT_TYPES[kind])
    params.nthread = n_threads
    params.allow_requantize = False
    failed = llama_cpp.llama_model_quantize(source.encode(), target.encode(), params)
    return 1 if failed else 0


if __name__ == "__main__":
    end_at_once_on_ctrl_c()  # while libllama computes, too
    sys.exit(_run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
