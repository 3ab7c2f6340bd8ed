# SPDX-License-Identifier: Apache-2.0
"""Decoders alone among the models: listed, weighed, pulled and loaded as what they are."""

import re

import pytest
import typer.testing
from loopback_hub import Hub, Repository
from test_convert_decoder import run, tiny_source
from test_hub import fetch, talk_to

import edgestream as es
from edgestream.cli.main import app
from edgestream.decoder import load_decoder
from edgestream.errors import ModelError
from edgestream.library.needs import Speed

NAME = "someone/small"


def models(*arguments):
    result = typer.testing.CliRunner().invoke(app, ["models", *map(str, arguments)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.fixture
def served(home, monkeypatch):
    with Hub() as hub:
        talk_to(monkeypatch, hub.url)
        monkeypatch.setattr("edgestream.hub.pull.probe", lambda: Speed(1e-10, 1e10, 1e12))
        monkeypatch.setattr("edgestream.hub.fit.probe", lambda: Speed(1e-10, 1e10, 1e12))
        yield hub


@pytest.mark.parametrize("to", ["gguf", "onnx"])
def test_a_published_decoder_is_pulled_and_used(served, tmp_path, to):
    run(tiny_source(tmp_path), tmp_path / "out", to=to, quant="f32")
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    served.repositories[NAME] = Repository(files)
    folder, told = fetch(NAME)
    assert {path.name for path in folder.iterdir()} == {*files, "lock.toml"}
    assert re.search("about .* ms of computing for each row", told[0])
    assert ("keys and values not known" in told[0]) == (to == "onnx")
    assert told[-1] == "fits this machine: yes"
    assert re.search(rf"{NAME} +[\d.]+ MB +decoder +unknown +yes +pulled", models("list"))
    assert "family:      decoder" in models("info", NAME)
    assert "intact" in models("verify", NAME)
    by_name, by_folder = load_decoder(NAME), load_decoder(tmp_path / "out")
    assert by_name.manifest == by_folder.manifest
    assert by_name.weights.n_vocab == by_folder.weights.n_vocab
    with pytest.raises(ModelError, match="only a decoder, the part that writes; it cannot hear"):
        es.load(NAME)


def test_a_decoder_that_does_not_fit_is_not_pulled(served, tmp_path, monkeypatch):
    run(tiny_source(tmp_path), tmp_path / "out")
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    served.repositories[NAME] = Repository(files)
    monkeypatch.setattr("edgestream.hub.fit.free_memory_bytes", lambda: 1)
    with pytest.raises(es.EdgestreamError, match="does not fit this machine"):
        fetch(NAME)


def test_info_of_a_folder(tmp_path):
    run(tiny_source(tmp_path), tmp_path / "out")
    told = models("info", tmp_path / "out")
    assert re.search(r"family: +decoder", told)
    assert re.search("keys and values [0-9.]+ MB", told)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("window = ", "window = -", "decoder.window must be"),
     ('"decoder.gguf"', '"x.gguf"', "No such"),
     ("n_sinks", "sinks", "unknown key"), ('family = "decoder"', 'family = "x"', "family"),
     ("[files]", "[other]", "unknown key")],
)  # fmt: skip
def test_a_manifest_that_is_wrong_is_one_line(tmp_path, old, new, said):
    run(tiny_source(tmp_path), tmp_path / "out")
    path = tmp_path / "out" / "model.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ModelError, match=said) as caught:
        load_decoder(tmp_path / "out")
    assert "\n" not in str(caught.value)
