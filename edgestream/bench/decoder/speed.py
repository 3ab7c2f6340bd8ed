# SPDX-License-Identifier: Apache-2.0
"""Time of a step: the ring and `llama_decode` on the same file, in one process, taking turns.

Both are timed with the copy of a step's logits to Python. Times are of the clock and of the
processor. On a busy machine only the processor time of one thread says how long a step takes; with
two threads neither does, since each waits for the other at its work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgestream._native import GgufModel, RingDecoder
from edgestream.bench.decoder.full_ring import fill
from edgestream.bench.decoder.libllama import LibllamaModel, LibllamaStream, Rows

N_SINKS = 4
FLASH = {"libllama": True, "libllama_plain": False}  # its default, and without flash attention
N_INPUTS = 64  # different rows, taken round and round
STREAM_KV = 1024
STREAM_CALLS = 170  # steps in a turn: few of them find the weights out of the caches
SHIFT_ONE_CALLS = 57
HALF_ROWS = (STREAM_KV - N_SINKS) // 2  # what a context shift by halves drops
TURNS_PER_HALF = HALF_ROWS // STREAM_CALLS


@dataclass(slots=True)
class Times:
    """Of each step, in milliseconds."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)  # of all threads of this process

    def add(self, step: Callable[[], object]) -> None:
        """Times one step."""
        cpu_ns, start_ns = time.process_time_ns(), time.perf_counter_ns()
        step()
        end_ns, cpu_end_ns = time.perf_counter_ns(), time.process_time_ns()
        self.wall_ms.append((end_ns - start_ns) / 1e6)
        self.cpu_ms.append((cpu_end_ns - cpu_ns) / 1e6)

    def add_turn(
        self,
        n_calls: int,
        end_s: float,
        step: Callable[[], object],
        after: Callable[[], object] = lambda: None,
    ) -> None:
        """Times `n_calls` steps after one that is not; past `end_s`, only if none was timed yet."""
        for i in range(n_calls + 1):
            if self.wall_ms and time.monotonic() > end_s:
                return
            (self if i else Times()).add(step)
            after()


class Subject:
    """One GGUF file in both decoders."""

    def __init__(self, name: str, path: Path, peer: LibllamaModel) -> None:
        self.name = name
        self._peer = peer
        self._model = GgufModel(str(path))
        self.rows: Rows = self.random_rows(N_INPUTS)

    def random_rows(self, n_rows: int) -> Rows:
        """Input rows [n_rows, n_embd], always the same."""
        rng = np.random.default_rng(0)
        return rng.standard_normal((n_rows, self._model.n_embd), np.float32)

    def ring(self, kv: int, *, n_threads: int = 1, max_rows: int = 1) -> RingDecoder:
        """A ring of `kv` slots, those that a step of several rows writes to included."""
        window = kv - N_SINKS - (max_rows - 1)
        return RingDecoder(
            self._model, n_sinks=N_SINKS, window=window, n_threads=n_threads, max_rows=max_rows
        )

    @contextmanager
    def peer(
        self, kv: int, *, flash: bool, n_threads: int = 1, max_rows: int = 1
    ) -> Iterator[LibllamaStream]:
        """Libllama's stream of `kv` cells, full but for the next `max_rows`."""
        stream = LibllamaStream(self._peer, kv, flash=flash, n_threads=n_threads, max_rows=max_rows)
        stream.fill(kv - max_rows)
        yield stream
        stream.close()


def compare_steps(
    subject: Subject, kv: int, n_rows: int, n_threads: int, n_turns: int, n_calls: int, end_s: float
) -> dict[str, Any]:
    """Times of a step of `n_rows` rows over `kv` keys, and libllama's over the ring's.

    `n_turns` turns of `n_calls` steps each, fewer where the clock passes `end_s`. All are filled
    first; each of libllama's steps is taken back.
    """
    rows = subject.rows[:n_rows]
    ring = subject.ring(kv, n_threads=n_threads, max_rows=n_rows)
    fill(ring, kv - (n_rows - 1), N_SINKS)
    times = {name: Times() for name in ("ring", *FLASH)}
    with ExitStack() as stack:
        streams = {
            name: stack.enter_context(
                subject.peer(kv, flash=flash, n_threads=n_threads, max_rows=n_rows)
            )
            for name, flash in FLASH.items()
        }
        for _ in range(n_turns):
            times["ring"].add_turn(n_calls, end_s, lambda: ring.step(rows))
            for name, stream in streams.items():
                times[name].add_turn(
                    n_calls,
                    end_s,
                    lambda stream=stream: stream.step(rows),  # type: ignore[misc]
                    lambda stream=stream: stream.take_back(n_rows),  # type: ignore[misc]
                )
    found = {"shape": subject.name, "kv": kv, "threads": n_threads, "n": n_rows}
    return found | ratios(times, n_threads) | typical(times)


