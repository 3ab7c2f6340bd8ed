# SPDX-License-Identifier: Apache-2.0
"""Nothing leaves the machine: no socket into a network, no file outside the folders given."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import Hub, Repository
from test_video_file import write as write_video

import edgestream

SAMPLE = Path(edgestream.__file__).parent / "data" / "sample.flac"
COMMAND = [sys.executable, "-m", "edgestream"]
LOAD = "import edgestream as es; es.load('synthetic-en').stream().finish(); es.load_watcher()"
RUNS = {
    "listen": [*COMMAND, "listen", "-m", "synthetic-en", str(SAMPLE), "--fast"],
    "watch": [*COMMAND, "watch", "clip.avi", "--fast"],
    "doctor": [*COMMAND, "doctor"],
    "bench": [*COMMAND, "bench", "decoder", "--quick"],
    "load": [sys.executable, "-c", LOAD],
    "part": [sys.executable, "-c", "import edgestream.onnx.operators as o; o.check_operators()"],
}
# Calls that look a host up or reach it; calls that make a file or a folder, with their path.
NETWORK = re.compile(r"socket\((AF_INET6?|AF_NETLINK)|sa_family=AF_INET6?")
MADE = re.compile(
    r'(?:open|mkdir|creat)(?:at)?\((?:AT_FDCWD, )?"([^"]+)"[^)]*?(?:O_CREAT|, 0[0-7]+\) = 0)'
)
STRACE = shutil.which("strace")


def traced(command, folder):
    """Runs `command` in `folder`; the calls that it and its children made for files and sockets."""
    home, log = folder / "home", folder / "calls"
    home.mkdir()
    env = {k: v for k, v in os.environ.items() if k not in edgestream.system.reporting.SILENT}
    env |= {"HOME": str(home), "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    calls = "trace=%network,open,openat,creat,mkdir,mkdirat"
    done = subprocess.run(
        [STRACE, "-f", "-qq", "-s", "300", "-e", calls, "-o", log, *command],
        cwd=folder, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return log.read_text(errors="replace").splitlines()


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
@pytest.mark.parametrize("name", RUNS)
def test_nothing_reports_to_anybody(name, tmp_path):
    write_video(tmp_path / "clip.avi")
    calls = traced(RUNS[name], tmp_path)
    assert any("model.toml" in call or ".onnx" in call for call in calls)  # it was traced
    assert [call for call in calls if NETWORK.search(call)] == []
    made = {found[1] for call in calls if (found := MADE.search(call))}
    made -= {path for path in made if path.endswith("/index.lock")}  # of git, asked for a version
    allowed = (str(tmp_path), "/dev/", "/proc/")
    assert [path for path in made if path[0] == "/" and not path.startswith(allowed)] == []
    ours = {"edgestream", "pulse"}  # the sound server's own client makes the second
    kept = {at.relative_to(tmp_path / "home").parts[1] for at in (tmp_path / "home").glob("*/*")}
    assert kept <= ours


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_a_pull_talks_to_its_hub_alone(tmp_path, tiny, monkeypatch):
    with Hub() as hub:
        hub.repositories["someone/model"] = Repository(tiny)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("EDGESTREAM_HOME", str(tmp_path / "home" / "edgestream"))
        calls = traced([*COMMAND, "models", "pull", "someone/model"], tmp_path)
        reached = {call for call in calls if "connect(" in call and "AF_INET" in call}
        assert reached
        assert all(f"htons({hub.server_port})" in call for call in reached)
    assert [at.name for at in (tmp_path / "home").iterdir()] == ["edgestream"]


def test_what_a_user_had_switched_on_is_off_before_the_first_library_comes():
    code = (
        "import os, sys, edgestream; print(os.environ['ORT_DISABLE_TELEMETRY'],"
        " 'onnxruntime' in sys.modules, 'huggingface_hub' in sys.modules)"
    )
    env = os.environ | {"ORT_DISABLE_TELEMETRY": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "False", "False"]
