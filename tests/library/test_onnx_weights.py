# SPDX-License-Identifier: Apache-2.0
"""Weights in files beside an ONNX file: found wherever a graph may have them, and refused there."""

import contextlib
import hashlib
import shutil

import numpy as np
import onnx
import pytest
import tiny_kyutai
import tiny_voxtral
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto
from stream_events import events_of

import edgestream as es
from edgestream.convert.onnx.stream import WeightFile
from edgestream.errors import ModelError, OutputError
from edgestream.library import external_weights
from edgestream.library.external_weights import external_files

SOUND = tiny_voxtral.sound(30)
KINDS = {
    "ModelProto": "model", "GraphProto": "graph", "NodeProto": "node", "FunctionProto": "function",
    "AttributeProto": "attribute", "SparseTensorProto": "sparse", "TensorProto": "tensor",
    "TrainingInfoProto": "training",
}  # fmt: skip


def ways_to_tensors():
    """Of each message of onnx.proto the fields that lead to a tensor, as protobuf itself says."""
    fields, waiting = {}, [ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.name not in fields:
            fields[message.name] = {f.number: f.message_type for f in message.fields}
            waiting += [kind for kind in fields[message.name].values() if kind]
    leading, before = {"TensorProto"}, set()
    while leading != before:
        before = set(leading)
        leading |= {
            name for name, of in fields.items() if leading & {k.name for k in of.values() if k}
        }
    return {
        KINDS[name]: {n: KINDS[k.name] for n, k in fields[name].items() if k and k.name in leading}
        for name in leading - {"TensorProto"}
    }


def test_no_way_to_a_tensor_is_left_out():
    ends = ("tensor", "entry")
    ours = {name: of for name, of in external_weights._FIELDS.items() if name not in ends}
    assert ours == ways_to_tensors()
    tensor = {f.name: f.number for f in TensorProto.DESCRIPTOR.fields}
    assert external_weights._FIELDS["tensor"] == {tensor["external_data"]: "entry"}


def external(tensor, location):
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value=location)


def put(data, model):
    """A tensor somewhere in a model."""
    graph, node = model.graph, model.graph.node.add()
    for _ in range(data.draw(st.integers(0, 5))):
        attribute = node.attribute.add()
        graph = attribute.graphs.add() if data.draw(st.booleans()) else attribute.g
        node = graph.node.add()
    return data.draw(st.sampled_from([
        lambda: graph.initializer.add(),
        lambda: graph.sparse_initializer.add().values,
        lambda: node.attribute.add().t,
        lambda: node.attribute.add().tensors.add(),
        lambda: node.attribute.add().sparse_tensors.add().indices,
        lambda: model.functions.add().node.add().attribute.add().t,
        lambda: model.functions.add().attribute_proto.add().g.initializer.add(),
        lambda: model.training_info.add().algorithm.initializer.add(),
    ]))()  # fmt: skip


@given(st.data(), st.lists(st.text(max_size=20), max_size=6))
def test_every_location_is_found(tmp_path_factory, data, locations):
    model = ModelProto(ir_version=10)
    model.graph.initializer.add(name="plain", raw_data=b"location")
    for location in locations:
        external(put(data, model), location)
    path = tmp_path_factory.getbasetemp() / "nested.onnx"
    path.write_bytes(model.SerializeToString())
    assert external_files(path) == set(locations)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 1 << 20), st.booleans())
def test_other_bytes_are_a_model_error_or_nothing(tmp_path_factory, data, at, whole):
    path = tmp_path_factory.getbasetemp() / "other.onnx"
    model = ModelProto(ir_version=10)
    external(model.graph.initializer.add(), "weights")
    real = model.SerializeToString()
    path.write_bytes(data if whole else real[: at % len(real)] + data)
    with contextlib.suppress(ModelError):  # and nothing else
        external_files(path)


def test_what_is_no_protobuf_is_named(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"\x3a\xff\x01 a graph that ends early")
    with pytest.raises(ModelError, match="not an ONNX file, or damaged"):
        external_files(tmp_path / "x.onnx")


