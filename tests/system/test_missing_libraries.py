# SPDX-License-Identifier: Apache-2.0
"""Without OpenCV listening works and watching is refused in one line; doctor says what to type."""

import importlib.metadata
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

import edgestream as es
from edgestream.cli import libraries

PERSON = Path(es.__file__).parent / "data" / "person.flac"
NO_OPENCV = "import sys; sys.modules['cv2'] = None\n"
WAY_OUT = "pictures need OpenCV; pip install 'edgestream[watch]'"


def python(code):
    command = [sys.executable, "-c", NO_OPENCV + textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def command(*args):
    return python(f"""
        import sys
        from edgestream.cli.start import main
        sys.argv[1:] = {[str(arg) for arg in args]!r}
        main()
    """)


@pytest.mark.parametrize(
    "args",
    [
        ["watch"],
        ["watch", "clip.mp4"],
        ["watch", "-m", "tiny-watch", "clip.mp4"],
        ["watch", "clip.mp4", "--snapshots", "seen"],
        ["bench", "watch"],
    ],
    ids=" ".join,
)
def test_watching_without_opencv_is_refused_in_one_line(args, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"edgestream: {WAY_OUT}")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_program_without_opencv_is_refused_pictures_when_it_asks_for_them():
    code = f"""
        from edgestream import *
        import edgestream as es
        import edgestream.vision.watch
        for call in (
            watch, load_watcher, lambda: es.watch("clip.mp4"),
            lambda: __import__("edgestream.sources.camera"),
        ):
            try:
                call()
            except EdgestreamError as error:
                print(str(error).startswith({WAY_OUT!r}), isinstance(error.__cause__, ImportError))
        print([event.text for event in listen({str(PERSON)!r}, fast=True) if type(event) is Final])
    """
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:4] == ["True True"] * 4
    assert "country" in done.stdout


def test_listening_never_imports_opencv():
    code = f"""
        import sys
        import edgestream as es
        from edgestream.cli.start import run_command
        sys.argv[1:] = ["listen", {str(PERSON)!r}, "--fast"]
        assert run_command() == 0
        print("cv2" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_doctor_takes_a_missing_opencv_for_a_remark():
    done = command("doctor")
    assert done.returncode == 0
    assert f"note watch: {WAY_OUT}" in done.stdout
    assert "watching self-test" not in done.stdout
    assert "FAIL" not in done.stdout


@pytest.fixture
def installed(monkeypatch):
    """Which builds of onnxruntime pip tells of, and whether there is a GPU."""

    def set_up(*builds, gpu):
        found = [SimpleNamespace(metadata={"Name": name}) for name in ("numpy", *builds)]
        monkeypatch.setattr(importlib.metadata, "distributions", lambda: found)
        monkeypatch.setattr(libraries, "nvidia_gpu", lambda: gpu)
        return {what: (ok, found) for ok, what, found in libraries.onnxruntime()}

    return set_up


def test_doctor_says_how_to_get_the_gpu_build_where_there_is_a_gpu(installed):
    line = "pip uninstall -y onnxruntime onnxruntime-gpu; pip install onnxruntime-gpu"
    ok, found = installed("onnxruntime", gpu=True)["NVIDIA GPU"]
    assert ok is None
    assert found.endswith(line)
    assert "NVIDIA GPU" not in installed("onnxruntime", gpu=False)
    assert "NVIDIA GPU" not in installed("onnxruntime-gpu", gpu=True)


@pytest.mark.parametrize(
    ("builds", "gpu", "wanted"),
    [
        (["onnxruntime", "onnxruntime-gpu"], True, "onnxruntime-gpu"),
        (["onnxruntime", "onnxruntime-gpu"], False, "onnxruntime"),
        ([], True, "onnxruntime"),
    ],
)
def test_doctor_wants_one_build_of_onnxruntime(installed, builds, gpu, wanted):
    ok, found = installed(*builds, gpu=gpu)["onnxruntime"]
    assert ok is False
    assert found.endswith(f"pip uninstall -y onnxruntime onnxruntime-gpu; pip install {wanted}")


def test_an_nvidia_gpu_is_known_by_its_driver(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(libraries, "NVIDIA_DRIVER", tmp_path / "version")
    assert not libraries.nvidia_gpu()
    (tmp_path / "version").touch()
    assert libraries.nvidia_gpu()
