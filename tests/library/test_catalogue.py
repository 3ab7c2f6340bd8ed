# SPDX-License-Identifier: Apache-2.0
"""Public speech models by their names in the catalogue, from a hub with the layout of the real one:
pulled, written down, used, and refused when they are not what they were."""

import hashlib
import json
import re
import shutil
import signal

import pytest
import tiny_moonshine
import tiny_vlm
import tiny_whisper
import typer.testing
from loopback_hub import Repository
from marked_scene import RedDetector, scene
from onnxruntime.quantization import QuantType, quantize_dynamic
from test_hub import fetch, talk_to
from test_pull import SAMPLE, hub, models, start, the_line, wait_for_part

import edgestream as es
from edgestream.cli.main import app
from edgestream.library import folders
from edgestream.library.catalogue import read_source
from edgestream.library.families import family_of
from edgestream.library.manifest.concatenated import ConcatenatedManifest
from edgestream.library.manifest.manifest import Manifest
from edgestream.library.manifest.read import read_manifest
from edgestream.library.manifest.vlm import VlmManifest
from edgestream.library.needs import Speed
from edgestream.speech.reencoded.model import ReencodedModel

assert hub  # a fixture
NAME, REPOSITORY = "whisper-base.en", "onnx-community/whisper-base.en"
GRAPHS = ("encoder_model", "decoder_model_merged")
ENGLISH = {key: value for key, value in tiny_whisper.GENERATION.items() if "_to_id" not in key}


def repository(folder):
    """A folder's files as the community has them, with an int8 file beside each float32 one."""
    for graph in GRAPHS:
        quantize_dynamic(
            folder / "onnx" / f"{graph}.onnx",
            folder / "onnx" / f"{graph}_quantized.onnx",
            weight_type=QuantType.QInt8,
        )
    (folder / "README.md").write_text("# a card")
    (folder / "vocab.json").write_text("{}")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return Repository({p.relative_to(folder).as_posix(): p.read_bytes() for p in paths})


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "whisper"
    tiny_whisper.write(folder, generation=ENGLISH)
    repository(folder)
    return folder


@pytest.fixture(scope="module")
def moonshine(tmp_path_factory):
    return tiny_moonshine.write(tmp_path_factory.mktemp("hub") / "moonshine")


@pytest.fixture
def served(hub, whisper, monkeypatch):
    """A hub for processes and for pulls in this one, which need no probe of the machine."""
    talk_to(monkeypatch, hub.url)
    monkeypatch.setattr("edgestream.hub.pull.probe", lambda: Speed(1e-10, 1e10, 1e12))
    hub.repositories[REPOSITORY] = repository(whisper)
    return hub


def captions(model):
    process = start("listen", SAMPLE, "--fast", "-m", model, "--format", "jsonl")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def assert_written_down(name, repository):
    """Every file is what the repository has, and the lock says so."""
    folder = folders.folder_of(name)
    source = read_source(folders.catalogue()[name])
    lock = folders.read_lock(folder)
    assert (lock.repository, lock.revision) == (source.repository, repository.commit)
    there = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert there.keys() == {"model.toml", "lock.toml", *source.files}
    for file, at in source.files.items():
        assert there[file] == repository.files[at.path]
    there.pop("lock.toml")
    assert lock.files == {n: hashlib.sha256(data).hexdigest() for n, data in there.items()}
    assert folders.read_verified(folder, Manifest).name == name


def test_a_whisper_is_pulled_by_its_name_and_listens(served, whisper, tmp_path):
    assert "edgestream models pull whisper-base.en" in the_line(models("path", NAME), 2)
    done, folder = models("pull", NAME), folders.folder_of(NAME)
    assert (done.returncode, done.stdout) == (0, f"{folder}\n"), done.stderr
    assert "fits this machine: yes" in done.stderr
    assert_written_down(NAME, served.repositories[REPOSITORY])
    assert list((folders.home() / "incoming").iterdir()) == []

    local = shutil.copytree(whisper, tmp_path / "local")  # has float32 too; int8 is taken first
    asked = len(served.requests)
    assert captions(NAME) == captions(local)
    assert '"final"' in captions(NAME)
    assert len(served.requests) == asked
    assert isinstance(es.load(NAME), ReencodedModel)

    told = models("info", NAME).stdout
    assert served.repositories[REPOSITORY].commit in told
    assert re.search(r"family: +reencoded\n.*languages: +en\n.*licence: +MIT", told, re.S)
    assert f"{NAME}: 5 files are intact" in models("verify").stdout
    assert re.search(rf"{NAME} +[\d.]+ MB +reencoded +en +MIT +yes +pulled", models("list").stdout)
    assert models("rm", NAME).returncode == 0
    assert "catalogue" in next(x for x in models("list").stdout.splitlines() if NAME in x)


