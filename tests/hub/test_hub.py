# SPDX-License-Identifier: Apache-2.0
"""A pull in this process: transfers cut anywhere, listings that lie, names that want out."""

import hashlib
import os
import re
import tempfile
from pathlib import Path

import pytest
import typer.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback_hub import Hub, Repository

import edgestream as es
from edgestream.cli.main import app
from edgestream.hub import repository as hub
from edgestream.hub.pull import pull
from edgestream.library import folders
from edgestream.library.catalogue import read_source
from edgestream.library.needs import Speed

NAME = "someone/model"


def talk_to(patch, url):
    """The address of the hub is read when huggingface_hub is imported, so it is set here."""
    patch.setattr(hub.constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    patch.setattr(hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def served(home, monkeypatch):
    with Hub() as served:
        talk_to(monkeypatch, served.url)
        monkeypatch.setattr("edgestream.hub.pull.probe", lambda: Speed(1e-10, 1e10, 1e12))
        yield served


@pytest.fixture(scope="module")
def cut_hub():
    with Hub() as cut_hub, pytest.MonkeyPatch.context() as patch:
        talk_to(patch, cut_hub.url)
        yield cut_hub


def fetch(name=NAME, **options):
    told = []
    folder = pull(name, tell=told.append, progress=lambda *_: None, **options)
    return folder, told


def under(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


# Transfers.


@settings(max_examples=25)
@given(st.binary(min_size=1, max_size=30), st.integers(0, 130_000), st.integers(4_000, 120_000))
def test_any_cutting_of_a_transfer_gives_the_whole_file(cut_hub, seed, n_here, cut):
    data = (seed * 120_000)[:120_000]
    cut_hub.repositories[NAME] = Repository({"weights": data})
    cut_hub.cut = cut
    counted = []
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "part")
        part.write_bytes((data + seed)[:n_here])  # more than the file is thrown away
        hub.fetch(hub.look(NAME, None), "weights", part, counted.append)
        assert part.read_bytes() == data
    assert sum(counted) == len(data)


def test_a_model_with_an_onnx_decoder_is_weighed_by_its_files(served, tiny):
    files = {n: d for n, d in tiny.items() if n != "decoder.gguf"}
    files |= {"decoder.onnx": 5_000_000 * b"d", "embed_tokens.onnx": 1_000_000 * b"e"}
    lines = [x for x in tiny["model.toml"].decode().splitlines() if '"decoder.gguf" =' not in x]
    lines = [line.replace("decoder.gguf", "decoder.onnx") for line in lines]
    for name in ("decoder.onnx", "embed_tokens.onnx"):
        lines.append(f'"{name}" = "{hashlib.sha256(files[name]).hexdigest()}"')
    files["model.toml"] = "\n".join(lines).encode()
    served.repositories[NAME] = Repository(files)
    folder, told = fetch()
    assert {p.name for p in folder.iterdir()} == {*files, "lock.toml"}
    assert "weights 9.8 MB, keys and values not known, activations 9.8 MB" in told[0]
    listed = typer.testing.CliRunner().invoke(app, ["models", "list"]).output
    assert re.search(rf"{NAME} .* yes +pulled", listed)


def test_a_token_goes_to_the_hub_and_not_to_the_store_of_large_files(served, tiny, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    served.repositories[NAME] = Repository(tiny)
    with Hub() as store:
        store.repositories[NAME] = served.repositories[NAME]
        served.large_at = store.url.replace("127.0.0.1", "localhost")
        fetch()
        asked = zip(served.requests, served.tokens, strict=True)
        sent = {token for (path, _), token in asked if NAME in path}
        assert sent == {"Bearer hf_secret"}
        assert len(store.tokens) >= 3
        assert set(store.tokens) == {None}


# Names that want out.


HOSTILE_NAMES = ["../x", "/tmp/edgestream-x", "a/../../x", "a\\..\\x", "..", "C:x", "x\0"]
HOSTILE_NAMES += ["\x1b]0;x"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_in_a_listing_are_never_paths(served, tmp_path, tiny, name):
    """Only what model.toml names is fetched, whatever else a repository holds."""
    repository = served.repositories[NAME] = Repository(tiny | {name: b"hostile"})
    before = under(tmp_path)
    folder, _ = fetch()
    new = {p for p in under(tmp_path) - before if not p.startswith("home")}
    assert new == set()
    assert {p.name for p in folder.iterdir()} == {*tiny, "lock.toml"}
    assert not Path("/tmp/edgestream-x").exists()
    assert name not in [path.rpartition("/")[2] for path, _ in served.requests]
    assert len(repository.siblings) == len(tiny) + 1


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_in_a_manifest_are_refused(served, tmp_path, tiny, name):
    line = f'{name!r} = "{64 * "0"}"\n'.replace("'", '"').replace("\\x", "\\u00")
    manifest = tiny["model.toml"] + line.encode()
    served.repositories[NAME] = Repository({**tiny, "model.toml": manifest, name: b"hostile"})
    before = under(tmp_path)
    with pytest.raises(es.EdgestreamError, match=r"plain names|not valid TOML") as caught:
        fetch()
    assert str(caught.value).isprintable()
    assert all(p.startswith("home") for p in under(tmp_path) - before)
    assert folders.pulled() == {}


def test_a_link_in_a_repository_is_a_small_file_with_a_wrong_checksum(served, tiny):
    """git keeps a link as a file that holds its target; the hub serves that."""
    served.repositories[NAME] = Repository({**tiny, "decoder.gguf": b"/etc/passwd"})
    with pytest.raises(es.EdgestreamError, match="GGUF"):
        fetch()
    assert folders.pulled() == {}


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="no such flag here")
def test_a_link_where_a_part_gathers_is_not_followed(served, home, tmp_path, tiny):
    repository = served.repositories[NAME] = Repository(tiny)
    incoming = home / "incoming" / "someone--model" / repository.commit
    incoming.mkdir(parents=True)
    (tmp_path / "victim").write_bytes(b"untouched")
    (incoming / ".decoder.gguf.part").symlink_to(tmp_path / "victim")
    with pytest.raises(es.EdgestreamError, match="symbolic links"):
        fetch()
    assert (tmp_path / "victim").read_bytes() == b"untouched"


def test_what_was_fetched_before_counts_if_it_is_right(served, home, tiny, monkeypatch):
    repository = served.repositories[NAME] = Repository(tiny)
    incoming = home / "incoming" / "someone--model" / repository.commit
    incoming.mkdir(parents=True)
    (incoming / "decoder.gguf").write_bytes(tiny["decoder.gguf"])
    (incoming / "encoder.onnx").write_bytes(tiny["encoder.onnx"][:-1] + b"?")  # a crash does this
    old = home / "incoming" / "someone--model" / (40 * "b")
    old.mkdir()
    monkeypatch.setattr(
        "edgestream.hub.pull.free_disk_bytes", lambda _: 100_000
    )  # for the tokenizer
    folder, told = fetch()
    assert "0.0" in told[0]
    assert len(tiny["encoder.onnx"]) < served.sent_bytes < 4_000_000
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "lock.toml"} == tiny
    assert not old.exists()


# Listings.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: setattr(r, "commit", "../../x"), "as a hub does"),
        (lambda r: setattr(r, "commit", None), "as a hub does"),
        (lambda r: setattr(r, "siblings", None), "holds no model.toml"),
        (lambda r: setattr(r, "siblings", "x"), "as a hub does"),
        (lambda r: setattr(r, "siblings", [{"x": 1}]), "as a hub does"),
        (lambda r: [s.update(size=-1) for s in r.siblings], "as a hub does"),
        (lambda r: [s.update(size="1") for s in r.siblings], "holds no model.toml"),
        (lambda r: [s.update(size=10**12) for s in r.siblings], "holds no model.toml"),
        (lambda r: [s.update(size=20) for s in r.siblings], "sends more than the 20 bytes"),
        (lambda r: [s["lfs"].update(sha256=64 * "0") for s in r.siblings if "lfs" in s],
         "hub's checksum"),
        (lambda r: [s["lfs"].update(sha256="../x") for s in r.siblings if "lfs" in s],
         "checksum of someone/model that is not valid"),
        (lambda r: r.siblings.pop(1), "repository has no"),
    ],
)  # fmt: skip
def test_a_listing_that_lies_is_one_line(served, tiny, change, said):
    repository = served.repositories[NAME] = Repository(tiny)
    change(repository)
    with pytest.raises(es.EdgestreamError, match=said) as caught:
        fetch()
    assert "\n" not in str(caught.value)
    assert folders.pulled() == {}


