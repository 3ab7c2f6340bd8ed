# SPDX-License-Identifier: Apache-2.0
"""A ring as if it had read for long: a step reads the slots that are in use, and no more."""

from __future__ import annotations

import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgestream._native import RingDecoder

HEAD = struct.Struct("<8sIIQQQ")  # of a saved state: native/decoder/ring/ring_state.h
N_COUNTS = 5  # numbers of a plan of one region before those of its slots
FNV_OFFSET, FNV_PRIME, BITS = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1


def fill(ring: RingDecoder, n_rows: int, n_sinks: int) -> None:
    """As if a fresh ring of one region had taken `n_rows` rows, whose keys and values are zeros.

    Computing them would take minutes in large models; the time of a step does not depend on what
    they are. Written as a saved state, whose layout this knows.
    """
    with TemporaryDirectory(prefix="edgestream-bench-") as folder:
        path = Path(folder) / "full.state"
        ring.save(str(path))
        state = bytearray(path.read_bytes())
        _, _, n_memory, _, n_plan, _ = HEAD.unpack_from(state)
        first = HEAD.size + n_memory
        end = first + 8 * n_plan
        plan = np.zeros(n_plan, "<i8")
        plan[:N_COUNTS] = [n_rows, 0, n_rows - n_sinks, n_rows, 0]  # taken; moved; of the region
        plan[N_COUNTS : N_COUNTS + n_rows] = np.arange(n_rows)  # the position in each slot
        state[first:end] = plan.tobytes()
        pieces = [state[: HEAD.size], state[HEAD.size : first], state[first:end], state[end:-8]]
        state[-8:] = _checksum(pieces).to_bytes(8, "little")
        path.write_bytes(state)
        ring.restore(str(path))


def _checksum(pieces: list[bytearray]) -> int:
    """FNV-1a on words with a rotation, as native/core/ring/checksum.h."""
    value = FNV_OFFSET
    for piece in pieces:
        n_whole = len(piece) // 8 * 8
        rest = int.from_bytes(piece[n_whole:], "little")
        for word in (*memoryview(piece)[:n_whole].cast("Q"), rest, len(piece)):
            value ^= word
            value = ((value << 29 | value >> 35) & BITS) * FNV_PRIME & BITS
    return value
