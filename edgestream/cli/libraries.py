# SPDX-License-Identifier: Apache-2.0
"""Which libraries `edgestream doctor` finds, and the line that mends what is missing."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgestream.errors import ModelError, UsageError
from edgestream.library.manifest.manifest import SYNTHETIC_MODEL

LLAMA_CPP_PYTHON = "0.3.36"  # as pinned in pyproject.toml: the native decoder is linked to its ggml
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
# TensorRT is a download of its own, which nobody is asked to make; Azure is another's computer.
NOT_ASKED = ("Tensorrt", "Azure")
NO_GPU_BUILD = "models in ONNX are computed by the CPU; for decoders of your own on this GPU"


class Finding(NamedTuple):
    """One line of the report; `ok` None is a remark that fails nothing."""

    ok: bool | None
    what: str
    found: str


def llama_cpp() -> Iterator[Finding]:
    """The build that the native decoder is linked to, and what it computes on."""
    found = importlib.metadata.version("llama-cpp-python")
    mend = (
        "" if found == LLAMA_CPP_PYTHON else f"; pip install llama-cpp-python=={LLAMA_CPP_PYTHON}"
    )
    yield Finding(not mend, "llama-cpp-python", f"{found}, built for {LLAMA_CPP_PYTHON}{mend}")
    from edgestream._native import device_names, idle_backends

    yield Finding(True, "decoders can run on", device_names())
    if idle := idle_backends():
        yield Finding(
            None,
            "decoders",
            f"ggml is built for {idle} too, which finds no device (a missing driver?);"
            " the CPU computes",
        )


def onnxruntime() -> Iterator[Finding]:
    """One of its two builds, what it could use and what it does."""
    names = {d.metadata["Name"].lower() for d in importlib.metadata.distributions()}
    builds = sorted(names & {"onnxruntime", "onnxruntime-gpu"})
    gpu = nvidia_gpu()
    mend = _reinstall(builds[-1] if builds and gpu else "onnxruntime")
    if len(builds) != 1:
        yield Finding(
            False,
            "onnxruntime",
            f"{' and '.join(builds) or 'nothing'} installed, must be exactly one; {mend}",
        )
        return
    try:
        import onnxruntime as ort

        providers = [p for p in ort.get_available_providers() if not p.startswith(NOT_ASKED)]
    except (ImportError, AttributeError):
        yield Finding(False, "onnxruntime", f"{builds[0]} cannot be imported; {mend}")
        return
    from edgestream.speech.concatenated.model import load

    yield Finding(True, "onnxruntime", f"{builds[0]} {ort.__version__}")
    if gpu and builds == ["onnxruntime"]:
        yield Finding(None, "NVIDIA GPU", f"{NO_GPU_BUILD}: {_reinstall('onnxruntime-gpu')}")
    yield Finding(True, "onnxruntime could use", ", ".join(providers))
    yield Finding(
        True, "encoders are computed by", ", ".join(load(SYNTHETIC_MODEL).encoder.providers)
    )
    yield from onnx_decoders(tuple(providers))


def _reinstall(build: str) -> str:
    """Both builds are one folder: pip cannot put one in the place of the other."""
    return f"pip uninstall -y onnxruntime onnxruntime-gpu; pip install {build}"


def nvidia_gpu() -> bool:
    """Whether the driver of an NVIDIA GPU is there."""
    return NVIDIA_DRIVER.exists() or shutil.which("nvidia-smi") is not None


def onnx_decoders(asked: tuple[str, ...]) -> Iterator[Finding]:
    """A remark only: the built-in model's decoder is GGUF."""
    import onnxruntime as ort

    from edgestream.onnx.operators import check_operators, providers_used

    try:
        operators = check_operators()
    except ModelError as error:
        yield Finding(None, "ONNX decoders", str(error))
        return
    yield Finding(
        True, "ONNX decoders", f"operators compute as they should: {', '.join(operators)}"
    )
    ort.set_default_logger_severity(4)  # what is missing is told below
    used = providers_used(asked)
    lost = [name for name in asked if name not in used]
    without = f"; built in, but not working here: {', '.join(lost)}" if lost else ""
    yield Finding(None if lost else True, "ONNX decoders run on", ", ".join(used) + without)


def opencv() -> Iterator[Finding]:
    """A remark where it is missing: nobody has to watch."""
    try:
        from edgestream.system.opencv import cv2
    except UsageError as error:
        yield Finding(None, "watch", str(error))
        return
    yield Finding(True, "OpenCV", cv2.__version__)
