# SPDX-License-Identifier: Apache-2.0
"""Writes a llama as an ONNX decoder whose keys and values are a ring that the host plans.

`decoder.onnx` has these inputs and outputs (opset 24; C slots and T rows are the host's choice):

    inputs_embeds               [1, T, n_embd] float32
    rope_cos, rope_sin          [1, T, head_dim / 2] float32, computed by the host in double
    write_index                 [1] int64, slot of the first row; the others follow it
    attention_bias              [1, 1, T, C] float32, 0 where a row sees a slot, else very negative
    past_key_values.N.key/value [1, n_kv_heads, C, head_dim] float32, keys rotated
    logits                      [1, T, n_vocab] float32
    present.N.key/value         as past, to be bound to the same memory

That is layout B. In layout C a run has one row, which sees every slot up to its own, and two inputs
take the place of `write_index` and `attention_bias`:

    seqlens_k                   [1] int32, slot of the row
    total_sequence_length       [] int32, one more

`embed_tokens.onnx` beside either maps `input_ids` [N] int64 to `inputs_embeds` [N, n_embd].
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from onnx import TensorProto, helper, numpy_helper

from edgestream.convert.models.llama import Floats, LlamaConfig, checked_weights
from edgestream.convert.onnx.graph import BLOCK, MICROSOFT, RingGraph, SharedGraph, value
from edgestream.errors import ModelError, OutputError
from edgestream.library.manifest.ring import EMBEDDINGS_FILE

OPSET, IR_VERSION = 24, 11
PROTOBUF_LIMIT_BYTES = (1 << 31) - 1


def write_onnx_decoder(
    folder: Path,
    weights: Mapping[str, Any],
    config: LlamaConfig,
    *,
    layout: Literal["B", "C"] = "B",
    four_bit: bool = False,
) -> Path:
    """Writes `decoder.onnx` and `embed_tokens.onnx` into `folder`; returns the decoder's path.

    Layout B takes runs of several rows; C is faster where rows come one by one.

    Each file appears whole or not at all. `weights` as for `checked_weights`. With `four_bit` the
    matrices of the layers and the output are stored in blocks of 32 weights of 4 bits with one
    scale (MatMulNBits); norms and embeddings stay float32.

    Raises:
        ModelError: the weights do not fit the configuration or a file would pass 2 GiB.
        OutputError: a file cannot be written.
    """
    values = checked_weights(weights, config.decoder)
    if four_bit and (config.decoder.n_embd % BLOCK or config.decoder.n_ff % BLOCK):
        raise ModelError(f"4-bit weights need widths that are multiples of {BLOCK}")
    graph = (RingGraph if layout == "B" else SharedGraph)(values, config.decoder, four_bit).whole()
    properties = {
        "edgestream.inv_freq": json.dumps(config.inv_freq),
        "edgestream.token_texts": json.dumps(config.token_texts),
    }
    path = folder / "decoder.onnx"
    table = _embeddings(values["model.embed_tokens.weight"])
    write_onnx(folder / EMBEDDINGS_FILE, table, OPSET)
    write_onnx(path, graph, OPSET, properties)
    return path


def _embeddings(table: Floats) -> Any:
    node = helper.make_node("Gather", ["embed_tokens.weight", "input_ids"], ["inputs_embeds"])
    ids = value("input_ids", "tokens", kind=TensorProto.INT64)
    rows = value("inputs_embeds", "tokens", table.shape[1])
    weight = numpy_helper.from_array(table, "embed_tokens.weight")
    return helper.make_graph([node], "embed_tokens", [ids], [rows], [weight])


def write_onnx(
    path: Path, graph: Any, opset: int, properties: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Writes a graph through a file beside it that takes its name when it is whole.

    Raises:
        ModelError: it would pass 2 GiB.
        OutputError: it cannot be written.
    """
    domains = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(
        graph, opset_imports=domains, ir_version=IR_VERSION, producer_name="edgestream"
    )
    helper.set_model_props(model, dict(properties))
    n_bytes = model.ByteSize()
    if n_bytes > PROTOBUF_LIMIT_BYTES:
        raise ModelError(f"{path}: would have {n_bytes} bytes, ONNX files hold 2 GiB; try 4 bits")
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
            part.write(model.SerializeToString())
        os.chmod(part.name, 0o644)
        os.replace(part.name, path)
    except OSError as error:
        if part is not None:
            Path(part.name).unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
