# SPDX-License-Identifier: Apache-2.0
"""ONNX files that are damaged, odd or of another kind: one line that says what and the way out."""

import contextlib
import shutil

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tiny_llama import TinyShape
from tiny_onnx import write_community, write_ours

from edgestream.cli.libraries import onnx_decoders
from edgestream.errors import EdgestreamError, ModelError
from edgestream.onnx import operators
from edgestream.onnx.decoder import OnnxDecoder
from edgestream.onnx.weights import OnnxModel

SHAPE = TinyShape(n_layers=1, n_embd=32, n_ff=32, n_heads=2, n_kv_heads=1, n_vocab=12)


@pytest.fixture
def ours(tmp_path):
    return write_ours(tmp_path, SHAPE)


def run(path):
    decoder = OnnxDecoder(OnnxModel(path), n_sinks=1, window=4)
    return decoder.step(np.ones((9, decoder.n_embd), np.float32))


def edited(path, edit):
    model = onnx.load(path)
    edit(model)
    onnx.save(model, path)
    return path


def refused(path, message):
    with pytest.raises(ModelError, match=message) as error:
        run(path)
    assert "\n" not in str(error.value)


NAMES = [
    ("past_key_values.{}.{}", "present.{}.{}"),
    ("past_{}_{}", "present_{}_{}"),
    ("past_key_values.{}.decoder.{}", "present.{}.decoder.{}"),
]


@pytest.mark.parametrize("names", NAMES)
def test_several_names_of_past_and_present_are_met(tmp_path, names):
    named = OnnxModel(write_community(tmp_path, SHAPE, names=names))
    assert (named.layout, named.n_layers) == ("A", 1)
    assert named.keys[0].past == names[0].format(0, "key")
    run(named.path)


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [("use_cache_branch", TensorProto.BOOL, [1]), ("num_logits_to_keep", TensorProto.INT64, [])],
)
def test_switches_of_community_exports_are_set(tmp_path, name, kind, shape):
    assert np.isfinite(run(write_community(tmp_path, SHAPE, extra={name: (kind, shape)}))).all()


def test_an_export_without_position_ids_is_refused(tmp_path):
    path = write_community(tmp_path, SHAPE, without=["position_ids"])
    refused(path, "has no position_ids, so rows cannot be placed in a ring; export it with")


def test_an_export_that_takes_only_tokens_is_refused(ours):
    def edit(model):
        model.graph.input[0].name = "input_ids"
        for node in model.graph.node:
            node.input[:] = ["input_ids" if i == "inputs_embeds" else i for i in node.input]

    refused(edited(ours, edit), "takes token ids only, a stream has embeddings; export the model")


def test_unknown_inputs_are_refused(tmp_path):
    path = write_community(tmp_path, SHAPE, extra={"beam": (TensorProto.INT64, [1])})
    refused(path, "inputs .*beam.* are not those of a decoder; known are")


def test_a_past_without_its_present_is_refused(ours):
    refused(edited(ours, lambda m: m.graph.output.pop()), "past and present values do not belong")


def test_a_width_that_is_not_fixed_is_refused(ours):
    def edit(model):
        shape = next(i for i in model.graph.input if i.name.endswith(".key")).type.tensor_type.shape
        shape.dim[1].dim_param = "heads"

    refused(edited(ours, edit), r"past_key_values.0.key has the shape .*, axis 1 must be fixed")


