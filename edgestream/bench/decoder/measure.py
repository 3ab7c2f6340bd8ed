# SPDX-License-Identifier: Apache-2.0
"""`edgestream bench decoder`: the ring's exactness and speed beside libllama's on the same file."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edgestream.bench.decoder.libllama import LibllamaModel
from edgestream.bench.decoder.parity import after_wrap_max_abs, before_wrap_max_abs
from edgestream.bench.decoder.speed import Subject, compare_steps, compare_streams
from edgestream.bench.decoder.young import YOUNG_KEYS, compare_young
from edgestream.bench.machine import describe, describe_file
from edgestream.bench.random_decoder import HALF_BILLION, write_for_timing
from edgestream.decoder.open import read_gguf
from edgestream.speech.concatenated.model import load

if TYPE_CHECKING:
    from rich.table import Table

KV_SIZES = (256, 1024, 4096)
CHUNK_ROWS = (8, 16, 32)
CHUNK_KV = 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """How many steps are timed: turns of calls, by the size of the model; how long at most."""

    small: tuple[int, int]
    half_billion: tuple[int, int]
    stream_halves: int  # context shifts that libllama makes
    limit_s: float


FULL = Plan(small=(20, 20), half_billion=(8, 4), stream_halves=12, limit_s=math.inf)
QUICK = Plan(small=(5, 8), half_billion=(2, 3), stream_halves=2, limit_s=30.0)


class Run:
    """The comparisons of one run, those that can be trusted on a busy machine first."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._end_s = time.monotonic() + plan.limit_s
        self.one_token: list[dict[str, Any]] = []
        self.chunks: list[dict[str, Any]] = []
        self.stream: dict[str, Any] = {}
        self.not_measured: list[str] = []

    def small(self, subject: Subject) -> None:
        """Everything on one thread, of a model of the default's size."""
        _say("an endless stream")
        self.stream = compare_streams(subject, self._plan.stream_halves)
        self.one_row(subject, self._plan.small, n_threads=1)
        for n_rows in CHUNK_ROWS:
            self.chunks += self._compare(subject, CHUNK_KV, n_rows, 1, self._plan.small)

    def large(self, subject: Subject) -> None:
        """One thread, a model of half a billion weights."""
        self.one_row(subject, self._plan.half_billion, n_threads=1)

    def one_row(self, subject: Subject, size: tuple[int, int], *, n_threads: int) -> None:
        """A row at a time over every number of keys."""
        for kv in KV_SIZES:
            self.one_token += self._compare(subject, kv, 1, n_threads, size)

    def two_threads(self, small: Subject, large: Subject) -> None:
        """The same on two threads, whose barriers a busy machine draws out without limit."""
        self.one_row(small, self._plan.small, n_threads=2)
        self.one_row(large, self._plan.half_billion, n_threads=2)

    def _compare(
        self, subject: Subject, kv: int, n_rows: int, n_threads: int, size: tuple[int, int]
    ) -> Iterator[dict[str, Any]]:
        """One token counts against libllama's faster setting, a chunk against its default."""
        what = f"{subject.name}, steps of {n_rows}, {kv} keys, threads: {n_threads}"
        if time.monotonic() > self._end_s:
            self.not_measured.append(what)
            return
        _say(what)
        row = compare_steps(subject, kv, n_rows, n_threads, *size, end_s=self._end_s)
        yield row | {"ratio": row["ratio_to_faster" if n_rows == 1 else "ratio_to_default"]}


def measure(model_name: str, *, quick: bool) -> dict[str, Any]:
    """All figures, by the names that the JSON has.

    Raises EdgestreamError if the model or what the benchmark needs is missing.
    """
    model = load(model_name)
    figures = describe(model) | {"quick": quick}
    run = Run(QUICK if quick else FULL)
    with TemporaryDirectory(prefix="edgestream-bench-") as folder:
        _say("parity")
        figures["parity"] = {
            "before_wrap_max_abs": before_wrap_max_abs(Path(folder)),
            "after_wrap_max_abs_f32": after_wrap_max_abs(Path(folder)),
        }
        small_file = model.folder / model.manifest.decoder.file
        with LibllamaModel(small_file) as small_peer:
            small = Subject("default", small_file, small_peer)
            run.small(small)
            _say("writing a model of half a billion weights")
            large_file = write_for_timing(Path(folder) / "half-billion.gguf", HALF_BILLION)
            with LibllamaModel(large_file) as large_peer:
                large = Subject("0.5B", large_file, large_peer)
                run.large(large)
                run.two_threads(small, large)
    figures |= {"one_token": run.one_token, "chunks": run.chunks, "stream": run.stream}
    return figures | {"not_measured": run.not_measured}


def measure_file(path: Path, keys: list[int], *, quick: bool) -> dict[str, Any]:
    """The speed of a step of one GGUF file while its memory fills, at each number of keys.

    Raises ModelError if the ring does not take the file, OperationError if libllama does not.
    """
    read_gguf(path, "cpu")
    plan = QUICK if quick else FULL
    figures = describe_file(path.name, path) | {"quick": quick, "young": []}
    with LibllamaModel(path) as peer:
        subject = Subject(path.stem, path, peer)
        for n_keys in keys or YOUNG_KEYS:
            _say(f"{path.name}, {n_keys} keys")
            figures["young"].append(compare_young(subject, peer, n_keys, *plan.small))
    return figures


def print_young(figures: dict[str, Any]) -> None:
    """The figures of a file on stdout."""
    _print(_steps_table(figures, figures["young"], "Median ms of processor time a step of one row"))


def print_tables(figures: dict[str, Any]) -> None:
    """The figures on stdout."""
    from rich.table import Table

    steps = _steps_table(
        figures,
        figures["one_token"] + figures["chunks"],
        "Median ms of processor time a step",
    )
    steps.caption = f"{steps.caption}\n" + "".join(
        f"No time for {what}.\n" for what in figures["not_measured"]
    )
    rest = Table("", "measured", "in processor time")
    for name in figures["stream"]["cpu"]:
        stream = figures["stream"]
        rest.add_row(name, f"{stream[name]:.2f}", f"{stream['cpu'][name]:.2f}")
    for name, value in figures["parity"].items():
        rest.add_row(name, f"{value:.2g}", "")
    _print(steps, rest)


def _steps_table(figures: dict[str, Any], rows: list[dict[str, Any]], what: str) -> Table:
    from rich.table import Table

    machine = figures["machine"]
    steps = Table("shape", "rows", "keys", "threads", "ring", "default", "plain", "ratios", "wall")
    steps.title = f"{machine['cpu']}, load {machine['load_average_1min']}"
    for row in rows:
        times = [f"{row[f'{n}_cpu_ms']:.2f}" for n in ("ring", "libllama", "libllama_plain")]
        ratios = [
            f"{row[f'{kind}ratio_to_default']:.2f} {row[f'{kind}ratio_to_faster']:.2f}"
            for kind in ("", "wall_")
        ]
        sizes = [str(row[name]) for name in ("n", "kv", "threads")]
        steps.add_row(row["shape"], *sizes, *times, *ratios)
    steps.caption = (
        f"{what}; ratios of libllama to the ring, its default setting "
        "and its faster one, in processor time for one thread, and by the clock."
    )
    return steps


def _print(*tables: Table) -> None:
    from rich.console import Console

    Console().print(*tables)


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