def test_a_moonshine_is_pulled_with_the_encoder_in_float32(served, moonshine):
    name = "moonshine-tiny"
    served.repositories["onnx-community/moonshine-tiny-ONNX"] = repository(moonshine)
    folder, _ = fetch(name)
    assert_written_down(name, served.repositories["onnx-community/moonshine-tiny-ONNX"])
    assert {p.name for p in folder.glob("*.onnx")} == {
        "encoder_model.onnx",
        "decoder_model_merged_quantized.onnx",
    }
    captions(name)


@pytest.mark.parametrize(
    ("name", "tower"),
    [
        ("smolvlm2-256m", "smolvlm"),
        ("smolvlm2-500m", "smolvlm"),
        ("qwen2.5-vl-3b", "qwen2.5vl"),
        ("qwen3-vl-2b", "qwen3vl"),
    ],
)
def test_a_vision_language_model_is_pulled_and_watches(served, tmp_path, name, tower):
    decoder = tiny_vlm.write_chat_decoder(tmp_path / "decoder", tiny_vlm.TOWERS[tower])
    mmproj = tiny_vlm.write_tower(tmp_path / "mmproj", tiny_vlm.TOWERS[tower])
    source = read_source(folders.catalogue()[name])
    files = {
        at.path: (mmproj if at.path.startswith("mmproj") else decoder).read_bytes()
        for at in source.files.values()
    }
    served.repositories[source.repository] = Repository(files)
    assert re.search(
        r"about .* ms of computing for each \d+ ms of pictures", models("info", name).stdout
    )
    fetch(name)
    assert_written_down(name, served.repositories[source.repository])
    model = es.load_watcher(name)
    stream = model.stream()
    stream.commentator.follower.perception.detector = RedDetector()
    comments = stream.push(scene())
    assert stream.counts.entered > 0
    kinds = [comment.happening.kind for comment in comments]  # random weights may be silent
    assert kinds[:2] == ["enters", "stops"]
    assert set(kinds) <= {"enters", "stops", "moves", "leaves"}


def test_info_and_list_tell_what_a_pull_would_bring(served):
    told = models("info", NAME).stdout
    repository = served.repositories[REPOSITORY]
    wanted = [at.path for at in read_source(folders.catalogue()[NAME]).files.values()]
    size = sum(len(repository.files[path]) for path in wanted) / 1e6
    assert f"{size:.3g} MB to fetch" in told
    assert repository.commit in told
    assert re.search(r"about .* ms of computing for each 1000 ms of sound", told)
    assert served.sent_bytes < 10_000  # the listing alone
    listed = typer.testing.CliRunner().invoke(app, ["models", "list"]).output
    assert re.search(rf"{NAME} +[\d.]+ MB +reencoded +en +MIT +see info +catalogue", listed)
    assert re.search(r"whisper-small +252 MB +reencoded +99 languages", listed)


def test_info_tells_what_the_catalogue_knows_where_no_hub_answers(served, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    told = models("info", NAME)
    assert told.returncode == 0
    assert REPOSITORY in told.stdout
    assert "this is what the catalogue knows" in told.stderr
    assert "someone/else" in the_line(models("info", "someone/else"), 1)


def test_the_branch_moves_on_and_a_revision_stays(served, whisper):
    old = served.repositories[REPOSITORY]
    fetch(NAME)
    assert "already here" in fetch(NAME)[1][-1]
    newer = Repository({**old.files, "config.json": old.files["config.json"] + b"\n"})
    served.repositories[REPOSITORY] = newer
    fetch(NAME)
    assert_written_down(NAME, newer)
    with pytest.raises(es.EdgestreamError, match="no such revision"):
        fetch(NAME, revision=old.commit)
    fetch(NAME, revision=newer.commit)


@pytest.mark.parametrize(
    "file", ["config.json", "generation_config.json", "tokenizer.json", "model.toml",
             "encoder_model_quantized.onnx", "decoder_model_merged_quantized.onnx"],
)  # fmt: skip
def test_an_altered_file_is_refused_before_it_is_parsed_and_mended(served, file):
    folder, _ = fetch(NAME)
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data.replace(b"a", b"b", 1))
    with pytest.raises(es.EdgestreamError, match=f"{re.escape(file)}: altered or damaged"):
        es.load(NAME)
    fetch(NAME)
    assert_written_down(NAME, served.repositories[REPOSITORY])


