# SPDX-License-Identifier: Apache-2.0
"""Half an hour through `edgestream listen` for each model given: flat in memory and in cost?

    python tools/bench/families.py MODEL_FOLDER ... [--minutes 30]

Noise that swells and fades is fed as fast as it is taken; every ten seconds of it, memory and
processor time of the process are read. Linux only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from edgestream.bench.process import Reading, feed
from edgestream.library.manifest.concatenated import ConcatenatedManifest
from edgestream.library.manifest.manifest import MANIFEST
from edgestream.library.manifest.read import read_manifest
from edgestream.scoring.clips import RATE_HZ
from edgestream.sources.block import Samples

READ_INTERVAL_S = 10.0
ENDS_MINUTES = 5.0  # the first and the last so many are compared


def sound(minutes: float) -> Iterator[Samples]:
    """Pieces of a second."""
    random = np.random.default_rng(0)
    for second in range(round(60 * minutes)):
        swell = 0.1 * (1 + np.sin(np.arange(RATE_HZ) / 3000 + second))
        yield (swell * random.standard_normal(RATE_HZ)).astype(np.float32)


def row_of(readings: list[Reading]) -> list[str]:
    """Memory after five minutes and at the end; p95 of cost in the first and the last five."""
    minutes = np.array([r.minute for r in readings])
    cost_ms = np.diff([1000 * r.cpu_s for r in readings]) / np.diff(60 * minutes)
    first = np.percentile(cost_ms[minutes[1:] <= ENDS_MINUTES], 95)
    last = np.percentile(cost_ms[minutes[1:] > minutes[-1] - ENDS_MINUTES], 95)
    settled = next(r for r in readings if r.minute >= ENDS_MINUTES)
    return [
        f"{settled.rss_mb:.1f}", f"{readings[-1].rss_mb:.1f}",
        f"{first:.2f}", f"{last:.2f}", f"{last / first:.2f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--minutes", type=float, default=30.0)
    args = parser.parse_args()
    table = Table("model", "MB after 5 min", "MB at the end", "ms a second, first 5 min, p95",
                  "last 5 min, p95", "ratio")  # fmt: skip
    for folder in args.models:
        m = read_manifest(folder / MANIFEST, ConcatenatedManifest)
        delay_ms = float(m.policy.delay_frames * m.decoder.step_ms)
        readings = list(feed(folder, delay_ms, sound(args.minutes), interval_s=READ_INTERVAL_S))
        table.add_row(m.name, *row_of(readings))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
