# SPDX-License-Identifier: Apache-2.0
"""Names of the catalogue whose repository holds a checkpoint: one pull fetches, converts, locks."""

import hashlib
import json
import re
import signal

import numpy as np
import pytest
import soundfile
import tiny_kyutai
import tiny_moonshine
import tiny_whisper
from loopback_hub import Repository
from safetensors.numpy import save_file
from stream_events import events_of
from test_convert_speech import checkpoint as speech_checkpoint
from test_hub import talk_to
from test_pull import hub, models, start, the_line

import edgestream as es
from edgestream.convert import run
from edgestream.convert.pull import pull
from edgestream.errors import ModelError, UsageError
from edgestream.library import folders
from edgestream.library.catalogue import read_source
from edgestream.library.manifest.manifest import Manifest
from edgestream.library.manifest.read import read_manifest
from edgestream.library.needs import Speed

assert hub  # a fixture
NAME = "kyutai-stt-1b-en_fr"
ORIGIN = {name: read_source(at).checkpoint for name, at in folders.catalogue().items()}
KINDS = {"whisper": tiny_whisper, "moonshine": tiny_moonshine}


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def served(hub, monkeypatch):
    """Tiny checkpoints under the names of the real ones, for processes and for this one."""
    talk_to(monkeypatch, hub.url)
    fast = Speed(1e-12, 1e12, 1e12)
    monkeypatch.setattr("edgestream.convert.pull.probe", lambda: fast)
    hub.repositories[ORIGIN[NAME].repository] = Repository(
        files_of(tiny_kyutai.FOLDER) | {"README.md": b"# a card", "run_me.py": b"raise SystemExit"}
    )
    return hub


def fetch(name=NAME, **options):
    told = []
    folder = pull(name, tell=told.append, progress=lambda *_: None, **options)
    return folder, told


def test_one_command_fetches_converts_and_listens(served, tmp_path):
    assert "models pull" in the_line(models("path", NAME), 2)
    # Weighed as the real model, too slow for some machines that run tests.
    done, folder = models("pull", NAME, "--force"), folders.folder_of(NAME)
    assert (done.returncode, done.stdout) == (0, f"{folder}\n"), done.stderr
    assert "0.173 MB to fetch; needs 1.98 GB of memory" in done.stderr
    repository, lock = served.repositories[ORIGIN[NAME].repository], folders.read_lock(folder)
    assert (lock.repository, lock.revision) == (ORIGIN[NAME].repository, repository.commit)
    there = {n: hashlib.sha256(data).hexdigest() for n, data in files_of(folder).items()}
    assert lock.files == {name: sha256 for name, sha256 in there.items() if name != "lock.toml"}
    assert list((folders.home() / "incoming").iterdir()) == []
    assert not list(folders.home().rglob("run_me.py"))

    told = models("info", NAME).stdout
    assert re.search(r"languages: +en, fr\nlicence: +CC-BY-4.0", told)
    assert repository.commit in told
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, tiny_kyutai.sound(80), 24000)
    process = start("listen", sound, "--fast", "-m", NAME, "--format", "jsonl")
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out.count('"final"') > 0) == (0, True), err
    assert f"{NAME}: already here" in models("pull", NAME).stderr
    assert models("rm", NAME).returncode == 0
    assert "catalogue" in next(x for x in models("list").stdout.splitlines() if NAME in x)


def test_the_result_is_that_of_convert(served, tmp_path):
    folder, _ = fetch()
    wish = run.Wish(to=None, quant=None, verify=False, n_threads=1)
    run.convert(NAME, tmp_path / "out", wish, tell=print, progress=lambda *_: None)
    for file in ("encoder.onnx", "decoder.gguf"):
        assert (tmp_path / "out" / file).read_bytes() == (folder / file).read_bytes()
    converted = read_manifest(tmp_path / "out" / "model.toml", Manifest)
    assert converted.languages == ("en", "fr")
    sound = tiny_kyutai.sound(40)
    streams = [es.load(at).stream() for at in (folder, tmp_path / "out")]
    assert events_of(streams[0], [sound]) == events_of(streams[1], np.split(sound, [7, 4000]))


