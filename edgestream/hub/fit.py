# SPDX-License-Identifier: Apache-2.0
"""Whether this machine has the memory and the speed for a model, before it is fetched."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from edgestream.library.catalogue import Converted
from edgestream.library.families import families
from edgestream.library.gguf_header import DecoderShape
from edgestream.library.manifest.manifest import SYNTHETIC_MODEL, Manifest
from edgestream.library.needs import PROCESS_BYTES, Demand, Needs, Speed, step_demand
from edgestream.speech.concatenated.model import load

PROBE_S = 2.0
COPY_BYTES = 64 << 20  # larger than the caches of small machines
MATRIX_SIZE, MATRIX_ROWS = 512, 1500  # as a layer of Whisper base has it


@dataclass(frozen=True, slots=True)
class Fit:
    """What a model needs, and what this machine has."""

    needs: Needs
    free_bytes: int  # of memory
    demand: Demand

    @property
    def each(self) -> str:
        """What a step takes in."""
        d = self.demand
        return "row" if math.isinf(d.step_ms) else f"{d.step_ms:.0f} ms of {d.of}"

    @property
    def problem(self) -> str | None:
        """Why the model will not run here; None if it will."""
        compute_ms = self.demand.compute_ms
        if self.needs.total_bytes > self.free_bytes:
            return f"memory: {mb(self.needs.total_bytes)} needed, {mb(self.free_bytes)} free"
        if compute_ms > self.demand.step_ms:
            return f"speed: about {compute_ms:.0f} ms of computing for each {self.each}"
        return None

    def __str__(self) -> str:
        n = self.needs
        compute_ms = float(f"{self.demand.compute_ms:.2g}")
        kv = "not known" if n.kv_bytes is None else mb(n.kv_bytes)
        return (
            f"needs {mb(n.total_bytes)} of memory (weights {mb(n.weights_bytes)}, keys and values"
            f" {kv}, activations {mb(n.activation_bytes)}, the program"
            f" {mb(PROCESS_BYTES)}), {mb(self.free_bytes)} are free; about"
            f" {compute_ms:g} ms of computing for each {self.each}"
        )


def gguf_decoder(manifest: Manifest) -> str | None:
    """The file of the model's decoder if it is GGUF, whose header tells its shape."""
    file = str(getattr(getattr(manifest, "decoder", None), "file", ""))
    return file if file and not file.endswith(".onnx") else None


def needs(manifest: Manifest, sizes: dict[str, int], shape: DecoderShape | None) -> Needs:
    """Memory for one stream of a model whose files have these sizes in bytes.

    `shape` is that of a GGUF decoder.
    """
    return families()[manifest.family].needs(manifest, sizes, shape)


def fit(manifest: Manifest, sizes: dict[str, int], shape: DecoderShape | None, speed: Speed) -> Fit:
    """Compares a model with this machine as it is now."""
    wanted = needs(manifest, sizes, shape)
    demand = families()[manifest.family].demand(manifest, sizes, wanted, speed)
    return Fit(wanted, free_memory_bytes(), demand)


def fit_converted(made: Converted, speed: Speed) -> Fit:
    """Compares what a checkpoint becomes with this machine; its keys and values are not known."""
    onnx_bytes = sum(n_bytes for name, n_bytes in made.files.items() if not name.endswith(".gguf"))
    wanted = Needs(sum(made.files.values()), None, onnx_bytes)
    return Fit(wanted, free_memory_bytes(), step_demand(wanted, speed, made.step_ms))


def probe(seconds: float = PROBE_S) -> Speed:
    """Runs the built-in model, copies memory and multiplies matrices, each for a third."""
    each_s = seconds / 3
    return Speed(_s_per_byte(each_s), _bytes_per_s(each_s), _flop_per_s(each_s))


def free_memory_bytes() -> int:
    """Memory that can be had without swapping, within the limit of this process's control group."""
    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return free
    return free if limit == "max" else max(0, min(free, int(limit) - used))


def free_disk_bytes(folder: Path) -> int:
    """Room on the disk on which `folder` lies or will lie."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def mb(n_bytes: float) -> str:
    """`n_bytes` for people: 3 digits in MB or GB."""
    if n_bytes >= 999.5e6:
        return f"{n_bytes / 1e9:.3g} GB"
    return f"{n_bytes / 1e6:.3g} MB"


def _s_per_byte(seconds: float) -> float:
    model = load(SYNTHETIC_MODEL)
    step_ms = model.manifest.decoder.step_ms
    block = np.zeros(model.manifest.audio.sample_rate_hz * step_ms // 1000, np.float32)
    stream = model.stream()

    def steps() -> None:
        for _ in range(10):
            stream.push(block)

    best_s = _best_s(steps, seconds) / 10
    files = (model.manifest.encoder.file, model.manifest.decoder.file)
    return best_s / sum(os.path.getsize(model.folder / name) for name in files)


def _bytes_per_s(seconds: float) -> float:
    one = np.ones(COPY_BYTES // 8)
    other = np.empty_like(one)
    best_s = _best_s(lambda: np.copyto(other, one), seconds)
    return 2 * COPY_BYTES / best_s  # read and written


def _flop_per_s(seconds: float) -> float:
    rows = np.ones((MATRIX_ROWS, MATRIX_SIZE), np.float32)
    weights = np.ones((MATRIX_SIZE, MATRIX_SIZE), np.float32)
    product = np.empty_like(rows)
    best_s = _best_s(lambda: np.matmul(rows, weights, out=product), seconds)
    return 2 * rows.size * MATRIX_SIZE / best_s


def _best_s(run: Callable[[], object], seconds: float) -> float:
    """The shortest that a run took, of as many as go into `seconds`, at least one."""
    best_s, end_s = math.inf, time.monotonic() + seconds
    while best_s == math.inf or time.monotonic() < end_s:
        start_s = time.perf_counter()
        run()
        best_s = min(best_s, time.perf_counter() - start_s)
    return best_s