def test_keys_of_another_type_are_refused(ours):
    def edit(model):
        for value in model.graph.input:
            if value.name.startswith("past"):
                value.type.tensor_type.elem_type = TensorProto.DOUBLE

    refused(edited(ours, edit), "onnxruntime cannot load it|supported are float and float16")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1.0", "the property edgestream.inv_freq is not JSON"),
        ("[1.0]", "edgestream.inv_freq must be 8 numbers"),
        ('"ten"', "edgestream.inv_freq must be 8 numbers"),
        ("[1, 1, 1, 1, 1, 1, 1, NaN]", "edgestream.inv_freq must be 8 numbers"),
    ],
)
def test_frequencies_that_cannot_be_are_refused(ours, text, message):
    def edit(model):
        for prop in model.metadata_props:
            if prop.key == "edgestream.inv_freq":
                prop.value = text

    refused(edited(ours, edit), message)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "config.json is missing; its rope_theta is needed"),
        ("{", "config.json: not valid JSON"),
        ("[]", "config.json: must be a JSON object"),
        ('{"rope_theta": "many"}', "the rope numbers are not usable"),
        ('{"rope_theta": 0}', "the rope numbers are not usable"),
        ('{"rope_scaling": {"type": "yarn"}}', "rope scaling 'yarn' is not supported"),
        ('{"rope_scaling": {"type": "linear"}}', "the rope numbers are not usable"),
        ('{"partial_rotary_factor": 0.5}', "partial_rotary_factor 0.5; only whole heads"),
        ('{"rope_theta": 500000.0}', "keys do not turn with positions as rope_theta says"),
        ('{"rope_scaling": {"type": "linear", "factor": 8}}', "keys do not turn with positions"),
    ],
)
def test_a_config_that_is_not_this_models_is_refused(tmp_path, config, message):
    path = write_community(tmp_path, SHAPE)
    (tmp_path / "config.json").unlink()
    if config is not None:
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
    refused(path, message)


def test_weights_outside_the_folder_are_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path = write_ours(folder, SHAPE)

    def edit(model):
        tensor = model.graph.initializer[0]
        (tmp_path / "outside.bin").write_bytes(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../outside.bin"

    model = onnx.load(path)
    edit(model)
    path.write_bytes(model.SerializeToString())
    refused(path, "onnxruntime cannot load it: .*escapes model directory")


def test_embeddings_of_another_model_or_none_are_refused(ours, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_ours(other, TinyShape(n_layers=1, n_embd=64, n_ff=32, n_heads=2, n_vocab=12))
    shutil.copy(other / "embed_tokens.onnx", tmp_path)
    refused(ours, "embed_tokens.onnx: must map token ids to rows of 32")
    (tmp_path / "embed_tokens.onnx").unlink()
    refused(ours, "embed_tokens.onnx: onnxruntime cannot load it")


def test_a_model_of_another_kind_is_refused(tmp_path):
    node = helper.make_node("Relu", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([node], "relu", values[:1], values[1:])
    path = tmp_path / "relu.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    refused(path, "inputs .*'x'.* are not those of a decoder")


@settings(max_examples=150)
@given(data=st.data())
def test_damaged_bytes_are_refused_or_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "damaged-onnx"
    if not folder.exists():
        folder.mkdir()
        write_ours(folder, SHAPE)
    original = (folder / "decoder.onnx").read_bytes()
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    path = folder / "damaged.onnx"
    path.write_bytes(damaged if data.draw(st.booleans()) else damaged[:cut])
    # RuntimeError: logits that are not finite
    with contextlib.suppress(EdgestreamError, RuntimeError):
        run(path)


def test_an_operator_that_computes_wrongly_is_named_with_the_way_out(monkeypatch):
    operators.check_operators.cache_clear()
    wrong = dict(operators.CASES)
    right = wrong["Attention"]
    wrong["Attention"] = lambda rng: (lambda x, y: (x, y + 1))(*right(rng))
    monkeypatch.setattr(operators, "CASES", wrong)
    with pytest.raises(ModelError, match=r"computes Attention wrongly \(off by .*pip install"):
        operators.check_operators()
    operators.check_operators.cache_clear()


def test_an_operator_that_is_missing_is_named(monkeypatch, tmp_path):
    operators.check_operators.cache_clear()
    for path in operators.GRAPHS.glob("*.onnx"):
        shutil.copy(path, tmp_path)
    edited(
        tmp_path / "TensorScatter.onnx",
        lambda m: setattr(m.graph.node[0], "op_type", "TensorScatterOfTomorrow"),
    )
    monkeypatch.setattr(operators, "GRAPHS", tmp_path)
    with pytest.raises(
        ModelError, match=r"does not run TensorScatter .*pip install 'onnxruntime>="
    ):
        operators.check_operators()
    operators.check_operators.cache_clear()


def test_providers_that_are_not_there_are_told_from_those_that_run():
    asked = ("CUDAExecutionProvider", operators.CPU)
    used = operators.providers_used(asked)
    assert used[-1] == operators.CPU
    told = [f for f in onnx_decoders(asked) if f.what == "ONNX decoders run on"]
    lost = set(asked) - set(used)
    assert [(f.ok, "not working here" in f.found) for f in told] == [
        (None if lost else True, bool(lost))
    ]
