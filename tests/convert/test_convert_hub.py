# SPDX-License-Identifier: Apache-2.0
"""Checkpoints from a hub on loopback: fetched, gone on with, verified; only what is known."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from loopback_hub import Hub, Repository
from test_convert_decoder import run
from test_hub import talk_to
from tiny_checkpoint import write_checkpoint
from tiny_llama import TinyShape, random_weights

from edgestream.decoder import load_decoder
from edgestream.errors import HubError, ModelError

NAME = "someone/tiny-llama"


@pytest.fixture
def files(tmp_path):
    """A checkpoint in two shards, by name, and a file that nobody should ask for."""
    shape = TinyShape()
    folder = write_checkpoint(tmp_path / "source", shape, random_weights(shape), n_shards=2)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "generation_config.json").write_text("{}")
    (folder / "run_me.py").write_text("raise SystemExit")
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def hub(monkeypatch, home):
    with Hub() as hub:
        talk_to(monkeypatch, hub.url)
        yield hub


def test_a_repository_is_fetched_and_converted(tmp_path, hub, home, files):
    hub.repositories[NAME] = Repository(files)
    run(NAME, tmp_path / "out")
    manifest = load_decoder(tmp_path / "out").manifest
    commit = hub.repositories[NAME].commit
    assert (manifest.source, manifest.license) == (f"{NAME} at {commit}", "mit")
    assert not list(home.rglob("run_me.py"))
    assert list(home.rglob("generation_config.json"))  # Whisper's converter reads it
    n_requests = len(hub.requests)
    run(NAME, tmp_path / "again")  # nothing but the listing is asked for again
    assert [path for path, _ in hub.requests[n_requests:] if "resolve" in path] == []
    same = [(tmp_path / out / "decoder.gguf").read_bytes() for out in ("out", "again")]
    assert same[0] == same[1]


def test_an_interrupted_fetch_goes_on(tmp_path, hub, files):
    hub.repositories[NAME] = Repository(files)
    hub.cut, hub.ranges = 20_000, True
    run(NAME, tmp_path / "out")  # each answer ends early; the next asks for the rest
    assert any(first > 0 for _, first in hub.requests)
    assert load_decoder(tmp_path / "out").weights.n_layers == TinyShape().n_layers


def test_damaged_weights_are_thrown_away(tmp_path, hub, home, files):
    hub.repositories[NAME] = Repository(files)
    hub.damage = True
    with pytest.raises(ModelError, match="came with a wrong checksum"):
        run(NAME, tmp_path / "out")
    assert not list(home.rglob("*.safetensors"))
    assert not list(home.rglob("*.part"))
    hub.damage = False
    run(NAME, tmp_path / "out")


@pytest.mark.parametrize("shard", ["../config.json", "/etc/passwd", "none.safetensors"])
def test_an_index_on_a_hub_names_files_of_its_repository_only(tmp_path, hub, home, files, shard):
    index = b'{"weight_map": {"a": "%s"}}' % shard.encode()
    hub.repositories[NAME] = Repository(files | {"model.safetensors.index.json": index})
    with pytest.raises(ModelError, match=r"plain name of a file|which is not there"):
        run(NAME, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors.index.json"])
def test_a_repository_without_a_checkpoint_is_refused(tmp_path, hub, files, missing):
    others = {name: data for name, data in files.items() if name != missing}
    hub.repositories[NAME] = Repository(others | {"pytorch_model.bin": b"pickled"})
    with pytest.raises(ModelError, match="holds no checkpoint with"):
        run(NAME, tmp_path / "out")


def test_a_hub_that_fails_is_one_line(tmp_path, hub, files):
    hub.repositories[NAME] = Repository(files)
    hub.status = 503
    with pytest.raises(HubError, match="answered 503; try again later"):
        run(NAME, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


def test_two_conversions_at_once_fetch_the_checkpoint_once(tmp_path, hub, home, files):
    hub.repositories[NAME] = Repository(files)
    hub.cut = 20_000  # so that both are at it for a while
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(run, NAME, tmp_path / out) for out in ("one", "other")]
        for each in both:
            each.result()
    same = [(tmp_path / out / "decoder.gguf").read_bytes() for out in ("one", "other")]
    assert same[0] == same[1]
    first = [path for path, start in hub.requests if "/large/" in path and start == 0]
    assert len(first) == len(set(first)) == 2  # the two shards, each begun once
    assert not list(home.rglob("*.part"))
