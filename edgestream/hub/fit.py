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

from edgestream.hub.gguf_header import DecoderShape
from edgestream.library.catalogue import Converted
from edgestream.library.manifest.commentator import CommentatorManifest
from edgestream.library.manifest.concatenated import (
    SYNTHETIC_MODEL,
    VOICE,
    ConcatenatedManifest,
    Manifest,
)
from edgestream.library.manifest.decoder import DecoderManifest
from edgestream.library.manifest.ring import EMBEDDINGS_FILE
from edgestream.library.manifest.vlm import VlmManifest
from edgestream.speech.concatenated.model import load
from edgestream.speech.reencoded.commit_policy import DELAYS
from edgestream.speech.reencoded.model import ENCODER
from edgestream.speech.reencoded.voice import BLOCK_MS
from edgestream.vision.governor import intervals

PROBE_S = 2.0
PROCESS_BYTES = 90_000_000  # Python, onnxruntime and ggml before any weights (measured)
PICTURES_BYTES = 35_000_000  # OpenCV, and the pictures that it decodes (measured)
COPY_BYTES = 64 << 20  # larger than the caches of small machines
# Of a picture that a vision-language model sees: patches that its tower computes, rows of the chat
# template around it.
PATCHES, TURN_ROWS = 1024, 24
MATRIX_SIZE = 512  # as wide as a layer of Whisper base
F16_BYTES, F32_BYTES = 2, 4
# Of a re-encoded model: the rows of a whole window, 30 s of 20 ms; and how often the decoder reads
# its weights in a step (some four tokens for a second of speech, written twice to agree).
WINDOW_ROWS, STEP_TOKENS = 1500, 8
WINDOW_BYTES = 200_000_000  # of scores, keys and values over a whole window (measured)
WEIGHT_BYTES = {"_quantized": 1, "_int8": 1, "_uint8": 1, "_q4": 0.5, "_bnb4": 0.5, "_fp16": 2,
                "_q4f16": 0.5}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Needs:
    """Memory that a model takes while it runs one stream."""

    weights_bytes: int
    kv_bytes: int | None  # None: an ONNX file does not tell it before it is loaded
    activation_bytes: int

    @property
    def total_bytes(self) -> int:
        """All that is known of it, the program included."""
        return self.weights_bytes + (self.kv_bytes or 0) + self.activation_bytes + PROCESS_BYTES


@dataclass(frozen=True, slots=True)
class Probe:
    """How fast this machine computes."""

    s_per_byte: float  # of a step of the built-in model on one thread, for each byte of weights
    bytes_per_s: float  # that memory gives
    flop_per_s: float  # of products of large matrices, all cores


@dataclass(frozen=True, slots=True)
class Fit:
    """What a model needs, and what this machine has."""

    needs: Needs
    free_bytes: int  # of memory
    step_ms: float  # input of one step; infinite of a decoder alone, which has no pace
    compute_ms: float  # estimated for one step on one thread
    of: str = "sound"  # what a step takes in

    @property
    def each(self) -> str:
        """What a step takes in."""
        return "row" if math.isinf(self.step_ms) else f"{self.step_ms:.0f} ms of {self.of}"

    @property
    def problem(self) -> str | None:
        """Why the model will not run here; None if it will."""
        if self.needs.total_bytes > self.free_bytes:
            return f"memory: {mb(self.needs.total_bytes)} needed, {mb(self.free_bytes)} free"
        if self.compute_ms > self.step_ms:
            return f"speed: about {self.compute_ms:.0f} ms of computing for each {self.each}"
        return None

    def __str__(self) -> str:
        n = self.needs
        compute_ms = float(f"{self.compute_ms:.2g}")
        kv = "not known" if n.kv_bytes is None else mb(n.kv_bytes)
        return (
            f"needs {mb(n.total_bytes)} of memory (weights {mb(n.weights_bytes)}, keys and values"
            f" {kv}, activations {mb(n.activation_bytes)}, the program"
            f" {mb(PROCESS_BYTES)}), {mb(self.free_bytes)} are free; about"
            f" {compute_ms:g} ms of computing for each {self.each}"
        )


def gguf_decoder(manifest: Manifest) -> str | None:
    """The file of the model's decoder if it is GGUF, whose header tells its shape."""
    kinds = (ConcatenatedManifest, CommentatorManifest, DecoderManifest, VlmManifest)
    if isinstance(manifest, kinds):
        file = manifest.decoder.file
        return None if file.endswith(".onnx") else file
    return None


def needs(manifest: Manifest, sizes: dict[str, int], shape: DecoderShape | None) -> Needs:
    """Memory for one stream of a model whose files have these sizes in bytes.

    `shape` is that of a GGUF decoder. onnxruntime says nothing of its buffers beforehand; it keeps
    packed copies of weights, so what it runs is counted twice.
    """
    if manifest.family == VOICE:
        return Needs(sum(sizes.values()), 0, sum(sizes.values()))
    if isinstance(manifest, VlmManifest) and shape is not None:
        return _vlm_needs(manifest, sizes, shape)
    if not isinstance(manifest, (ConcatenatedManifest, CommentatorManifest, DecoderManifest)):
        onnx_bytes = sum(n_bytes for name, n_bytes in sizes.items() if name.endswith(".onnx"))
        return Needs(onnx_bytes, None, onnx_bytes + WINDOW_BYTES)
    d, encoder_bytes = manifest.decoder, 0
    if not isinstance(manifest, DecoderManifest):
        encoder = manifest.encoder.file  # and `encoder.onnx.data`, if it is large
        encoder_bytes = sum(n_bytes for name, n_bytes in sizes.items() if name.startswith(encoder))
    if shape is None:
        onnx_bytes = encoder_bytes + sizes[d.file] + sizes[EMBEDDINGS_FILE]
        return Needs(onnx_bytes, None, onnx_bytes)
    rows = d.n_sinks + d.window
    kv_bytes = rows * shape.kv_width * F16_BYTES
    kv_bytes += d.n_sinks * shape.kv_width // 2 * F32_BYTES  # keys of the sinks before rotation
    floats = shape.n_vocab + 8 * shape.n_embd + 3 * shape.n_ff + 2 * shape.n_heads * rows
    seen_bytes = PICTURES_BYTES if isinstance(manifest, CommentatorManifest) else 0
    return Needs(
        weights_bytes=encoder_bytes + sizes[d.file],
        kv_bytes=kv_bytes,
        activation_bytes=floats * F32_BYTES + encoder_bytes + seen_bytes,
    )


