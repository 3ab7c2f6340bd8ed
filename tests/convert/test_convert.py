# SPDX-License-Identifier: Apache-2.0
"""The writers of ONNX decoders: weights of any origin, four bits, operator graphs, errors."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from float64_llama import Float64Llama
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny_llama import TinyShape, random_weights, stored_weights, write_gguf

from edgestream.convert.gguf.llama import read_gguf_llama
from edgestream.convert.models.llama import LlamaConfig
from edgestream.convert.onnx.decoder import write_onnx_decoder
from edgestream.convert.onnx.graph import four_bit_blocks
from edgestream.errors import ModelError, OutputError
from edgestream.onnx.decoder import OnnxDecoder
from edgestream.onnx.operators import GRAPHS
from edgestream.onnx.rope import inverse_frequencies
from edgestream.onnx.weights import OnnxModel

SHAPE = TinyShape(n_embd=64, n_ff=96, n_heads=4, n_kv_heads=2, n_vocab=40)
CONFIG = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "max_position_embeddings": 64,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", ["f32", "q8_0"])
def test_a_gguf_keeps_its_weights_and_tokens(tmp_path, tied, kind):
    shape = TinyShape(**(vars(SHAPE) | {"tied": tied, "rope_factors": True}))
    path = write_gguf(tmp_path / "tiny.gguf", shape, random_weights(shape), kind)
    weights, config = read_gguf_llama(path)
    model = OnnxModel(write_onnx_decoder(tmp_path, weights, config))
    assert model.token_texts() == [f"<{i}>" for i in range(40)]
    reference = Float64Llama(shape, stored_weights(path), n_sinks=2, window=9)
    decoder = OnnxDecoder(model, n_sinks=2, window=9)
    for token in np.random.default_rng(0).integers(0, 40, 60):
        row = decoder.token_embedding(int(token))[None]
        assert np.abs(decoder.step(row) - reference.step(row)).max() <= 1e-4


def dequantized(nibbles, scales):
    low, high = nibbles & 15, nibbles >> 4
    steps = np.stack([low, high], axis=-1).reshape(*nibbles.shape[:2], 32).astype(np.float32) - 8
    return (steps * scales[..., None]).reshape(len(nibbles), -1)


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.sampled_from([32, 64])),
        elements=st.floats(-100, 100, width=32),
    )
)
def test_four_bits_are_off_by_no_more_than_a_step(weight):
    nibbles, scales = four_bit_blocks(weight)
    error = np.abs(dequantized(nibbles, scales) - weight).reshape(len(weight), -1, 32)
    # Half a step inside the range; at its far end, +7 for what +8 would be, a whole one.
    assert (error <= np.abs(scales)[..., None] * 1.001 + 1e-30).all()


def test_a_four_bit_decoder_computes_with_its_rounded_weights(tmp_path):
    shape = TinyShape()
    weights, config = read_gguf_llama(
        write_gguf(tmp_path / "tiny.gguf", shape, random_weights(shape))
    )
    path = write_onnx_decoder(tmp_path, weights, config, four_bit=True)
    stored = random_weights(shape)
    for name, weight in stored.items():
        if weight.ndim == 2 and name != "token_embd.weight":
            stored[name] = dequantized(*four_bit_blocks(weight))
    reference = Float64Llama(shape, stored, n_sinks=2, window=9)
    exact = Float64Llama(shape, random_weights(shape), n_sinks=2, window=9)
    decoder = OnnxDecoder(OnnxModel(path), n_sinks=2, window=9)
    off, rounded = [], []
    for token in np.random.default_rng(0).integers(0, shape.n_vocab, 60):
        row = decoder.token_embedding(int(token))[None]
        logits, expected = decoder.step(row), reference.step(row)
        off.append(np.abs(logits - expected).mean())
        rounded.append(np.abs(exact.step(row) - expected).mean())
    # 8-bit activations cost less than the 4-bit weights do.
    assert np.mean(off) < 0.25 * np.mean(rounded)


@pytest.mark.parametrize("layout", ["B", "C"])
def test_a_llama_of_pytorch_gives_the_same_logits(tmp_path, layout):
    torch = pytest.importorskip("torch")
    from tiny_torch_llama import TinyTorchLlama

    torch.manual_seed(0)
    scaled = CONFIG | {"rope_scaling": LLAMA3}
    config = LlamaConfig.from_hugging_face(scaled)
    original = TinyTorchLlama(scaled).eval()
    tokens = np.random.default_rng(0).integers(0, 40, 30)
    with torch.no_grad():
        expected = original(torch.tensor(tokens)[None])[0].numpy()
    path = write_onnx_decoder(tmp_path, original.state_dict(), config, layout=layout)
    decoder = OnnxDecoder(OnnxModel(path), n_sinks=2, window=40)
    rows = np.stack([decoder.token_embedding(int(token)) for token in tokens])
    given = decoder.step_groups([(0, rows)], logits="every")
    np.testing.assert_allclose(given, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "qwen2"}, "model_type 'qwen2' is not supported; converted is 'llama'"),
        ({"attention_bias": True}, "attention_bias True is not supported"),
        ({"mlp_bias": True}, "mlp_bias True is not supported"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu' is not supported; converted is 'silu'"),
        ({"rope_scaling": {"rope_type": "dynamic"}}, "rope scaling 'dynamic' of llama is not"),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
            "llama with the rope scaling yarn",
        ),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor 0.5 is not supported"),
    ],
)
def test_what_is_not_written_is_refused(change, message):
    with pytest.raises(ModelError, match=message):
        LlamaConfig.from_hugging_face(CONFIG | change)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    weights, config = read_gguf_llama(
        write_gguf(tmp_path / "tiny.gguf", SHAPE, random_weights(SHAPE))
    )
    down = "model.layers.1.mlp.down_proj.weight"
    for change, message in (
        ({down: weights[down].T}, r"down_proj.weight has the shape \(96, 64\), not \(64, 96\)"),
        ({down: weights[down] * np.nan}, "down_proj.weight holds a number that is not finite"),
    ):
        with pytest.raises(ModelError, match=message):
            write_onnx_decoder(tmp_path, weights | change, config)
    del weights[down]
    with pytest.raises(ModelError, match=r"model.layers.1.mlp.down_proj.weight is missing"):
        write_onnx_decoder(tmp_path, weights, config)
    assert not list(tmp_path.glob("*.onnx")), "a refused conversion left files"


def test_files_that_are_no_gguf_llama_are_refused(tmp_path):
    path = tmp_path / "other.gguf"
    path.write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(ModelError, match="not a readable GGUF file"):
        read_gguf_llama(path)
    weights = random_weights(SHAPE) | {"blk.0.attn_q.bias": np.zeros(64, np.float32)}
    with pytest.raises(ModelError, match=r"attn_q.bias is not of a llama that can be converted"):
        read_gguf_llama(write_gguf(path, SHAPE, weights))


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    weights, config = read_gguf_llama(
        write_gguf(tmp_path / "tiny.gguf", SHAPE, random_weights(SHAPE))
    )
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_onnx_decoder(tmp_path / "file" / "folder", weights, config)


def test_the_written_file_keeps_the_rules_of_onnx(tmp_path):
    weights, config = read_gguf_llama(
        write_gguf(tmp_path / "tiny.gguf", SHAPE, random_weights(SHAPE))
    )
    path = write_onnx_decoder(tmp_path, weights, config)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []


def test_llama_3_frequencies_are_slowed_only_where_they_are_slow():
    plain = inverse_frequencies(CONFIG, 16)
    scaled = inverse_frequencies(CONFIG | {"rope_scaling": LLAMA3}, 16)
    np.testing.assert_allclose(plain, 10000.0 ** (-np.arange(8) / 8))
    turns = 64 * plain / (2 * np.pi)
    np.testing.assert_array_equal(scaled[turns >= 4], plain[turns >= 4])
    np.testing.assert_allclose(scaled[turns <= 1], plain[turns <= 1] / 8)
    between = (turns > 1) & (turns < 4)
    assert between.any()
    assert ((scaled < plain) & (scaled > plain / 8))[between].all()


def test_the_operator_graphs_are_those_that_the_tool_writes():
    path = Path(__file__).parents[2] / "tools" / "make" / "operator_graphs.py"
    spec = importlib.util.spec_from_file_location("write_operator_graphs", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    written = tool.graphs()
    assert {p.stem for p in GRAPHS.glob("*.onnx")} == set(written)
    for name, data in written.items():
        stored = onnx.load(GRAPHS / f"{name}.onnx")
        assert stored.graph == onnx.load_from_string(data).graph
