# SPDX-License-Identifier: Apache-2.0
"""Time of one decoder step in an endless stream: the ring against llama_decode, in one run.

    python tools/bench_decoder.py models/tiny-en/decoder.gguf --window 125 --sinks 2

All take the same rows in turn, some at a time, on one thread, so that other load on the machine
meets all alike; the times are processor time of that thread: waiting for it is not counted. A full
context goes on in two ways: dropping one row, as the ring does, for which llama_decode has to turn
all its keys each step; or dropping half of the window, as llama.cpp's own programs do, which leaves
three quarters of the ring's keys on average. Not measured: making the rows.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from typing import Protocol

import llama_cpp
import numpy as np

from edgestream._native import GgufModel, RingDecoder

PERCENTILES = (50, 95, 99, 100)
N_ROWS = 64  # different input rows, taken round and round
N_TURN = 50  # steps before the next decoder's turn: enough for its weights to be in the caches


@llama_cpp.llama_log_callback
def silent(level: int, text: bytes, user_data: ctypes.c_void_p) -> None:
    pass


class Stepper(Protocol):
    def step(self, rows: np.ndarray) -> np.ndarray: ...


class LlamaDecode:
    """A stream over libllama, one row at a time."""

    def __init__(
        self, path: str, n_sinks: int, window: int, *, n_drop: int, flash: bool = False
    ) -> None:
        llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        model_params = llama_cpp.llama_model_default_params()
        model_params.n_gpu_layers = 0
        model = llama_cpp.llama_model_load_from_file(path.encode(), model_params)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = n_sinks + window
        params.n_threads = params.n_threads_batch = 1
        params.flash_attn_type = int(flash)
        self.context = llama_cpp.llama_init_from_model(model, params)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.batch = llama_cpp.llama_batch_init(1, llama_cpp.llama_model_n_embd(model), 1)
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self.n_sinks, self.n_drop, self.capacity, self.pos = n_sinks, n_drop, n_sinks + window, 0

    def step(self, rows: np.ndarray) -> np.ndarray:
        if self.pos == self.capacity:
            self._drop()
        batch = self.batch
        batch.n_tokens, batch.pos[0], batch.n_seq_id[0] = 1, self.pos, 1
        batch.seq_id[0][0], batch.logits[0] = 0, 1
        ctypes.memmove(batch.embd, rows.ctypes.data, rows.nbytes)
        if llama_cpp.llama_decode(self.context, batch):
            raise SystemExit("llama_decode failed")
        self.pos += 1
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)
        return np.ctypeslib.as_array(logits, (self.n_vocab,)).copy()

    def _drop(self) -> None:
        end = self.n_sinks + self.n_drop
        llama_cpp.llama_memory_seq_rm(self.memory, 0, self.n_sinks, end)
        llama_cpp.llama_memory_seq_add(self.memory, 0, end, -1, -self.n_drop)
        self.pos -= self.n_drop


def measure(decoders: dict[str, Stepper], rows: np.ndarray, n_steps: int) -> dict[str, list[float]]:
    """Microseconds of each step, by decoder; the first fifth is warm-up and left out."""
    times: dict[str, list[float]] = {name: [] for name in decoders}
    for start in range(0, n_steps, N_TURN):
        for name, decoder in decoders.items():
            for i in range(start, start + N_TURN):
                began = time.thread_time()
                decoder.step(rows[i % len(rows)][None])
                times[name].append((time.thread_time() - began) * 1e6)
    return {name: t[n_steps // 5 :] for name, t in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--window", type=int, default=125)
    parser.add_argument("--sinks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--max-rows", type=int, default=32)
    options = parser.parse_args()
    model = GgufModel(options.model)
    tokens = np.random.default_rng(0).integers(0, model.n_vocab, N_ROWS)
    rows = np.stack([model.token_embedding(int(t)) for t in tokens])
    path, sinks, window, half = options.model, options.sinks, options.window, options.window // 2
    decoders: dict[str, Stepper] = {
        "ring": RingDecoder(model, n_sinks=sinks, window=window, max_rows=options.max_rows),
        "llama_decode, drop one": LlamaDecode(path, sinks, window, n_drop=1),
        "llama_decode, drop half": LlamaDecode(path, sinks, window, n_drop=half),
        "llama_decode, drop half, flash": LlamaDecode(path, sinks, window, n_drop=half, flash=True),
    }
    times = measure(decoders, rows, options.steps)
    ring_mean = float(np.mean(times["ring"]))
    for name, microseconds in times.items():
        row = {"decoder": name, "model": options.model, "window": options.window}
        row |= {f"p{p}_us": round(float(np.percentile(microseconds, p))) for p in PERCENTILES}
        row |= {"mean_us": round(float(np.mean(microseconds)))}
        row |= {"mean_over_ring": round(float(np.mean(microseconds)) / ring_mean, 2)}
        print(json.dumps(row))


if __name__ == "__main__":
    main()
