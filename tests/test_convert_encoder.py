# SPDX-License-Identifier: Apache-2.0
"""`edgestream convert --quant-encoder int8`: a smaller encoder that hears the same words."""

import shutil

import onnx
import pytest

import edgestream as es
from edgestream.convert import encoder
from edgestream.convert.run import Wish, convert
from edgestream.errors import ConversionError, ModelError, UsageError
from edgestream.library import sha256_of


def run(source, out, **others):
    told = []
    wish = Wish("gguf", **({"quant": None, "verify": False} | others), n_threads=1,
                small_encoder=True)  # fmt: skip
    convert(str(source), out, wish, tell=told.append, progress=lambda *_: None)
    return told


def test_a_small_encoder_hears_the_same_words(tmp_path):
    words, sizes = run("tiny-en", tmp_path / "tiny-int8", verify=True)
    assert words.startswith("word errors on the bundled clips")
    before, after = es.load("tiny-en"), es.load(tmp_path / "tiny-int8")
    assert "became" in sizes
    files = [m.folder / m.manifest.encoder.file for m in (before, after)]
    assert files[1].stat().st_size < files[0].stat().st_size / 3
    assert after.manifest.name == "tiny-int8"
    assert after.manifest.files["encoder.onnx"] == sha256_of(files[1])
    others = {name: s for name, s in before.manifest.files.items() if name != "encoder.onnx"}
    assert others.items() <= after.manifest.files.items()


def test_what_costs_too_many_words_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(encoder, "MORE_ERRORS", -1.0)
    with pytest.raises(ConversionError, match="too far from it"):
        run("tiny-en", tmp_path / "out", verify=True)
    assert not list(tmp_path.iterdir())


def test_mistakes_are_named(tmp_path):
    for arguments, message in [
        ({"source": "tiny-en", "quant": "q8_0"}, "--quant is for decoders of checkpoints"),
        ({"source": tmp_path}, "not a model"),
        ({"source": "none"}, "no such model on this machine"),
    ]:
        with pytest.raises((UsageError, ModelError), match=message):
            run(arguments.pop("source"), tmp_path / "out", **arguments)
    with pytest.raises(UsageError, match="not a name for a model"):
        run("tiny-en", tmp_path / "o'\n", verify=False)


@pytest.mark.parametrize("damage", ["checksum", "external"])
def test_an_encoder_that_is_not_to_be_trusted_is_refused(tmp_path, damage):
    folder = tmp_path / "source"
    shutil.copytree(es.load("tiny-en").folder, folder)
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
    with pytest.raises(ModelError, match=r"altered or damaged|weights in other files"):
        run(folder, tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {"source"}
