# SPDX-License-Identifier: Apache-2.0
"""Makes scenes: python make_scenes.py OUT N [--which train|held-out] [--pictures T] [--still]

OUT.npy holds uint8 [N, T, 48, 64, 3]; OUT.json the events and what is true of each picture.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from camera import SEEN_HEIGHT, SEEN_WIDTH
from draw import draw
from numpy.typing import NDArray
from script import HEIGHT, PICTURE_MS, WIDTH, Script
from vocabulary import COLOURS, SIZES


def scene(
    seed: int, which: str, n: int, still: bool = False, photographs: bool = True
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Pictures and truth of one scene; in a still one nothing happens."""
    script = Script(n, np.random.default_rng(seed))
    if not still:
        script.write()
    return draw(script, which, photographs), truth_of(script)


def truth_of(script: Script) -> dict[str, Any]:
    """The events, when they are told, and what is to be seen in each picture.

    `here` is 1 with one visitor and -1, not asked, with two; the rest is of that one visitor.
    """
    here = np.stack([t.here for t in script.things] or [np.zeros(script.n, np.bool_)])
    one, which = here.sum(0) == 1, here.argmax(0)
    seen = [script.things[i] if alone else None for i, alone in zip(which, one, strict=True)]
    position = [t.path[k] / (WIDTH, HEIGHT) if t else (0, 0) for k, t in enumerate(seen)]
    return {
        "events": [asdict(e) for e in script.events],
        "comments": [[t, e.tokens, e.visible_ms] for t, e in script.comments().items()],
        "here": np.where(here.sum(0) > 1, -1, one).tolist(),
        "position": np.round(position, 3).tolist(),
        "colour": [COLOURS.index(t.colour) if t else 0 for t in seen],
        "size": [SIZES.index(t.size) if t else 0 for t in seen],
        "light": np.round(script.light, 3).tolist(),
        "cover": np.round(script.cover, 2).tolist(),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("out", type=Path)
    options.add_argument("n", type=int)
    options.add_argument("--which", choices=("train", "held-out"), default="train")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--pictures", type=int, default=100)
    options.add_argument("--still", action="store_true", help="nothing happens but noise")
    options.add_argument("--workers", type=int, default=2)
    args = options.parse_args()
    shape = (args.n, args.pictures, SEEN_HEIGHT, SEEN_WIDTH, 3)
    pictures = np.lib.format.open_memmap(args.out.with_suffix(".npy"), "w+", np.uint8, shape)
    make = partial(scene, which=args.which, n=args.pictures, still=args.still)
    truths = []
    with ProcessPoolExecutor(args.workers) as pool:
        seeds = range(args.seed, args.seed + args.n)
        for i, (drawn, truth) in enumerate(pool.map(make, seeds, chunksize=8)):
            pictures[i] = drawn
            truths.append(truth)
    pictures.flush()
    args.out.with_suffix(".json").write_text(
        json.dumps({"picture_ms": PICTURE_MS, "scenes": truths})
    )


if __name__ == "__main__":
    main()