def _vlm_needs(manifest: VlmManifest, sizes: dict[str, int], shape: DecoderShape) -> Needs:
    """Keys are kept a second time, as they are before rotation."""
    d, pictures = manifest.decoder, manifest.pictures
    n_pictures = max(2, math.ceil(d.vision_window_s * pictures.fps))
    rows = d.text_sink + d.text_window + n_pictures * (pictures.max_rows + TURN_ROWS)
    kv_bytes = rows * shape.kv_width * F16_BYTES
    kv_bytes += kv_bytes // 2
    floats = shape.n_vocab + shape.n_heads * (PATCHES**2 + rows)
    return Needs(sum(sizes.values()), kv_bytes, floats * F32_BYTES + PICTURES_BYTES)


def fit(
    manifest: Manifest, sizes: dict[str, int], shape: DecoderShape | None, probed: Probe
) -> Fit:
    """Compares a model with this machine as it is now."""
    wanted = needs(manifest, sizes, shape)
    free_bytes, each_s = free_memory_bytes(), step_s(probed, wanted.weights_bytes)
    if isinstance(manifest, ConcatenatedManifest):
        return Fit(wanted, free_bytes, manifest.decoder.step_ms, 1000 * each_s)
    if isinstance(manifest, CommentatorManifest):
        return Fit(wanted, free_bytes, manifest.pictures.picture_ms, 1000 * each_s, "pictures")
    if isinstance(manifest, VlmManifest):  # the governor slows down as far as the last of these
        interval_ms = intervals(manifest.pictures.fps)[-1]
        compute_ms = 1000 * picture_s(probed, manifest, sizes)
        return Fit(wanted, free_bytes, interval_ms, compute_ms, "pictures")
    if isinstance(manifest, DecoderManifest):
        return Fit(wanted, free_bytes, math.inf, 1000 * each_s)
    if manifest.family == VOICE:
        return Fit(wanted, free_bytes, BLOCK_MS, 1000 * each_s)
    return Fit(wanted, free_bytes, DELAYS["sure"].unit_ms, 1000 * window_s(probed, sizes))


def fit_converted(made: Converted, probed: Probe) -> Fit:
    """Compares what a checkpoint becomes with this machine; its keys and values are not known."""
    onnx_bytes = sum(n_bytes for name, n_bytes in made.files.items() if not name.endswith(".gguf"))
    wanted = Needs(sum(made.files.values()), None, onnx_bytes)
    compute_ms = 1000 * step_s(probed, wanted.weights_bytes)
    return Fit(wanted, free_memory_bytes(), made.step_ms, compute_ms)


def step_s(probed: Probe, weights_bytes: int) -> float:
    """Every step reads all weights once: as fast as they are computed with, or as memory gives."""
    return weights_bytes * max(probed.s_per_byte, 1 / probed.bytes_per_s)


def picture_s(probed: Probe, manifest: VlmManifest, sizes: dict[str, int]) -> float:
    """A picture that changed all over: its patches, its rows, and the longest comment on it."""
    tower_bytes, decoder_bytes = sizes[manifest.tower.file], sizes[manifest.decoder.file]
    rows = manifest.pictures.max_rows + TURN_ROWS
    products = 2 * (tower_bytes * PATCHES + decoder_bytes * rows)  # of weights of a byte
    writing_s = manifest.policy.max_tokens * step_s(probed, decoder_bytes)
    return products / probed.flop_per_s + writing_s


def window_s(probed: Probe, sizes: dict[str, int]) -> float:
    """A step of a re-encoded model: the encoder over a whole window, then the decoder's tokens."""
    graphs = {name.removesuffix(".onnx"): n for name, n in sizes.items() if name.endswith(".onnx")}
    encoders = {name.removeprefix(ENCODER): n for name, n in graphs.items() if ENCODER in name}
    n_weights = sum(n / WEIGHT_BYTES.get(suffix, F32_BYTES) for suffix, n in encoders.items())
    decoder_bytes = sum(graphs.values()) - sum(encoders.values())
    encode_s = 2 * n_weights * WINDOW_ROWS / probed.flop_per_s
    return encode_s + STEP_TOKENS * step_s(probed, decoder_bytes)


def probe(seconds: float = PROBE_S) -> Probe:
    """Runs the built-in model, copies memory and multiplies matrices, each for a third."""
    each_s = seconds / 3
    return Probe(_s_per_byte(each_s), _bytes_per_s(each_s), _flop_per_s(each_s))


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
    rows = np.ones((WINDOW_ROWS, MATRIX_SIZE), np.float32)
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
