# SPDX-License-Identifier: Apache-2.0
"""What a window costs a decoder that reads for an hour: perplexity over text, by memory.

    python tools/bench/perplexity.py MODEL.gguf [TEXT...] [--memory 4+1020] [--words 10000]

Perplexity says how surprised the model is by each next token; 1 is not at all. About 10,000 words
are an hour of speech. A memory is sinks + window in rows; "all" keeps everything. Without TEXT the
prose of docs/ is read. Rows after the first `--from` count: until then a window has lost nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from prose import read_texts, words

from edgestream.decoder import GgufModel, RingDecoder
from edgestream.decoder.tokenizer import Tokenizer

CHUNK_ROWS = 32


def surprise(model: GgufModel, tokens: list[int], n_sinks: int, window: int) -> NDArray[np.float64]:
    """Of every token after the first, in nats [len(tokens) - 1], as a ring remembers the others."""
    ring = RingDecoder(model, n_sinks=n_sinks, window=window, max_rows=CHUNK_ROWS)
    found = []
    for at in range(0, len(tokens) - 1, CHUNK_ROWS):
        read = tokens[at : at + CHUNK_ROWS]
        wanted = np.array(tokens[at + 1 : at + 1 + CHUNK_ROWS])
        rows = np.stack([model.token_embedding(token) for token in read])
        logits = ring.step_groups([(0, rows)], logits="every")[: len(wanted)]
        peak = logits.max(axis=1)
        total = np.exp(logits - peak[:, None]).sum(axis=1, dtype=np.float64)
        found.append(peak + np.log(total) - logits[np.arange(len(wanted)), wanted])
    return np.concatenate(found)


def parse_memory(text: str, n_tokens: int) -> tuple[int, int]:
    """Sinks and window of "4+1020" or "all"."""
    if text == "all":
        return 0, n_tokens
    n_sinks, _, window = text.partition("+")
    return int(n_sinks), int(window)


def main() -> None:
    """Prints a table, a line for each memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a GGUF file")
    parser.add_argument("texts", type=Path, nargs="*")
    parser.add_argument("--memory", action="append", help="sinks+window, or all; several")
    parser.add_argument("--words", type=int, default=10_000)
    parser.add_argument("--from", type=int, default=1024, dest="first")
    args = parser.parse_args()
    text = words(read_texts(args.texts), args.words)
    tokenizer = Tokenizer(args.model)
    tokens = tokenizer.first_tokens(tokenizer.encode(text, add_special=False))
    model = GgufModel(str(args.model))
    print(f"{args.model.name}: {len(text.split())} words, {len(tokens)} tokens\n")
    print(f"| memory | perplexity | from token {args.first} on | ms a token | MB of the stream |")
    print("|---|---|---|---|---|", flush=True)
    for memory in args.memory or ["all", "4+2044", "4+1020", "0+1024", "4+508", "0+512"]:
        n_sinks, window = parse_memory(memory, len(tokens))
        start_s = time.process_time()
        nats = surprise(model, tokens, n_sinks, window)
        ms = 1000 * (time.process_time() - start_s) / len(tokens)
        ring = RingDecoder(model, n_sinks=n_sinks, window=window, max_rows=CHUNK_ROWS)
        whole, late = np.exp(nats.mean()), np.exp(nats[args.first :].mean())
        mb = ring.state_bytes / 1e6
        print(f"| {memory} | {whole:.2f} | {late:.2f} | {ms:.1f} | {mb:.0f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