def ratios(times: dict[str, Times], n_threads: int) -> dict[str, Any]:
    """Libllama's time over the ring's, of its default setting and of its faster one."""
    wall = {name: _quiet(t.wall_ms) for name, t in times.items()}
    cpu = {name: _quiet(t.cpu_ms) for name, t in times.items()}
    trusted, kind = (cpu, "processor time") if n_threads == 1 else (wall, "wall time")
    return {
        "ratios_are_of": kind,
        "ratio_to_default": trusted["libllama"] / trusted["ring"],
        "ratio_to_faster": min(trusted[name] for name in FLASH) / trusted["ring"],
        "wall_ratio_to_default": wall["libllama"] / wall["ring"],
        "wall_ratio_to_faster": min(wall[name] for name in FLASH) / wall["ring"],
    }


def _quiet(times_ms: list[float]) -> float:
    """The lower quartile: less of what else the machine does than in the median."""
    return float(np.percentile(times_ms, 25))


def typical(times: dict[str, Times]) -> dict[str, float]:
    """The median of each, by the clock and of the processor."""
    medians = {}
    for name, taken in times.items():
        medians[f"{name}_ms"] = float(np.median(taken.wall_ms))
        medians[f"{name}_cpu_ms"] = float(np.median(taken.cpu_ms))
    return medians


def compare_streams(subject: Subject, n_halves: int) -> dict[str, Any]:
    """An endless stream over STREAM_KV keys, until libllama has dropped half `n_halves` times."""
    ring = subject.ring(STREAM_KV)
    for i in range(0, STREAM_KV):
        ring.step(subject.rows[i % N_INPUTS][None])
    with ExitStack() as stack:

        def shifting(flash: bool, n_drop: int) -> Callable[[Rows], object]:
            stream = stack.enter_context(subject.peer(STREAM_KV, flash=flash))
            return _shifting(stream, n_drop)

        runs: dict[str, tuple[Callable[[Rows], object], int]] = {"ring": (ring.step, STREAM_CALLS)}
        for name, flash in FLASH.items():
            runs[f"{name}_half"] = (shifting(flash, HALF_ROWS), STREAM_CALLS)
            runs[f"{name}_one"] = (shifting(flash, 1), SHIFT_ONE_CALLS)
        times = {name: Times() for name in runs}
        for _ in range(n_halves * TURNS_PER_HALF):
            for name, (step, n_calls) in runs.items():
                for i in range(n_calls):
                    row = subject.rows[i % N_INPUTS][None]
                    times[name].add(lambda step=step, row=row: step(row))  # type: ignore[misc]
    cpu = {name: t.cpu_ms for name, t in times.items()}
    wall = {name: t.wall_ms for name, t in times.items()}
    return {
        "shape": subject.name,
        "kv": STREAM_KV,
        "steps": len(times["ring"].wall_ms),
        **_stream_figures(wall),
        "cpu": _stream_figures(cpu),
    }


def _shifting(stream: LibllamaStream, n_drop: int) -> Callable[[Rows], object]:
    """A step that first drops the oldest `n_drop` rows after the sinks if the context is full."""

    def step(row: Rows) -> object:
        if stream.pos == STREAM_KV:
            stream.drop(N_SINKS, n_drop)
        return stream.step(row)

    return step


def _stream_figures(times_ms: dict[str, list[float]]) -> dict[str, float]:
    """Speed-ups are over libllama's default setting, and over the faster one."""
    ring = times_ms["ring"]
    mean = {name: float(np.mean(values)) for name, values in times_ms.items()}
    p50, p99 = (float(np.percentile(ring, p)) for p in (50, 99))
    figures = {"mean_ms": mean["ring"], "p50_ms": p50, "p99_ms": p99, "p99_over_p50": p99 / p50}
    for kind in ("half", "one"):
        of_each = [mean[f"{name}_{kind}"] for name in FLASH]
        figures[f"speedup_vs_shift_{kind}"] = of_each[0] / mean["ring"]
        figures[f"speedup_vs_shift_{kind}_faster"] = min(of_each) / mean["ring"]
    return figures
