# SPDX-License-Identifier: Apache-2.0
"""A young stream: time of a step while most of the memory is still empty, beside libllama."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np

from edgestream.bench.decoder.libllama import LibllamaModel, LibllamaStream
from edgestream.bench.decoder.speed import FLASH, Subject, Times, ratios, typical

YOUNG_KEYS = (16, 64, 200, 256, 500, 960, 2000)
N_SLOTS = 4096  # of the memory that is being filled, and cells of libllama's
FILL_ROWS = 32  # taken at once until then


def compare_young(
    subject: Subject, peer: LibllamaModel, n_keys: int, n_turns: int, n_calls: int
) -> dict[str, Any]:
    """Times of a step of one row that sees `n_keys` keys, itself included; one thread, in turn.

    Both have read the other rows, and take each step back.
    """
    rows = subject.random_rows(n_keys - 1)
    row, one_row = subject.rows[:1], [(0, subject.rows[:1])]
    ring = subject.ring(max(N_SLOTS, n_keys), max_rows=FILL_ROWS)
    times = {name: Times() for name in ("ring", *FLASH)}
    with ExitStack() as stack:
        streams = {}
        for name, flash in FLASH.items():
            cells = max(N_SLOTS, n_keys)
            streams[name] = LibllamaStream(peer, cells, flash=flash, max_rows=FILL_ROWS)
            stack.callback(streams[name].close)
        for at in range(0, len(rows), FILL_ROWS):
            ring.step(rows[at : at + FILL_ROWS])
            for stream in streams.values():
                stream.step(rows[at : at + FILL_ROWS])
        for _ in range(n_turns):
            times["ring"].add_turn(
                n_calls, np.inf, lambda: ring.propose(one_row), lambda: ring.keep(0)
            )
            for name, peer_stream in streams.items():
                times[name].add_turn(
                    n_calls,
                    np.inf,
                    lambda peer_stream=peer_stream: peer_stream.step(row),  # type: ignore[misc]
                    lambda peer_stream=peer_stream: peer_stream.take_back(1),  # type: ignore[misc]
                )
    sizes = {"shape": subject.name, "kv": n_keys, "threads": 1, "n": 1, "slots": N_SLOTS}
    return sizes | ratios(times, n_threads=1) | typical(times)
