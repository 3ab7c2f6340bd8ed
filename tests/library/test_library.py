# SPDX-License-Identifier: Apache-2.0
"""Models by name: the catalogue is consistent, lock files are strict, nothing leaves its folder."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgestream as es
from edgestream.library import folders
from edgestream.library.catalogue import read_source
from edgestream.library.folders import Lock
from edgestream.library.manifest.manifest import Manifest, is_plain_name
from edgestream.library.manifest.read import read_manifest

NAME = "someone/model"
COMMIT = 40 * "a"
SLASHES = st.sampled_from(["/", "\\", "..", "../", "C:", "\0", "\x1b", ".", "model.toml", "a", "é"])
PATHS = st.lists(SLASHES | st.text(max_size=5), max_size=6).map("".join)


def under(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


# The catalogue.


def test_every_shipped_model_and_every_entry_is_consistent():
    assert "synthetic-en" in folders.shipped()
    for name, folder in folders.shipped().items():
        assert folders.read_verified(folder, Manifest).name == name
    for folder in folders.catalogue().values():
        read_source(folder)
    assert not folders.shipped().keys() & folders.catalogue().keys()


def test_pulled_models_lie_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGESTREAM_HOME", "here")
    assert folders.home() == Path.cwd() / "here"
    monkeypatch.setenv("EDGESTREAM_HOME", "~nobody-of-this-name/here")
    assert folders.home() == Path.cwd() / "~nobody-of-this-name" / "here"
    monkeypatch.delenv("EDGESTREAM_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folders.home() == tmp_path / "edgestream"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders.home() == tmp_path / ".cache" / "edgestream"


# The lock file.


@given(
    st.from_regex(folders.REPOSITORY, fullmatch=True),
    st.dictionaries(st.sampled_from(["a.onnx", "b-1+2.gguf"]), st.just("0" * 64)),
)
def test_a_lock_comes_back_as_it_was_written(tmp_path_factory, repository, files):
    folder = tmp_path_factory.mktemp("m")
    lock = Lock(repository, COMMIT, {"model.toml": 64 * "1", **files})
    folders.write_lock(folder, lock)
    assert folders.read_lock(folder) == lock


@given(st.binary(max_size=60), st.integers(0, 300), st.integers(0, 30))
def test_a_damaged_lock_is_a_lock_or_an_error(tmp_path_factory, noise, at, cut):
    folder = tmp_path_factory.mktemp("m")
    folders.write_lock(folder, Lock(NAME, COMMIT, {"model.toml": 64 * "1", "a.onnx": 64 * "2"}))
    good = (folder / "lock.toml").read_bytes()
    (folder / "lock.toml").write_bytes(good[:at] + noise + good[at + cut :])
    with contextlib.suppress(es.EdgestreamError):
        for name in folders.read_lock(folder).files:
            assert name == "model.toml" or is_plain_name(name)


@pytest.mark.parametrize("n_bytes", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_checksums_are_those_of_the_whole_file(tmp_path, n_bytes):
    data = os.urandom(n_bytes)
    (tmp_path / "f").write_bytes(data)
    assert folders.sha256_of(tmp_path / "f") == hashlib.sha256(data).hexdigest()


# Hostile names.


@given(PATHS)
def test_a_plain_name_stays_in_its_folder(tmp_path_factory, name):
    if is_plain_name(name):
        folder = tmp_path_factory.getbasetemp()
        assert (folder / name).resolve().parent == folder.resolve()
        assert name.isprintable()
        assert name.casefold() not in ("model.toml", "lock.toml", "source.toml")


@given(PATHS)
def test_a_name_of_a_hub_is_one_folder(name):
    if folders.is_pullable(name):
        folder = folders.folder_of(name)
        assert folder.parent == folders.home() / "models"
        assert folder.name.replace("--", "/") == name
        assert not folder.name.startswith(".")


# Hostile manifests and tokenizers in a model's folder.


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=12), st.integers(0, 800), st.integers(0, 12), st.data())
def test_a_changed_manifest_loads_or_is_refused(tmp_path_factory, tiny, noise, at, cut, data):
    folder = tmp_path_factory.mktemp("m")
    for name, content in tiny.items():
        (folder / name).write_bytes(content)
    good = tiny["model.toml"]
    (folder / "model.toml").write_bytes(good[:at] + noise + good[at + cut :])
    before = {name: (folder / name).read_bytes() for name in under(folder)}
    with contextlib.suppress(es.EdgestreamError):
        folders.read_verified(folder, Manifest)
    assert {name: (folder / name).read_bytes() for name in under(folder)} == before
    shutil.rmtree(folder)


@settings(max_examples=15)
@given(st.binary(max_size=200))
def test_a_tokenizer_file_is_checked_and_never_run(tmp_path_factory, tiny, noise):
    """Texts of tokens come from the decoder's file; tokenizer.json is there for other programs."""
    folder = tmp_path_factory.mktemp("m")
    sha256 = {name: hashlib.sha256(data).hexdigest() for name, data in tiny.items()}
    (folder / "tokenizer.json").write_bytes(noise)
    for name in tiny.keys() - {"tokenizer.json", "model.toml"}:
        (folder / name).symlink_to(es.load("synthetic-en").folder / name)
    (folder / "model.toml").write_bytes(tiny["model.toml"])
    with pytest.raises(es.EdgestreamError, match=r"tokenizer\.json"):
        folders.read_verified(folder, Manifest)
    right = hashlib.sha256(noise).hexdigest()
    text = tiny["model.toml"].decode().replace(sha256["tokenizer.json"], right)
    (folder / "model.toml").write_text(text)
    assert folders.read_verified(folder, Manifest) == read_manifest(folder / "model.toml", Manifest)
    shutil.rmtree(folder)
