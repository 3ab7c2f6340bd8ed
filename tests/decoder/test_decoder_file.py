# SPDX-License-Identifier: Apache-2.0
"""What `[decoder]` of a model.toml says is what streams get."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_llama import TinyShape, random_weights, write_gguf

import edgestream as es
from edgestream._native import GgufModel, RingDecoder
from edgestream.decoder import load_decoder
from edgestream.errors import ModelError, UsageError
from edgestream.library.manifest.decoder import DecoderManifest
from edgestream.library.manifest.read import read_manifest
from edgestream.library.manifest.ring import RingSpec
from edgestream.library.manifest.write import write_manifest

TINY_EN = Path(__file__).resolve().parents[2] / "models" / "synthetic-en"
RING = {"n_sinks": 2, "window": 160}
OPTIONS = [
    {},
    {"retention": "heavy-hitter", "recent": 40},
    {"retention": "merge", "recent": 40, "evict_rows": 34},
    {"exit_layer": 1, "exit_threshold": 0.05},
    {"device": "auto"},
    {"device": "cpu"},
]


@pytest.fixture
def folder(tmp_path):
    shape = TinyShape(n_layers=3)
    write_gguf(tmp_path / "decoder.gguf", shape, random_weights(shape))
    return tmp_path


def describe(folder, **options):
    """Writes the manifest of the decoder in `folder`."""
    manifest = DecoderManifest(
        name="tiny", description="random", license="none", source="a test", quantization="f32",
        decoder=RingSpec(file="decoder.gguf", **RING, **options), tokenizer="",
        files={},
    )  # fmt: skip
    write_manifest(folder, manifest)
    return manifest


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_stream_has_the_memory_that_its_manifest_names(folder, options):
    written = describe(folder, **options)
    assert read_manifest(folder / "model.toml", DecoderManifest).decoder == written.decoder
    model = load_decoder(folder)
    tokens = np.random.default_rng(1).integers(0, 96, 300)
    rows = np.stack([model.weights.token_embedding(int(token)) for token in tokens])
    plain = GgufModel(str(folder / "decoder.gguf"))
    memory = {name: value for name, value in options.items() if name != "device"}
    expected = RingDecoder(plain, **RING, **memory)
    given = model.ring()
    for row in rows:
        np.testing.assert_array_equal(given.step(row[None]), expected.step(row[None]))
    assert given.n_exits == expected.n_exits
    assert (given.n_exits > 0) == ("exit_layer" in options)


def test_a_manifest_says_only_what_is_not_so_anyway(folder):
    describe(folder, retention="merge")
    text = (folder / "model.toml").read_text()
    assert 'retention = "merge"' in text
    assert "exit_layer" not in text
    assert "device" not in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retention": "oldest"}, "decoder.retention must be window, heavy-hitter, merge"),
        ({"recent": 3}, "need a retention other than window"),
        ({"retention": "merge", "recent": 161}, "decoder.recent must be 0 to decoder.window"),
        ({"retention": "merge", "evict_rows": -1}, "decoder.evict_rows must be"),
        ({"exit_threshold": 1.5}, "decoder.exit_threshold must be 0 to 1"),
        ({"exit_layer": -1}, "decoder.exit_layer must be 0"),
        ({"exit_layer": 3}, "decoder.exit_layer is 3, must be below the number of layers, 3"),
        ({"retention": "merge", "exit_layer": 1}, "decoder.exit_layer needs the retention window"),
        ({"device": ""}, "decoder.device must be"),
        ({"device": "tpu9"}, "there is no 'tpu9'; .* has: .*CPU"),
    ],
)
def test_what_cannot_be_is_refused_when_the_folder_is_opened(folder, options, said):
    describe(folder, **options)
    with pytest.raises(ModelError, match=said) as caught:
        load_decoder(folder)
    assert "\n" not in str(caught.value)


def test_numbers_that_do_not_go_together_are_the_manifests_or_the_callers(folder):
    describe(folder, retention="merge", recent=159)
    model = load_decoder(folder)
    with pytest.raises(ModelError, match=r"model\.toml: .*too small to choose who leaves"):
        model.ring()
    with pytest.raises(ValueError, match="too small to choose who leaves"):
        model.ring(window=159)


def test_a_device_can_be_asked_for_beside_the_manifest(folder):
    describe(folder, device="tpu9")
    assert load_decoder(folder, device="CPU").weights.device == "CPU"
    with pytest.raises(ModelError, match="there is no 'nothing'"):
        load_decoder(folder, device="nothing")


@pytest.mark.skipif(not TINY_EN.exists(), reason="the default model is not in this tree")
def test_captions_take_it_from_their_manifest_too(tmp_path):
    folder = shutil.copytree(TINY_EN, tmp_path / "synthetic-en")
    manifest = (folder / "model.toml").read_text()
    for line, said in [("exit_layer = 5", None), ("exit_layer = 6", "must be below the number")]:
        (folder / "model.toml").write_text(manifest.replace("step_ms", f"{line}\nstep_ms"))
        if said is None:
            assert es.load(folder, decoder_device="cpu").stream().push(np.zeros(1600)) == []
        else:
            with pytest.raises(ModelError, match=said):
                es.load(folder)
    with pytest.raises(ModelError, match="there is no 'tpu9'"):
        next(iter(es.listen(TINY_EN / "no.wav", model="synthetic-en", decoder_device="tpu9")))
    with pytest.raises(UsageError, match="is loaded already"):
        es.listen(TINY_EN / "no.wav", model=es.load("synthetic-en"), decoder_device="cpu")
