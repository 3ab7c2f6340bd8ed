# SPDX-License-Identifier: Apache-2.0
"""Every weight type that ggml computes on the CPU, against libllama on the same file."""

import ctypes
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
import pytest
from libllama import Libllama
from test_decoder_parity import steps, token_rows
from tiny_llama import F32, TinyShape, add_metadata, random_weights

from edgestream._native import GgufModel, RingDecoder

TYPES = [
    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
    "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS",
    "TQ1_0", "TQ2_0", "MXFP4", "NVFP4", "Q1_0", "Q2_0",
]  # fmt: skip
REPACKED = {"Q4_0", "IQ4_NL"}  # rows are interleaved, in libllama as here
NUMBERS = {"NVFP4": 40, "Q1_0": 41, "Q2_0": 42}  # ggml's, where the gguf package is older


def number_of(name):
    return NUMBERS.get(name) or int(gguf.GGMLQuantizationType[name])


def ggml_base():
    library = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / "libggml-base.so"))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
        ctypes.c_int64, ctypes.c_void_p,
    ]  # fmt: skip
    library.ggml_row_size.restype = ctypes.c_size_t
    library.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    return library


def quantized(library, values, number):
    """Rows as ggml stores them, uint8 [rows, bytes]; every weight is as important."""
    n_rows, width = values.shape
    rows = np.empty((n_rows, library.ggml_row_size(number, width)), np.uint8)
    importance = np.ones(width, np.float32)
    n_bytes = library.ggml_quantize_chunk(
        number, values.ctypes.data, rows.ctypes.data, 0, n_rows, width, importance.ctypes.data
    )
    assert n_bytes == rows.nbytes
    return rows


@pytest.mark.parametrize("name", TYPES)
def test_weights_of_every_type_compute_what_libllama_computes(tmp_path, name):
    library, number = ggml_base(), number_of(name)
    shape = TinyShape(n_kv_heads=4)  # each head has keys of its own: sums in libllama's order
    path = tmp_path / f"{name}.gguf"
    writer = gguf.GGUFWriter(path, shape.architecture)
    add_metadata(writer, shape)
    for key, values in random_weights(shape).items():
        if values.ndim == 1:
            writer.add_tensor(key, values, raw_dtype=F32)
            continue
        rows = quantized(library, np.ascontiguousarray(values), number)
        # As int8 the rows' width is left alone.
        writer.add_tensor(key, rows.view(np.int8), raw_shape=values.shape, raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = GgufModel(str(path))
    decoder = RingDecoder(model, n_sinks=4, window=200)
    rows = token_rows(model, 20)
    assert np.abs(rows).max() > 0.1, "the weights have come through"
    with Libllama(path, repack=name in REPACKED) as oracle:
        np.testing.assert_array_equal(steps(decoder, rows), steps(oracle, rows))