def test_what_does_not_fit_is_pulled_by_force_only(served, tiny, monkeypatch):
    served.repositories[NAME] = Repository(tiny)
    monkeypatch.setattr("edgestream.hub.fit.free_memory_bytes", lambda: 50_000_000)
    with pytest.raises(es.EdgestreamError, match="memory: 103 MB needed, 50 MB free"):
        fetch()
    assert fetch(force=True)[1][-1] == "fits this machine: no"
    monkeypatch.undo()


# The catalogue.


@pytest.fixture
def entry(tmp_path, monkeypatch, tiny):
    """A model of the catalogue whose repository has other names for its files."""
    root = tmp_path / "package"
    folder = root / "models" / "big-en"
    folder.mkdir(parents=True)
    manifest = tiny["model.toml"].decode().replace('name = "synthetic-en"', 'name = "big-en"')
    (folder / "model.toml").write_text(manifest)
    paths = {"encoder.onnx": "onnx/encoder_model.onnx"}
    files = {paths.get(n, n): data for n, data in tiny.items() if n != "model.toml"}
    repository = Repository(files)
    lines = [f'repository = "{NAME}"', f'revision = "{repository.commit}"']
    for name, data in tiny.items():
        if name != "model.toml":
            at = paths.get(name, name)
            lines.append(f'[files."{name}"]\npath = "{at}"\nbytes = {len(data)}')
    (folder / "source.toml").write_text("\n".join(lines))
    monkeypatch.setattr(folders, "ROOTS", [*folders.ROOTS, root / "models"])
    return folder, repository


