# SPDX-License-Identifier: Apache-2.0
"""Rule and model on the same tracks: python evaluate_tracks.py [--model DIR] [--scenes N --seed S]

Simulated scenes, N of each kind, and with --clips what real_clips.py wrote. Without --model the
plain rule tells. Several --bias of silence give a table each. Scores count kind and side or
direction, an event told within 1.5 s, each once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from real_clips import load_clips
from sim_script import SHARES, scene
from sim_thing import Happened
from sim_view import ABOVE, PICTURE_MS
from simulate import Simulated
from told_score import Tally, Told
from track_tellers import ModelTeller, RuleTeller, Weights

from edgestream.vision.perception.tracker import Step

Teller = RuleTeller | ModelTeller
NewTeller = Callable[[int, int], Teller]


class Stream(NamedTuple):
    """One scene or clip: what it is filed under, its size, its steps and what happens in it."""

    groups: tuple[str, ...]
    size: tuple[int, int]
    steps: Iterator[Step]
    events: list[Happened]
    length_ms: float


def simulated(n: int, first_seed: int) -> Iterator[Stream]:
    """`n` scenes of each kind."""
    for kind in SHARES:
        for seed in range(first_seed, first_seed + n):
            made = Simulated(scene(kind, seed), seed)
            view = made.scene.view
            groups = ("all", kind, "from above") if view.kind == ABOVE else ("all", kind)
            steps = (pictured.step for pictured in made)
            length_ms = made.scene.n * PICTURE_MS
            yield Stream(groups, (view.width, view.height), steps, made.events, length_ms)


def real(path: Path) -> Iterator[Stream]:
    """Clips, each filed under its name."""
    for clip in load_clips(path):
        height, width = clip.pictures[0].shape[:2]
        steps = (looked.step for looked in clip)
        yield Stream((clip.name,), (width, height), steps, clip.events, clip.times_ms[-1])


class Report:
    """Tallies by group, and what telling costs."""

    def __init__(self, by_known: bool) -> None:
        self.tallies: dict[str, Tally] = {}
        self.by_known = by_known
        self.seconds, self.n_pictures, self.n_rows, self.n_broken = 0.0, 0, 0, 0

    def add(self, stream: Stream, new_teller: NewTeller) -> None:
        """Lets a teller tell of it."""
        teller, told = new_teller(*stream.size), list[Told]()
        for step in stream.steps:
            begun = time.process_time()
            told += teller.push(step)
            self.seconds += time.process_time() - begun
            self.n_pictures += 1
        if isinstance(teller, ModelTeller):
            self.n_rows += teller.n_rows
            self.n_broken += teller.n_broken
        if self.by_known:
            told = [t._replace(time_ms=t.known_ms) for t in told]
        for group in stream.groups:
            self.tallies.setdefault(group, Tally()).add(told, stream.events, stream.length_ms)

    def show(self) -> None:
        """Prints a line each."""
        for group, tally in self.tallies.items():
            if tally.happened:
                print(f"  {group}: {tally.line()}")
            if tally.quiet_ms:
                print(f"  {group}: {tally.quiet_line()}")
        cost = 1000 * self.seconds / max(1, self.n_pictures)
        print(f"  {cost:.3f} ms CPU a picture", end="")
        print(f", {self.n_rows} rows, {self.n_broken} broken sentences" * bool(self.n_rows))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", type=Path)
    options.add_argument("--bias", type=float, nargs="+", default=[0.0], help="of silence")
    options.add_argument("--scenes", type=int, default=0, help="of each kind")
    options.add_argument("--seed", type=int, default=9_100_000)
    options.add_argument("--clips", type=Path)
    options.add_argument("--by-known", action="store_true", help="when it was told counts")
    args = options.parse_args()
    tellers: dict[str, NewTeller] = {"rule": RuleTeller}
    if args.model:
        weights = Weights(args.model)
        tellers = {
            f"bias {bias:g}": lambda width, height, bias=bias: ModelTeller(
                weights, bias, width, height
            )
            for bias in args.bias
        }
    for name, new_teller in tellers.items():
        print(name)
        report = Report(args.by_known)
        for stream in simulated(args.scenes, args.seed):
            report.add(stream, new_teller)
        if args.clips:
            for stream in real(args.clips):
                report.add(stream, new_teller)
        report.show()


if __name__ == "__main__":
    main()