@pytest.mark.parametrize("file", ["encoder_model.onnx", "added.json", "onnx"])
def test_a_file_that_no_checksum_covers_is_refused(served, file):
    folder, _ = fetch(NAME)
    (folder / file).mkdir() if file == "onnx" else (folder / file).write_bytes(b"x")
    with pytest.raises(es.EdgestreamError, match=f"{file}: model.toml does not name it"):
        es.load(NAME)


def test_a_pull_that_was_killed_goes_on(served):
    files = served.repositories[REPOSITORY].files
    size = len(files["onnx/encoder_model_quantized.onnx"])
    served.hold = size // 2
    process = start("models", "pull", NAME)
    while not served.held.wait(0.1):
        assert process.poll() is None, process.stderr.read()
    part = wait_for_part(process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    had = part.stat().st_size
    assert part.name == ".encoder_model_quantized.onnx.part"
    assert size // 2 - 10_000 <= had <= size // 2
    assert folders.pulled() == {}
    served.hold = None
    served.released.set()
    fetch(NAME)
    assert_written_down(NAME, served.repositories[REPOSITORY])
    sha256 = hashlib.sha256(files["onnx/encoder_model_quantized.onnx"]).hexdigest()
    assert had in served.ranges_of(sha256)


@pytest.mark.parametrize("path", ["config.json", "onnx/decoder_model_merged_quantized.onnx"])
def test_a_repository_without_a_file_is_one_line(served, path):
    files = dict(served.repositories[REPOSITORY].files)
    del files[path]
    served.repositories[REPOSITORY] = Repository(files)
    with pytest.raises(es.EdgestreamError, match=f"the repository has no {re.escape(path)}$"):
        fetch(NAME)
    assert folders.pulled() == {}


def test_what_the_hub_says_of_a_large_file_is_checked(served):
    served.damage = True
    with pytest.raises(es.EdgestreamError, match="wrong checksum"):
        fetch(NAME)
    assert folders.pulled() == {}
    assert not list(folders.home().rglob("*.part"))


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("config.json", b"[]", "must be a JSON object"),
        ("config.json", b'{"model_type": "bert"}', "model_type 'bert'"),
        ("config.json", 99 * b"[", "not valid JSON"),
        ("tokenizer.json", b'{"model": {"vocab": {"a": 1000000000}}}', "token 1000000000"),
        ("tokenizer.json", b"\xff", "not valid JSON"),
        ("onnx/encoder_model_quantized.onnx", b"/etc/passwd", "encoder_model_quantized.onnx"),
    ],
)
def test_hostile_files_come_whole_and_are_refused_at_load(served, path, data, said):
    files = served.repositories[REPOSITORY].files
    served.repositories[REPOSITORY] = Repository({**files, path: data})
    fetch(NAME)
    with pytest.raises(es.EdgestreamError, match=re.escape(said)) as caught:
        es.load(NAME)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["--offline", "HF_HUB_OFFLINE"])
def test_offline_means_no_request(served, monkeypatch, how):
    args = [how] if how == "--offline" else []
    if how == "HF_HUB_OFFLINE":
        monkeypatch.setenv(how, "1")
    assert NAME in the_line(models("pull", NAME, *args), 2)
    told = models("info", NAME, *args)
    assert told.returncode == 0, told.stderr
    assert re.search(
        r"licence: +MIT\nsize: +about [\d.]+ MB\n.*pull whisper-base", told.stdout, re.S
    )
    assert "someone/else" in the_line(models("info", "someone/else", *args), 2)
    assert served.requests == []
    monkeypatch.delenv(how, raising=False)
    fetch(NAME)
    asked = len(served.requests)
    if how == "HF_HUB_OFFLINE":
        monkeypatch.setenv(how, "1")
    assert "here and intact" in models("pull", NAME, *args).stderr
    captions(NAME)
    assert len(served.requests) == asked


