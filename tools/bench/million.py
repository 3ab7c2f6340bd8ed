# SPDX-License-Identifier: Apache-2.0
"""A million rows in one stream of the ring: are memory, time and error at the end as at the start?

    python tools/bench/million.py [--rows 1000000] [--kv-type f32] [--json FILE] [--plot FILE]

A small random model takes random tokens one by one. At the end of each block of rows its resident
memory, the processor time of its steps and its error are noted. The error is that of the block's
last rows against float64. What a row's logits depend on goes back n_layers windows and no further,
besides the sinks, and only distances matter: so the sinks followed by the newest rows, computed in
float64 from the beginning, must give the same. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edgestream._native import GgufModel, RingDecoder
from edgestream.bench.decoder.parity import float64_logits
from edgestream.bench.machine import describe
from edgestream.bench.random_decoder import Shape, Weights, random_weights, write_weights
from edgestream.library.manifest.manifest import SYNTHETIC_MODEL
from edgestream.speech.concatenated.model import load

SHAPE = Shape(n_layers=3, n_embd=128, n_ff=256, n_heads=4, n_kv_heads=2, n_vocab=256)
N_SINKS, WINDOW = 4, 60
BLOCK_ROWS = 10_000
CHECKED_ROWS = 64  # newest rows of a block whose logits are compared
# In the replay the first window is not yet what it was; it must be out of reach of those compared.
REPLAYED_ROWS = (SHAPE.n_layers + 1) * WINDOW + CHECKED_ROWS


@dataclass(frozen=True)
class Block:
    """What was seen at the end of some rows."""

    n_rows: int
    rss_mb: float
    step_p50_us: float  # processor time
    step_p99_us: float
    max_abs_error: float


class Run:
    """One stream over a random model."""

    def __init__(self, folder: Path, kv_type: str) -> None:
        self._weights: Weights = random_weights(SHAPE)
        model = GgufModel(str(write_weights(folder / "model.gguf", SHAPE, self._weights, "F32")))
        self._table = np.stack([model.token_embedding(t) for t in range(SHAPE.n_vocab)])
        self._ring = RingDecoder(model, n_sinks=N_SINKS, window=WINDOW, kv_type=kv_type, max_rows=1)
        self._tokens = np.random.default_rng(0)
        self._newest = np.empty(0, np.intp)  # tokens: the sinks, then the newest
        self._took_ns = np.empty(BLOCK_ROWS, np.int64)

    def blocks(self, n_rows: int) -> Iterator[Block]:
        """Takes `n_rows` rows, a multiple of BLOCK_ROWS."""
        for done in range(BLOCK_ROWS, n_rows + 1, BLOCK_ROWS):
            tokens = self._tokens.integers(0, SHAPE.n_vocab, BLOCK_ROWS)
            logits = [self._step(i, token) for i, token in enumerate(tokens)][-CHECKED_ROWS:]
            self._newest = np.concatenate(
                [self._newest[:N_SINKS] if done > BLOCK_ROWS else tokens[:N_SINKS],
                 tokens[-REPLAYED_ROWS:]]
            )  # fmt: skip
            error = float(np.abs(np.stack(logits) - self._replay()).max())
            p50, p99 = np.percentile(self._took_ns / 1000, (50, 99))
            yield Block(done, rss_mb(), float(p50), float(p99), error)

    def _step(self, i: int, token: int) -> NDArray[np.float32] | None:
        row = self._table[token][None]
        start_ns = time.thread_time_ns()
        logits = self._ring.step(row)
        self._took_ns[i] = time.thread_time_ns() - start_ns
        return logits if i >= BLOCK_ROWS - CHECKED_ROWS else None

    def _replay(self) -> NDArray[np.float64]:
        rows = self._table[self._newest]
        return float64_logits(SHAPE, self._weights, rows, N_SINKS, WINDOW)[-CHECKED_ROWS:]


def rss_mb() -> float:
    """Resident memory of this process, 10^6 bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def slope(blocks: list[Block], name: str) -> dict[str, float]:
    """Change over a million rows by least squares, and twice its standard error."""
    millions = np.array([block.n_rows for block in blocks]) / 1e6
    values = np.array([getattr(block, name) for block in blocks])
    (rise, _), covariance = np.polyfit(millions, values, 1, cov=True)
    return {"per_million": float(rise), "twice_its_error": 2 * float(np.sqrt(covariance[0, 0]))}


def figures_of(blocks: list[Block], kv_type: str) -> dict[str, Any]:
    """For the table, JSON and the plot; slopes leave the first tenth out as warm-up."""
    settled = blocks[len(blocks) // 10 :]
    names = ("rss_mb", "step_p50_us", "max_abs_error")
    return {
        "rows": blocks[-1].n_rows,
        "kv_type": kv_type,
        "first": vars(blocks[0]),
        "last": vars(blocks[-1]),
        "max_abs_error_of_all": max(block.max_abs_error for block in blocks),
        "slopes": {name: slope(settled, name) for name in names},
        "blocks": [vars(block) for block in blocks],
    }


def show(figures: dict[str, Any]) -> None:
    """The summary."""
    table = Table("", "first block", "last block", "slope over a million rows")
    table.title = f"{figures['rows']:,} rows in one stream, keys and values {figures['kv_type']}"
    for name in ("rss_mb", "step_p50_us", "step_p99_us", "max_abs_error"):
        found = figures["slopes"].get(name)
        said = f"{found['per_million']:.2g} ± {found['twice_its_error']:.2g}" if found else ""
        first, last = figures["first"][name], figures["last"][name]
        table.add_row(name, f"{first:.4g}", f"{last:.4g}", said)
    Console().print(table)


def draw(figures: dict[str, Any], path: Path) -> None:
    """Memory, time and error over the rows, as a PNG."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rows = np.array([block["n_rows"] for block in figures["blocks"]]) / 1e6
    figure, axes = plt.subplots(3, 1, figsize=(9, 7), dpi=110, sharex=True, layout="constrained")
    labels = {
        "rss_mb": "resident memory [MB]",
        "step_p50_us": "median step\n[µs of processor time]",
        "max_abs_error": "largest error of\n64 rows' logits",
    }
    for axis, (name, label) in zip(axes, labels.items(), strict=True):
        axis.plot(rows, [block[name] for block in figures["blocks"]], lw=1)
        axis.set_ylim(0, 1.3 * max(block[name] for block in figures["blocks"]))
        axis.set_ylabel(label)
    axes[-1].set_xlabel("millions of rows in one stream")
    figure.savefig(path, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kv-type", default="f32")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    if args.rows < 4 * BLOCK_ROWS:
        parser.error(f"--rows is {args.rows}; a slope takes at least {4 * BLOCK_ROWS}")
    with TemporaryDirectory() as folder:
        blocks = list(Run(Path(folder), args.kv_type).blocks(args.rows))
    machine = describe(load(SYNTHETIC_MODEL))
    figures = {name: machine[name] for name in ("date", "commit", "machine")}
    figures |= figures_of(blocks, args.kv_type)
    show(figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.plot:
        draw(figures, args.plot)


if __name__ == "__main__":
    main()