def test_an_interrupted_conversion_begins_with_what_was_fetched(served, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgestream.convert.models.kyutai.write_quantized", stop)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    assert folders.pulled() == {}
    assert list((folders.home() / "incoming").rglob("encoder.onnx"))
    asked = len(served.requests)
    folder, _ = fetch()
    assert [path for path, _ in served.requests[asked:] if "resolve" in path] == []
    assert set(folders.read_lock(folder).files) == {"model.toml", "encoder.onnx", "decoder.gguf"}


def test_a_killed_pull_goes_on(served):
    size = len(served.repositories[ORIGIN[NAME].repository].files["model.safetensors"])
    served.hold = size // 2
    process = start("models", "pull", NAME, "--force")
    while not served.held.wait(0.1):
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (part,) = (folders.home() / "checkpoints").rglob(".model.safetensors.part")
    had = part.stat().st_size
    served.hold = None
    served.released.set()
    fetch()
    assert had in [first for path, first in served.requests if "/large/" in path]
    assert folders.read_verified(folders.find(NAME), Manifest).name == NAME


def test_another_commit_is_converted_anew(served):
    old = served.repositories[ORIGIN[NAME].repository]
    fetch()
    assert "already here" in fetch()[1][-1]
    newer = Repository({**old.files, "config.json": old.files["config.json"] + b"\n"})
    served.repositories[ORIGIN[NAME].repository] = newer
    assert folders.read_lock(fetch()[0]).revision == newer.commit


def test_what_does_not_fit_is_not_fetched(served, monkeypatch):
    monkeypatch.setattr("edgestream.hub.fit.free_memory_bytes", lambda: 1)
    with pytest.raises(UsageError, match=r"does not fit this machine \(memory: 1\.98 GB needed"):
        fetch()
    assert not list(folders.home().rglob("*.safetensors*"))
    fetch(force=True)


def test_a_full_disk_is_foreseen(served, monkeypatch):
    monkeypatch.setattr("edgestream.hub.pull.free_disk_bytes", lambda _: 1_000_000_000)
    with pytest.raises(UsageError, match=r"disk: 1\.4 GB needed, 1 GB free"):
        fetch()


def test_missing_packages_are_named_before_anything_is_fetched(served, monkeypatch):
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(UsageError, match=r"must be converted: onnx is missing; pip install"):
        fetch()
    assert served.requests == []


def test_a_damaged_checkpoint_leaves_the_model_that_is_there(served):
    folder, _ = fetch()
    before = files_of(folder)
    files = served.repositories[ORIGIN[NAME].repository].files
    served.repositories[ORIGIN[NAME].repository] = Repository({**files, "config.json": b"{}"})
    with pytest.raises(ModelError, match="model_type is missing"):
        fetch()
    assert files_of(folder) == before


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_small_file_that_is_not_what_the_hub_lists_is_thrown_away(served, file):
    repository = served.repositories[ORIGIN[NAME].repository]
    good = repository.files[file]
    repository.files[file] = good.replace(b"1", b"2", 1)
    with pytest.raises(ModelError, match=f"{file} came with a wrong checksum"):
        fetch()
    assert not list(folders.home().rglob(f"*{file}*"))
    repository.files[file] = good
    fetch()


@pytest.mark.parametrize("name", ["whisper-base.en", "moonshine-tiny"])
def test_a_name_is_converted_from_the_weights_of_its_makers(served, tmp_path, name):
    source = speech_checkpoint(tmp_path / "source", KINDS[name.split("-")[0]])
    served.repositories[ORIGIN[name].repository] = Repository(files_of(source))
    wish = run.Wish(to=None, quant=None, verify=False, n_threads=1)
    run.convert(name, tmp_path / "out", wish, tell=print, progress=lambda *_: None)
    manifest = folders.read_verified(tmp_path / "out", Manifest)
    assert (manifest.name, manifest.languages, manifest.license) == ("out", ("en",), "MIT")
    assert es.load(tmp_path / "out").stream()
    (tmp_path / "out" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json: altered or damaged"):
        es.load(tmp_path / "out")


def test_texts_of_a_checkpoint_that_no_terminal_should_get_are_left_out(tmp_path):
    source = speech_checkpoint(tmp_path / "so\x1b]0;x", tiny_whisper)
    generation = {**tiny_whisper.GENERATION, "lang_to_id": {"<|d\ud800e\x1b|>": 3}}
    (source / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
    wish = run.Wish(to=None, quant=None, verify=False, n_threads=1)
    run.convert(str(source), tmp_path / "out", wish, tell=print, progress=lambda *_: None)
    manifest = read_manifest(tmp_path / "out" / "model.toml", Manifest)
    assert manifest.languages == ("de",)
    assert manifest.description.endswith("so]0;x")


def test_a_repository_of_another_model_is_named(served, tmp_path):
    config = {"model_type": "bert"}
    save_file({"a": np.ones((2, 2), np.float32)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    served.repositories[ORIGIN[NAME].repository] = Repository(files_of(tmp_path))
    with pytest.raises(ModelError, match="model_type 'bert' is not converted"):
        fetch()