def test_depth_is_no_weapon(tmp_path):
    inner = b""
    for _ in range(20_000):  # a graph in an attribute of a node of a graph
        for tag in (b"\x0a", b"\x2a", b"\x32"):
            n, length = len(inner), b""
            while n > 127:
                length, n = length + bytes([n & 127 | 128]), n >> 7
            inner = tag + length + bytes([n]) + inner
        if len(inner) > 100_000:
            break
    (tmp_path / "deep.onnx").write_bytes(b"\x3a" + inner[1:])
    external_files(tmp_path / "deep.onnx")


# A converted model whose encoder is above the limit of one file.


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    at = tmp_path_factory.mktemp("large")
    one = tiny_kyutai.convert(tiny_voxtral.FOLDER, at / "one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgestream.convert.onnx.voxtral.GRAPH_LIMIT_BYTES", 0)
        patch.setattr("edgestream.convert.onnx.stream.LARGE_BYTES", 64)
        two = tiny_kyutai.convert(tiny_voxtral.FOLDER, at / "two")
    return one, two


@pytest.fixture
def folder(folders, tmp_path):
    return shutil.copytree(folders[1], tmp_path / "model")


def test_weights_in_two_files_give_the_same_events(folders):
    one, two = folders
    assert external_files(one / "encoder.onnx") == set()
    assert external_files(two / "encoder.onnx") == {"encoder.onnx.data"}
    size = (two / "encoder.onnx").stat().st_size
    assert size < (one / "encoder.onnx").stat().st_size / 2
    assert (two / "encoder.onnx.data").stat().st_size > 4096
    events = [events_of(es.load(each).stream(), [SOUND]) for each in folders]
    assert events[0] == events[1] != []


def test_no_weight_is_held_in_the_graph(folders):
    model = onnx.load(folders[1] / "encoder.onnx", load_external_data=False)
    held = [np.prod(t.dims) for t in model.graph.initializer if t.data_type == TensorProto.FLOAT
            and not t.external_data]  # fmt: skip
    assert max(held) * 4 < 64


def test_the_second_file_is_verified_and_weighed(folder):
    assert "encoder.onnx.data" in es.load(folder).manifest.files
    data = bytearray((folder / "encoder.onnx.data").read_bytes())
    data[-1] ^= 1
    (folder / "encoder.onnx.data").write_bytes(data)
    with pytest.raises(ModelError, match=r"encoder\.onnx\.data: altered or damaged"):
        es.load(folder)
    (folder / "encoder.onnx.data").unlink()
    with pytest.raises(ModelError, match=r"encoder\.onnx\.data: No such file"):
        es.load(folder)


def rewrite(folder, location):
    """The encoder with its weights elsewhere, and a manifest that agrees."""
    path, manifest = folder / "encoder.onnx", folder / "model.toml"
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(model.SerializeToString())
    text = manifest.read_text().replace(old, hashlib.sha256(path.read_bytes()).hexdigest())
    manifest.write_text(text)


@pytest.mark.parametrize(
    "location",
    ["../encoder.onnx.data", "/etc/passwd", "./encoder.onnx.data", "other.data", "", "a/b",
     "\x1b[2J", "ENCODER.onnx.data", "encoder.onnx.data\x00"],
)  # fmt: skip
def test_weights_that_no_checksum_covers_are_refused(folder, location):
    shutil.copy(folder / "encoder.onnx.data", folder.parent)
    shutil.copy(folder / "encoder.onnx.data", folder / "other.data")
    rewrite(folder, location)
    with pytest.raises(ModelError, match=r"a file that model\.toml does not name") as caught:
        es.load(folder)
    assert str(caught.value).isprintable()


def test_weights_beyond_the_end_of_their_file_are_one_line(folder):
    path = folder / "encoder.onnx.data"
    data = path.read_bytes()
    old, new = (hashlib.sha256(each).hexdigest() for each in (data, data[:100]))
    path.write_bytes(data[:100])
    manifest = folder / "model.toml"
    manifest.write_text(manifest.read_text().replace(old, new))
    with pytest.raises(ModelError, match="onnxruntime cannot load it") as caught:
        es.load(folder)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_line(tmp_path):
    weights = WeightFile(tmp_path / "weights")
    (tmp_path / "weights").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="weights: cannot be written"):
        weights.put("w", np.zeros(1 << 20, np.float32))
