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
from loopback_hub import Hub, Repository

import edgestream as es
from edgestream import hub, library
from edgestream.config import is_plain_name, read_manifest
from edgestream.fit import Probe
from edgestream.library import Lock
from edgestream.pull import pull

NAME = "someone/model"
COMMIT = 40 * "a"
SLASHES = st.sampled_from(["/", "\\", "..", "../", "C:", "\0", "\x1b", ".", "model.toml", "a", "é"])
PATHS = st.lists(SLASHES | st.text(max_size=5), max_size=6).map("".join)


@pytest.fixture(scope="module")
def tiny():
    folder = es.load().folder
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "README.md"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGESTREAM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def served(home, monkeypatch):
    """A hub in this process; its address is read when huggingface_hub is imported, so set here."""
    with Hub() as served:
        monkeypatch.setattr(hub.constants, "ENDPOINT", served.url)
        template = served.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", served.url)
        monkeypatch.setattr("edgestream.pull.probe", lambda: Probe(1e-10, 1e10))
        yield served


def fetch(name=NAME, **options):
    told = []
    folder = pull(name, tell=told.append, progress=lambda done, total: None, **options)
    return folder, told


def under(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


# The catalogue.


def test_every_shipped_model_and_every_entry_is_consistent():
    assert "tiny-en" in library.shipped()
    for name, folder in library.shipped().items():
        assert library.read_verified(folder).name == name
    for folder in library.catalogue().values():
        library.read_source(folder)
    assert not library.shipped().keys() & library.catalogue().keys()


@pytest.fixture
def entry(tmp_path, monkeypatch, tiny):
    """A model of the catalogue whose repository has other names for its files."""
    root = tmp_path / "package"
    folder = root / "models" / "big-en"
    folder.mkdir(parents=True)
    manifest = tiny["model.toml"].decode().replace('name = "tiny-en"', 'name = "big-en"')
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
    monkeypatch.setattr(es, "__path__", [*es.__path__, str(root)])
    return folder, repository


def test_a_model_of_the_catalogue_is_pulled_by_its_short_name(entry, served, tiny):
    folder, repository = entry
    served.repositories[NAME] = repository
    assert library.catalogue() == {"big-en": folder}
    with pytest.raises(es.EdgestreamError, match="edgestream models pull big-en"):
        es.load("big-en")
    at, _ = fetch("big-en")
    assert {p.name for p in at.iterdir()} == {*tiny, "lock.toml"}
    assert es.load("big-en").manifest.name == "big-en"
    with pytest.raises(es.EdgestreamError, match="revision"):
        fetch("big-en", revision="main")


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
        library.read_source(folder)
    assert "\n" not in str(caught.value)


def test_pulled_models_lie_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGESTREAM_HOME", "here")
    assert library.home() == Path.cwd() / "here"
    monkeypatch.delenv("EDGESTREAM_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert library.home() == tmp_path / "edgestream"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert library.home() == tmp_path / ".cache" / "edgestream"


# The lock file.


@given(
    st.from_regex(library.REPOSITORY, fullmatch=True),
    st.dictionaries(st.sampled_from(["a.onnx", "b-1+2.gguf"]), st.just("0" * 64)),
)
def test_a_lock_comes_back_as_it_was_written(tmp_path_factory, repository, files):
    folder = tmp_path_factory.mktemp("m")
    lock = Lock(repository, COMMIT, {"model.toml": 64 * "1", **files})
    library.write_lock(folder, lock)
    assert library.read_lock(folder) == lock


@given(st.binary(max_size=60), st.integers(0, 300), st.integers(0, 30))
def test_a_damaged_lock_is_a_lock_or_an_error(tmp_path_factory, noise, at, cut):
    folder = tmp_path_factory.mktemp("m")
    library.write_lock(folder, Lock(NAME, COMMIT, {"model.toml": 64 * "1", "a.onnx": 64 * "2"}))
    good = (folder / "lock.toml").read_bytes()
    (folder / "lock.toml").write_bytes(good[:at] + noise + good[at + cut :])
    with contextlib.suppress(es.EdgestreamError):
        for name in library.read_lock(folder).files:
            assert name == "model.toml" or is_plain_name(name)


@pytest.mark.parametrize("n_bytes", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_checksums_are_those_of_the_whole_file(tmp_path, n_bytes):
    data = os.urandom(n_bytes)
    (tmp_path / "f").write_bytes(data)
    assert library.sha256_of(tmp_path / "f") == hashlib.sha256(data).hexdigest()


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
    if library.is_pullable(name):
        folder = library.folder_of(name)
        assert folder.parent == library.home() / "models"
        assert folder.name.replace("--", "/") == name
        assert not folder.name.startswith(".")


HOSTILE_NAMES = [
    "../x",
    "/tmp/edgestream-x",
    "a/../../x",
    "a\\..\\x",
    "..",
    "C:x",
    "x\0",
    "\x1b]0;x",
]


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
    assert library.pulled() == {}


def test_a_link_in_a_repository_is_a_small_file_with_a_wrong_checksum(served, tiny):
    """git keeps a link as a file that holds its target; the hub serves that."""
    served.repositories[NAME] = Repository({**tiny, "decoder.gguf": b"/etc/passwd"})
    with pytest.raises(es.EdgestreamError, match="GGUF"):
        fetch()
    assert library.pulled() == {}


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


# Hostile answers.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: setattr(r, "commit", "../../x"), "as a hub does"),
        (lambda r: setattr(r, "commit", None), "as a hub does"),
        (lambda r: setattr(r, "siblings", None), "holds no model.toml"),
        (lambda r: setattr(r, "siblings", "x"), "cannot be reached"),
        (lambda r: setattr(r, "siblings", [{"x": 1}]), "cannot be reached"),
        (lambda r: [s.update(size=-1) for s in r.siblings], "as a hub does"),
        (lambda r: [s.update(size="1") for s in r.siblings], "holds no model.toml"),
        (lambda r: [s.update(size=10**12) for s in r.siblings], "holds no model.toml"),
        (lambda r: [s.update(size=20) for s in r.siblings], "sends more than the 20 bytes"),
        (lambda r: [s["lfs"].update(sha256=64 * "0") for s in r.siblings if "lfs" in s],
         "hub's checksum"),
        (lambda r: [s["lfs"].update(sha256="../x") for s in r.siblings if "lfs" in s],
         "checksum of someone/model that is none"),
        (lambda r: r.siblings.pop(1), "repository has no"),
    ],
)  # fmt: skip
def test_a_listing_that_lies_is_one_line(served, tiny, change, said):
    repository = served.repositories[NAME] = Repository(tiny)
    change(repository)
    with pytest.raises(es.EdgestreamError, match=said) as caught:
        fetch()
    assert "\n" not in str(caught.value)
    assert library.pulled() == {}


def test_what_does_not_fit_is_pulled_by_force_only(served, tiny, monkeypatch):
    served.repositories[NAME] = Repository(tiny)
    monkeypatch.setattr("edgestream.fit.free_memory_bytes", lambda: 50_000_000)
    with pytest.raises(es.EdgestreamError, match="memory: 103 MB needed, 50 MB free"):
        fetch()
    assert fetch(force=True)[1][-1] == "fits this machine: no"
    monkeypatch.undo()


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
        library.read_verified(folder)
    assert {name: (folder / name).read_bytes() for name in under(folder)} == before
    shutil.rmtree(folder)


@settings(max_examples=15)
@given(st.binary(max_size=200))
def test_a_tokenizer_file_is_checked_and_never_run(tmp_path_factory, tiny, noise):
    """Texts of tokens come from the decoder's file; tokenizer.json is there for other programs."""
    folder = tmp_path_factory.mktemp("m")
    sha256 = {name: hashlib.sha256(data).hexdigest() for name, data in tiny.items()}
    (folder / "tokenizer.json").write_bytes(noise)
    for name in ("encoder.onnx", "decoder.gguf"):
        (folder / name).symlink_to(es.load().folder / name)
    (folder / "model.toml").write_bytes(tiny["model.toml"])
    with pytest.raises(es.EdgestreamError, match=r"tokenizer\.json"):
        library.read_verified(folder)
    right = hashlib.sha256(noise).hexdigest()
    text = tiny["model.toml"].decode().replace(sha256["tokenizer.json"], right)
    (folder / "model.toml").write_text(text)
    assert library.read_verified(folder) == read_manifest(folder / "model.toml")
    shutil.rmtree(folder)
