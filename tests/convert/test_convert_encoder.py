# SPDX-License-Identifier: Apache-2.0
"""`edgestream convert --quant-encoder`: a smaller encoder that hears the same words."""

import re
import shutil

import numpy as np
import onnx
import pytest
import tiny_kyutai
import tiny_voxtral

import edgestream as es
from edgestream.convert import shrink as encoder
from edgestream.convert.run import Wish, convert
from edgestream.errors import ConversionError, ModelError, UsageError
from edgestream.library.folders import sha256_of
from edgestream.onnx.encoder import Encoder


def run(source, out, encoder_quant="int8", **others):
    told = []
    wish = Wish("gguf", **({"quant": None, "verify": False} | others), n_threads=1,
                encoder_quant=encoder_quant)  # fmt: skip
    convert(str(source), out, wish, tell=told.append, progress=lambda *_: None)
    return told


def test_a_small_encoder_hears_the_same_words(tmp_path):
    words, sizes = run("synthetic-en", tmp_path / "tiny-int8", verify=True)
    assert words.startswith("word errors on the bundled clips")
    before, after = es.load("synthetic-en"), es.load(tmp_path / "tiny-int8")
    assert "became" in sizes
    files = [m.folder / m.manifest.encoder.file for m in (before, after)]
    assert files[1].stat().st_size < files[0].stat().st_size / 3
    assert after.manifest.name == "tiny-int8"
    assert after.manifest.files["encoder.onnx"] == sha256_of(files[1])
    others = {name: s for name, s in before.manifest.files.items() if name != "encoder.onnx"}
    assert others.items() <= after.manifest.files.items()


def test_four_bits_hear_the_same_words(tmp_path):
    words, _ = run("synthetic-en", tmp_path / "tiny-int4", encoder_quant="int4", verify=True)
    assert 0.001 < float(re.search(r"rows are off by ([\d.]+)%", words)[1]) / 100 < 0.2
    before, after = es.load("synthetic-en"), es.load(tmp_path / "tiny-int4")
    models = [onnx.load(m.folder / m.manifest.encoder.file) for m in (before, after)]
    products = [[n for n in m.graph.node if n.op_type == "MatMul"] for m in models]
    blocks = [node for node in models[1].graph.node if node.op_type == "MatMulNBits"]
    assert len(products[0]) == len(products[1]) + len(blocks)
    assert len(blocks) >= 3
    sizes = [sum(len(t.raw_data) for t in m.graph.initializer) for m in models]
    kept = {tensor.name for tensor in models[1].graph.initializer}
    moved = [t for t in models[0].graph.initializer if t.name not in kept]
    matrices = sum(len(t.raw_data) for t in moved)
    assert sizes[0] - sizes[1] == matrices - matrices * 5 // 32  # 4 bits, and a scale for 32


def test_an_encoder_in_two_files_becomes_one_of_four_bits(tmp_path, monkeypatch):
    """As Voxtral's, whose float32 encoder is above 2 GiB; its matrices are read one by one."""
    monkeypatch.setattr("edgestream.convert.onnx.voxtral.GRAPH_LIMIT_BYTES", 0)
    monkeypatch.setattr("edgestream.convert.onnx.stream.LARGE_BYTES", 64)
    large = tiny_kyutai.convert(tiny_voxtral.FOLDER, tmp_path / "large")
    with pytest.raises(ModelError, match="weights in other files; int4 alone"):
        run(large, tmp_path / "int8")
    run(large, tmp_path / "int4", encoder_quant="int4")
    assert {p.name for p in (tmp_path / "int4").iterdir()} == {
        "model.toml", "encoder.onnx", "decoder.gguf",
    }  # fmt: skip
    graph = onnx.load(tmp_path / "int4" / "encoder.onnx").graph
    widths = [node.attribute for node in graph.node if node.op_type == "MatMulNBits"]
    assert len(widths) == 2  # of the projector; a layer's rows of 16 and 24 are no block of 32
    models = [es.load(tmp_path / name) for name in ("large", "int4")]
    frames = np.random.default_rng(0).normal(0, 1, (20, 8, 16)).astype(np.float32)
    exact, near = (Encoder(model.encoder).push(frames) for model in models)
    off = np.abs(exact - near).max() / np.abs(exact).max()
    assert 1e-4 < off < 0.3


def test_what_costs_too_many_words_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(encoder, "MORE_ERRORS", -1.0)
    with pytest.raises(ConversionError, match="too far from it"):
        run("synthetic-en", tmp_path / "out", verify=True)
    assert not list(tmp_path.iterdir())


def test_mistakes_are_named(tmp_path):
    for arguments, message in [
        ({"source": "synthetic-en", "quant": "q8_0"}, "--quant is for decoders of checkpoints"),
        ({"source": tmp_path}, "not a model"),
        ({"source": "none"}, "no such model on this machine"),
    ]:
        with pytest.raises((UsageError, ModelError), match=message):
            run(arguments.pop("source"), tmp_path / "out", **arguments)
    with pytest.raises(UsageError, match="not a name for a model"):
        run("synthetic-en", tmp_path / "o'\n", verify=False)


@pytest.mark.parametrize("damage", ["checksum", "external"])
def test_an_encoder_that_is_not_to_be_trusted_is_refused(tmp_path, damage):
    folder = tmp_path / "source"
    shutil.copytree(es.load("synthetic-en").folder, folder)
    path, manifest = folder / "encoder.onnx", folder / "model.toml"
    if damage == "checksum":
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    else:
        old, model = sha256_of(path), onnx.load(path)
        weight = next(w for w in model.graph.initializer if w.raw_data)
        weight.ClearField("raw_data")
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="../../secret")
        path.write_bytes(model.SerializeToString())
        manifest.write_text(manifest.read_text().replace(old, sha256_of(path)))
    with pytest.raises(ModelError, match=r"altered or damaged|model\.toml does not name"):
        run(folder, tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {"source"}