def test_a_model_of_the_catalogue_is_pulled_by_its_short_name(entry, served, tiny):
    folder, repository = entry
    served.repositories[NAME] = repository
    assert folders.catalogue()["big-en"] == folder
    with pytest.raises(es.EdgestreamError, match="edgestream models pull big-en"):
        es.load("big-en")
    at, _ = fetch("big-en")
    assert {p.name for p in at.iterdir()} == {*tiny, "lock.toml"}
    assert es.load("big-en").manifest.name == "big-en"
    with pytest.raises(es.EdgestreamError, match="revision"):
        fetch("big-en", revision="main")


def test_the_list_has_the_catalogue_and_what_is_damaged(entry, home):
    broken = home / "models" / "someone--broken"
    broken.mkdir(parents=True)
    (broken / "lock.toml").write_text("")
    (broken / "model.toml").write_text("\x1b[2J")
    listed = typer.testing.CliRunner().invoke(app, ["models", "list"])
    assert listed.exit_code == 0
    lines = {line.split()[0]: line for line in listed.output.splitlines()}
    assert re.search(r"9.15 MB +concatenated +en +Apache-2.0 +see info +catalogue", lines["big-en"])
    assert "damaged" in lines["someone/broken"]
    assert re.search(r"yes +ships with edgestream", lines["synthetic-en"])
    assert "\x1b" not in listed.output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('path = "onnx/', 'path = "../', "path inside"),
        ('path = "onnx/', 'path = "/onnx/', "path inside"),
        ('path = "onnx/', 'path = "onnx\\\\', "path inside"),
        ('path = "onnx/', 'path = "onnx/./', "path inside"),
        (f'"{NAME}"', '"someone"', "owner/name"),
        (f'"{NAME}"', '"../name"', "owner/name"),
        ('revision = "', 'revision = "x', "commit"),
        ("bytes = ", "bytes = -", "size"),
        ("bytes = ", "size = ", "unknown key 'size'"),
        ('[files."tokenizer.json"]', '[files."other.json"]', "files must be those"),
    ],
)
def test_a_wrong_entry_is_refused_in_one_line(entry, old, new, said):
    folder, _ = entry
    path = folder / "source.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(es.EdgestreamError, match=said) as caught:
        read_source(folder)
    assert "\n" not in str(caught.value)
