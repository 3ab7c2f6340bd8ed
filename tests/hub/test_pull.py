# SPDX-License-Identifier: Apache-2.0
"""`edgestream models` against a hub on loopback: real processes, real interruptions."""

import contextlib
import hashlib
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback_hub import Hub, Repository

import edgestream as es
from edgestream.library import folders

COMMAND = [sys.executable, "-m", "edgestream"]
SAMPLE = Path(es.__file__).parent / "data" / "sample.flac"
NAME = "someone/tiny-copy"


@pytest.fixture
def hub(tmp_path, monkeypatch, tiny):
    """A hub with the built-in model in a repository; the environment points there."""
    with Hub() as hub:
        hub.repositories[NAME] = Repository(tiny | {"README.md": b"# a card"})
        for key in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
            monkeypatch.delenv(key, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        monkeypatch.setenv("EDGESTREAM_HOME", str(tmp_path / "home"))
        yield hub


def start(*args, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([*COMMAND, *map(str, args)], cwd="/", **options)


def models(*args):
    """Runs `edgestream models args` to its end."""
    process = start("models", *args)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return subprocess.CompletedProcess(args, process.returncode, out, err)


def the_line(done, code):
    """The one line that a failure says, last on stderr."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("edgestream: ")]
    assert len(lines) == 1
    assert done.stderr.splitlines()[-1] == lines[0]
    return lines[0]


def everything(folder):
    return {p.relative_to(folder) for p in folder.rglob("*")}


def assert_installed(hub):
    folder = folders.folder_of(NAME)
    repository = hub.repositories[NAME]
    there = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "lock.toml"}
    expected = {n: data for n, data in repository.files.items() if n != "README.md"}
    assert there == expected
    lock = folders.read_lock(folder)
    assert (lock.repository, lock.revision) == (NAME, repository.commit)
    assert lock.files == {name: hashlib.sha256(data).hexdigest() for name, data in there.items()}
    assert {p.name for p in (folders.home() / "models").iterdir()} == {
        folder.name,
        f".{folder.name}.lock",
    }
    assert list((folders.home() / "incoming").iterdir()) == []


def test_a_pulled_model_is_listed_verified_used_and_removed(hub):
    done = models("pull", NAME)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folders.folder_of(NAME)}\n"
    assert re.search(r"9.15 MB to fetch; needs 103 MB of memory .*ms of sound", done.stderr)
    assert "fits this machine: yes" in done.stderr
    assert_installed(hub)

    assert models("path", NAME).stdout == done.stdout
    assert NAME in models("list").stdout
    assert models("verify").stdout.count("intact") == len(folders.shipped()) + 1
    told = models("info", NAME).stdout
    assert hub.repositories[NAME].commit in told
    heard = start("listen", SAMPLE, "--fast", "-m", NAME).communicate()[0]
    assert heard == start("listen", "-m", "synthetic-en", SAMPLE, "--fast").communicate()[0]
    assert es.load(NAME).manifest == es.load("synthetic-en").manifest

    assert models("rm", NAME).returncode == 0
    assert NAME not in models("list").stdout
    assert "models pull" in the_line(models("path", NAME), 2)
    assert "not on this machine" in the_line(models("rm", NAME), 2)


def test_a_second_pull_fetches_nothing(hub):
    assert (done := models("pull", NAME)).returncode == 0, done.stderr
    sent = hub.sent_bytes
    done = models("pull", NAME)
    assert "already here" in done.stderr
    assert hub.sent_bytes - sent < 5000  # the listing and model.toml


def test_a_new_revision_replaces_the_old(hub, tiny):
    assert (done := models("pull", NAME)).returncode == 0, done.stderr
    manifest = re.sub(rb"pad_bias = \S+", b"pad_bias = 0.75", tiny["model.toml"])
    old, hub.repositories[NAME] = (
        hub.repositories[NAME],
        Repository(tiny | {"model.toml": manifest}),
    )
    assert (done := models("pull", NAME)).returncode == 0, done.stderr
    assert_installed(hub)
    assert old.commit != hub.repositories[NAME].commit
    assert "no such revision" in the_line(models("pull", NAME, "--revision", old.commit), 2)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)], ids=["kill", "ctrl-c"]
)
def test_a_pull_that_was_ended_halfway_goes_on(hub, tiny, number, code):
    size = len(hub.repositories[NAME].files["decoder.gguf"])
    hub.hold = size // 2
    process = start("models", "pull", NAME)
    while not hub.held.wait(0.1):
        assert process.poll() is None, process.stderr.read()
    # The start of the decoder was read for the fit check; the large file held first is the one.
    part = wait_for_part(process)
    process.send_signal(number)
    assert "Traceback" not in process.communicate()[1]
    assert process.returncode == code
    had = part.stat().st_size
    assert size // 2 - 10_000 <= had <= size // 2
    assert folders.pulled() == {}

    hub.hold, before = None, hub.sent_bytes
    hub.released.set()
    assert (done := models("pull", NAME)).returncode == 0, done.stderr
    assert_installed(hub)
    assert had in hub.ranges_of(large_path(hub, part))
    whole = sum(len(data) for data in tiny.values())
    assert hub.sent_bytes - before < whole - had + 200_000


def wait_for_part(process):
    """The part file, once nothing more is written to it."""
    size = -1
    while True:
        assert process.poll() is None
        parts = [
            p for p in (folders.home() / "incoming").rglob("*.part") if p.stat().st_size > 10_000
        ]
        if parts and parts[0].stat().st_size == size:
            return parts[0]
        size = parts[0].stat().st_size if parts else -1
        time.sleep(0.2)


def test_two_pulls_at_once_leave_one_good_copy(hub, tiny):
    hub.hold = 1_000_000
    first = start("models", "pull", NAME)
    assert hub.held.wait(60)
    second = start("models", "pull", NAME)
    assert "another process is at work" in second.stderr.readline()
    hub.hold = None
    hub.released.set()
    for process in (first, second):
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, f"{folders.folder_of(NAME)}\n"), err
    assert "already here" in err
    assert_installed(hub)
    whole = sum(len(data) for data in tiny.values())
    assert hub.sent_bytes < whole + 1_200_000  # one copy, and what was held back once


def test_a_line_that_breaks_every_megabyte_is_put_together(hub):
    hub.cut = 1_000_000
    terminal, stderr = pty.openpty()
    process = start("models", "pull", NAME, stderr=stderr)
    os.close(stderr)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal
        while block := os.read(terminal, 1 << 16):
            shown += block
    assert process.wait() == 0, shown
    assert b"9.2/9.2 MB" in shown  # the progress bar
    assert_installed(hub)


def test_a_hub_that_knows_no_ranges_serves_whole_files(hub):
    hub.ranges = False
    part = folders.home() / "incoming" / "someone--tiny-copy" / hub.repositories[NAME].commit
    part.mkdir(parents=True)
    (part / ".decoder.gguf.part").write_bytes(b"half of another transfer")
    assert (done := models("pull", NAME)).returncode == 0, done.stderr
    assert_installed(hub)


def test_a_file_that_came_wrong_is_thrown_away(hub):
    hub.damage = True
    assert "wrong checksum" in the_line(models("pull", NAME, "--force"), 2)
    assert folders.pulled() == {}
    assert not list(folders.home().rglob("*.part"))
    hub.damage = False
    assert (done := models("pull", NAME)).returncode == 0, done.stderr
    assert_installed(hub)


def test_a_damaged_model_is_refused_and_mended_by_a_pull(hub):
    assert (done := models("pull", NAME)).returncode == 0, done.stderr
    folder = folders.folder_of(NAME)
    with (folder / "decoder.gguf").open("r+b") as file:
        file.seek(3_000_000)
        file.write(b"x")
    assert "altered or damaged" in the_line(models("verify", NAME), 2)
    assert (done := models("pull", NAME)).returncode == 0, done.stderr
    assert_installed(hub)
    manifest = folder / "model.toml"
    manifest.write_text(re.sub(r"pad_bias = \S+", "pad_bias = 9.5", manifest.read_text()))
    with pytest.raises(es.EdgestreamError, match=r"lock\.toml says"):
        es.load(NAME)


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """EDGESTREAM_HOME on a disk of 6 MB, smaller than the model."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("may not mount a small disk")
    monkeypatch.setenv("EDGESTREAM_HOME", str(folder))
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_told_before_and_during(hub, small_disk):
    assert "disk: 9.15 MB needed" in the_line(models("pull", NAME), 2)
    line = the_line(models("pull", NAME, "--force"), 1)
    assert "No space left on device" in line
    assert folders.pulled() == {}
    assert sum(p.stat().st_size for p in small_disk.rglob("*.part")) > 1_000_000  # goes on later


@pytest.mark.parametrize(
    ("trouble", "code", "said"),
    [
        ({"status": 500}, 1, "answered 500"),
        ({"status": 503}, 1, "answered 503"),
        ({"status": 404}, 1, "answered 404"),
        ({"status": 403}, 1, "answered 403"),
        ({"api_error": (403, "GatedRepo")}, 2, "consent"),
        ({"api_error": (401, "RepoNotFound")}, 2, "no such model"),
        ({"hold": 0}, 1, "cannot be reached"),
        ({"cut": 0}, 1, "cannot be reached"),
    ],
)
def test_a_hub_in_trouble_is_one_line(hub, monkeypatch, trouble, code, said):
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1")
    vars(hub).update(trouble)
    assert said in the_line(models("pull", NAME), code)
    assert folders.pulled() == {}


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "nonsense", "file:///etc"])
def test_no_hub_at_all_is_one_line(hub, monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert f"{endpoint} cannot be reached" in the_line(models("pull", NAME), 1)


def test_a_home_that_cannot_be_is_one_line(hub, monkeypatch):
    monkeypatch.setenv("EDGESTREAM_HOME", "/dev/null/here")
    for command in ("pull", "rm"):
        assert "EDGESTREAM_HOME" in the_line(models(command, NAME), 1)
    assert models("list").returncode == 0


@pytest.mark.parametrize("how", ["--offline", "HF_HUB_OFFLINE"])
def test_offline_means_no_request(hub, monkeypatch, how):
    assert (done := models("pull", NAME)).returncode == 0, done.stderr
    asked = len(hub.requests)
    if how == "HF_HUB_OFFLINE":
        monkeypatch.setenv(how, "1")
    args = [how] if how == "--offline" else []
    assert "here and intact" in models("pull", NAME, *args).stderr
    assert "someone/other" in the_line(models("pull", "someone/other", *args), 2)
    assert "someone/other" in the_line(models("info", "someone/other", *args), 2)
    assert es.load(NAME).manifest.name == "synthetic-en"
    assert len(hub.requests) == asked


def test_info_asks_the_hub_for_what_is_not_here(hub):
    done = models("info", NAME)
    assert done.returncode == 0, done.stderr
    assert "9.15 MB to fetch" in done.stdout
    assert hub.sent_bytes < 100_000
    assert folders.pulled() == {}


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc", "a/../b", "a/b/c", "a\\b", "a/b--c", "nothing", "synthetic-en", "a/é", ""],
)
def test_what_is_no_name_on_a_hub_is_refused(hub, name):
    the_line(models("pull", name), 2)
    assert hub.requests == []


def large_path(hub, part):
    data = hub.repositories[NAME].files[part.name[1:].removesuffix(".part")]
    return hashlib.sha256(data).hexdigest()
