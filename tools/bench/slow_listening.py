# SPDX-License-Identifier: Apache-2.0
"""A live speaker before a decoder that is made slow: does anything queue, is anything lost?

    python tools/bench/slow_listening.py [--minutes 30] [--pauses-ms 0 300 1500 4000 8000 300 0]
                                         [--json FILE]

The bundled clips of people are joined to one recording that is read at its own pace. Each time the
window is encoded takes so many milliseconds more, another number in each part of the run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

import edgestream as es
from edgestream.bench.listen.people import joined_clips
from edgestream.bench.machine import describe
from edgestream.bench.process import read_process
from edgestream.bench.report import write_json
from edgestream.events import Final, Gap, Lag
from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.scoring.clips import PEOPLE, RATE_HZ, read_clips
from edgestream.scoring.words import Score, spoken_words


@dataclass(slots=True)
class Part:
    """What one part of the run showed."""

    pause_ms: float
    worst_behind_ms: float = 0.0
    newest_word_ms: float = 0.0  # worst age of a line's last word when the line came
    n_lags: int = 0
    n_words: int = 0
    rss_mb: float = 0.0


class SlowEncoder:
    """The model's own encode(), after a pause that can be changed."""

    def __init__(self, weights: Any) -> None:
        self.pause_ms, self._encode = 0.0, weights.encode
        weights.encode = self

    def __call__(self, rows: Any) -> Any:
        time.sleep(self.pause_ms / 1000)
        return self._encode(rows)


def run(minutes: float, pauses_ms: list[float], path: Path) -> dict[str, Any]:
    pieces = list(joined_clips(read_clips(PEOPLE), minutes))
    soundfile.write(path, np.concatenate([samples for samples, _ in pieces]), RATE_HZ)
    model = es.load(DEFAULT_MODEL)
    slow, parts = SlowEncoder(model.weights), [Part(pause) for pause in pauses_ms]
    session, texts = es.listen(path, model=model), []
    part_ms, gaps = minutes * 60_000 / len(parts), 0
    for events in session.blocks():
        heard_ms = session.stream.heard_ms
        part = parts[min(len(parts) - 1, int(heard_ms / part_ms))]
        slow.pause_ms = part.pause_ms
        part.worst_behind_ms = max(part.worst_behind_ms, session.source.behind_ms)
        part.rss_mb = read_process(os.getpid(), 0).rss_mb
        for event in events:
            part.n_lags += isinstance(event, Lag)
            gaps += isinstance(event, Gap)
            if isinstance(event, Final):
                texts.append(event.text)
                part.n_words += len(event.words)
    score = Score()
    said = [word.text for _, words in pieces for word in words]
    score.add(said, spoken_words(" ".join(texts)))
    return describe(model) | {
        "minutes": minutes, "gaps": gaps, "wer": score.wer, "words": score.words,
        "parts": [{name: getattr(p, name) for name in Part.__slots__} for p in parts],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument(
        "--pauses-ms", type=float, nargs="+", default=[0, 300, 1500, 4000, 8000, 300, 0]
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(args.minutes, args.pauses_ms, Path(folder) / "speech.wav")
    table = Table("pause, ms", "behind at most, ms", "lags told", "words", "memory, MB")
    for part in figures["parts"]:
        cells = (part[name] for name in ("pause_ms", "worst_behind_ms", "n_lags", "n_words"))
        table.add_row(*(f"{cell:.0f}" for cell in cells), f"{part['rss_mb']:.0f}")
    console = Console()
    console.print(table)
    console.print(f"{figures['gaps']} gaps, word errors {100 * figures['wer']:.1f} %")
    if args.json:
        write_json(figures, args.json)


if __name__ == "__main__":
    main()
