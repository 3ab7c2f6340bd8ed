# SPDX-License-Identifier: Apache-2.0
"""Simulated scenes as lessons: python make_lessons.py OUT.npz N --seed S"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sim_script import SHARES, any_kind, scene
from simulate import Simulated
from track_labels import lesson
from track_words import lay_out


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("out", type=Path)
    options.add_argument("n", type=int)
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--kind", choices=SHARES, help="of scenes; of all kinds without it")
    args = options.parse_args()
    numbers, rows, targets, ends = [], [], [], []
    for seed in range(args.seed, args.seed + args.n):
        kind = args.kind or any_kind(np.random.default_rng([seed, 3]))
        made = lesson(Simulated(scene(kind, seed), seed), seed)
        if not made.numbers:
            continue
        laid, follow = lay_out(made.sayings, made.asked)
        numbers.append(np.stack(made.numbers))
        rows.append(np.array(laid, np.int32))
        targets.append(np.array(follow, np.int8))
        ends.append((len(made.numbers), len(laid)))
    part = args.out.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file, numbers=np.concatenate(numbers), rows=np.concatenate(rows),
        targets=np.concatenate(targets), ends=np.cumsum(ends, 0),
    )  # fmt: skip
    part.replace(args.out)
    print(f"{args.out}: {len(ends)} scenes, {sum(len(r) for r in rows)} rows")


if __name__ == "__main__":
    main()
