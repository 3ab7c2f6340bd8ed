# SPDX-License-Identifier: Apache-2.0
"""A live camera before a decoder that is made slow: do comments stay younger than two seconds?

    python tools/bench/pacing.py [--minutes 30] [--steps-ms 0 40 120 300 120 0] [--json FILE]

The camera is one on loopback that draws scenes in real time. Every step of the decoder takes so
many milliseconds more, another number in each part of the run. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edgestream._native import Decoder, RingDecoder
from edgestream.bench.machine import describe
from edgestream.bench.process import read_process
from edgestream.bench.watch.glass import GlassCamera, GlassReader, now_ms
from edgestream.bench.watch.real import PIXELS
from edgestream.bench.watch.scenes import scene
from edgestream.decoder import open as open_decoder
from edgestream.events import Comment, Event, Lag
from edgestream.sources.open_pictures import open_pictures
from edgestream.vision.watch import load_watcher, watch

NUMBER = 1 << 22  # of the scene; no other has it


class SlowDecoder(Decoder):
    """A ring whose steps take `step_ms` longer."""

    step_ms = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        self.ring = RingDecoder(*args, **options)
        super().__init__(
            n_embd=self.ring.n_embd, n_vocab=self.ring.n_vocab, max_proposal=self.ring.max_proposal
        )

    def _step(self, rows: Any, logits: str) -> NDArray[np.float32]:
        time.sleep(SlowDecoder.step_ms / 1000)
        return self.ring.step_groups([(0, some) for some in rows], logits=logits)

    def _take_back(self, n_rows: int) -> None:
        raise NotImplementedError("nothing is drafted here")

    def _token_embedding(self, token: int) -> NDArray[np.float32]:
        return self.ring.token_embedding(token)

    def _fork(self) -> Decoder:
        raise NotImplementedError("nothing is forked here")

    def _reset(self) -> None:
        self.ring.reset()


@dataclass
class Part:
    """What happened while steps took `step_ms` longer."""

    step_ms: float
    comments: int = 0
    cut_off: int = 0
    stale_ms: list[float] = field(default_factory=list)
    glass_to_word_ms: list[float] = field(default_factory=list)
    lags: dict[str, int] = field(default_factory=dict)  # by what was given up
    pictures: int = 0
    rss_mb: float = 0.0

    def push(self, events: list[Event], reader: GlassReader) -> None:
        """Counts events as soon as they are there."""
        shown_ms = now_ms()
        for event in events:
            if isinstance(event, Lag):
                self.lags[event.action] = self.lags.get(event.action, 0) + 1
            elif isinstance(event, Comment):
                self.comments += 1
                self.cut_off += event.text.endswith("…")
                self.stale_ms.append(event.staleness_ms)
                self.glass_to_word_ms.append(shown_ms - reader.drawn_ms[event.picture_ms])


def run(model_name: str, steps_ms: list[float], minutes: float) -> list[Part]:
    """The parts of a run in real time."""
    open_decoder.RingDecoder = SlowDecoder  # type: ignore[misc]
    model = load_watcher(model_name)
    each_ms = 60_000 * minutes / len(steps_ms)
    parts = [Part(step_ms) for step_ms in steps_ms]
    with GlassCamera(scene(NUMBER, length_ms=60_000 * minutes)) as camera:
        reader = GlassReader(open_pictures(camera.url, fps=model.fps))
        session = watch(reader, model=model)
        n_before = 0
        for events in session.blocks():
            part = parts[min(int((now_ms() - camera.started_ms) / each_ms), len(parts) - 1)]
            SlowDecoder.step_ms = part.step_ms
            part.push(events, reader)
            part.pictures += session.stream.counts.pictures - n_before
            n_before = session.stream.counts.pictures
            part.rss_mb = read_process(os.getpid(), 0.0).rss_mb
    return parts


def show(parts: list[Part], minutes: float) -> None:
    """A line for each part."""
    table = Table("ms more a step", "comments", "cut off", "pictures/s", "staleness p50 / most",
                  "glass to word most", "MB", "given up and back")  # fmt: skip
    for part in parts:
        stale, glass = part.stale_ms or [0.0], part.glass_to_word_ms or [0.0]
        rate = part.pictures / (60 * minutes / len(parts))
        lags = ", ".join(f"{n} x {action}" for action, n in part.lags.items())
        table.add_row(
            f"{part.step_ms:g}", f"{part.comments}", f"{part.cut_off}", f"{rate:.1f}",
            f"{np.median(stale):.0f} / {max(stale):.0f} ms", f"{max(glass):.0f} ms",
            f"{part.rss_mb:.0f}", lags,
        )  # fmt: skip
    Console(width=150).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default=PIXELS, help="one with a decoder")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--steps-ms", type=float, nargs="+", default=[0, 40, 120, 300, 120, 0])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    figures = describe(load_watcher(args.model)) | {"minutes": args.minutes}
    parts = run(args.model, args.steps_ms, args.minutes)
    show(parts, args.minutes)
    if args.json:
        figures["parts"] = [asdict(part) for part in parts]
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