def test_a_pulled_folder_can_be_published_and_pulled_with_its_checksums(served):
    """Then the model.toml is the repository's own, and it names every file with its sha256."""
    folder, _ = fetch(NAME)
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "lock.toml"}
    served.repositories["someone/copy"] = Repository(files)
    at, _ = fetch("someone/copy")
    assert {p.name: p.read_bytes() for p in at.iterdir() if p.name != "lock.toml"} == files
    assert captions("someone/copy") == captions(NAME)
    files["config.json"] += b" "
    served.repositories["someone/copy"] = Repository(files)
    with pytest.raises(es.EdgestreamError, match="wrong checksum"):
        fetch("someone/copy")


def test_a_manifest_without_files_is_for_the_catalogue_alone(served, tmp_path):
    text = (folders.catalogue()[NAME] / "model.toml").read_bytes()
    served.repositories["someone/empty"] = Repository({"model.toml": text})
    with pytest.raises(es.EdgestreamError, match="names no files"):
        fetch("someone/empty")
    (tmp_path / "model.toml").write_bytes(text)
    (tmp_path / "config.json").write_text(json.dumps(tiny_whisper.CONFIG))
    with pytest.raises(es.EdgestreamError, match="names no files"):
        es.load(tmp_path)


def test_tools_for_the_other_family_say_so(served):
    fetch(NAME)
    with pytest.raises(es.EdgestreamError, match="family 'reencoded' is not one that can be used"):
        folders.read_verified(folders.find(NAME), ConcatenatedManifest)


def test_every_entry_names_what_its_loader_reads():
    """The graphs are named so that they are found, and nothing is fetched that is not read."""
    for name, folder in folders.catalogue().items():
        source, kind = read_source(folder), name.split("-")[0]
        if family_of(folder).name == "vlm":
            manifest = read_manifest(folder / "model.toml", VlmManifest)
            assert set(source.files) == {manifest.tower.file, manifest.decoder.file}
            continue
        assert source.checkpoint, f"{name}: nothing to convert"
        if source.converted:
            assert set(source.converted.files) - {"encoder.onnx.data"} == {
                "encoder.onnx",
                "decoder.gguf",
            }
            continue
        stems = {file.removesuffix(".onnx") for file in source.files if file.endswith(".onnx")}
        assert {re.sub("_(quantized)$", "", stem) for stem in stems} == set(GRAPHS)
        wanted = {"config.json", "tokenizer.json"}
        wanted |= {"generation_config.json"} if kind == "whisper" else set()
        assert {file for file in source.files if file.endswith(".json")} == wanted
        assert source.repository.startswith(f"onnx-community/{name}")
        for file, at in source.files.items():
            assert at.path == (f"onnx/{file}" if file.endswith(".onnx") else file)


@pytest.mark.parametrize("path", ["config.json", "generation_config.json", "tokenizer.json"])
def test_a_small_file_is_what_the_hub_lists(served, path):
    """The hub names no sha256 of it, but its blob in git."""
    repository = served.repositories[REPOSITORY]
    repository.files[path] = repository.files[path].replace(b"1", b"2", 1)
    with pytest.raises(es.EdgestreamError, match=f"{path} came with a wrong checksum"):
        fetch(NAME)
    assert folders.pulled() == {}
    assert not list(folders.home().rglob(f"*{path}*"))


def test_a_hub_that_names_no_blobs_is_trusted_once(served):
    for entry in served.repositories[REPOSITORY].siblings:
        del entry["blobId"]
    folder, _ = fetch(NAME)
    assert folders.read_verified(folder, Manifest).name == NAME


def test_a_blob_that_is_no_checksum_is_refused(served):
    small = [each for each in served.repositories[REPOSITORY].siblings if "lfs" not in each]
    small[0]["blobId"] = "main"
    with pytest.raises(es.EdgestreamError, match=r"gives a checksum of .* that is not valid"):
        fetch(NAME)
