# SPDX-License-Identifier: Apache-2.0
"""A peer's side of the pipe: blocks of samples in, what it shows and commits out.

The parent writes the number of samples as a 32-bit integer and the samples as float32, and reads
one line of JSON: `committed` (words that from now on stay), `draft` (shown behind them, null if it
did not change), `cpu_s` and `wall_s` that this took. No samples mean that the stream ends; the next
ones begin another. Runs in the peer's own environment, without edgestream.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from typing import Protocol

import numpy as np


class Peer(Protocol):
    """Any captioner. Both calls give what is committed now and the draft behind it."""

    def push(self, samples: np.ndarray) -> tuple[str, str | None]: ...

    def finish(self) -> tuple[str, str | None]: ...


def serve(peer: Peer) -> None:
    """Answers until the pipe is closed. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    while head := sys.stdin.buffer.read(4):
        (n_samples,) = struct.unpack("<I", head)
        samples = np.frombuffer(sys.stdin.buffer.read(4 * n_samples), np.float32)
        cpu_s, start_s = time.process_time(), time.perf_counter()
        committed, draft = peer.push(samples) if n_samples else peer.finish()
        answer = {
            "committed": committed,
            "draft": draft,
            "cpu_s": time.process_time() - cpu_s,
            "wall_s": time.perf_counter() - start_s,
        }
        print(json.dumps(answer), file=answers, flush=True)
