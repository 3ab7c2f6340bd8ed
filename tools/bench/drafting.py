# SPDX-License-Identifier: Apache-2.0
"""What n-grams of what was read save: summaries of transcripts, written greedily, on one thread.

    python tools/bench/drafting.py MODEL.gguf [TEXT...] [--passages 4] [--tokens 128] [--rounds 3]

A passage of a text is read, then a summary of it is written in three ways, in turn: by
llama_decode token by token, by the ring without drafts, and by the ring with drafts of n-grams. A
model that knows ChatML gets its marks, another one a worked example before the passage. Without
TEXT the passages are of what ships: edgestream/data and docs/. Times are of the processor, the
least of the rounds, and only of writing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from prose import read_texts

from edgestream.bench.decoder.libllama import LibllamaModel, LibllamaStream
from edgestream.decoder import (
    DraftCounts,
    GgufModel,
    InterleavedLoop,
    LoopConfig,
    NgramDrafter,
    RingDecoder,
)
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.policy import WaitK

PASSAGE_WORDS = 220
MAX_ROWS = 32
CELLS = 2048
EXAMPLE = """Transcript: Good morning everybody. The pool is closed today because the water has to \
be changed. It opens again on Friday at nine. If you have a ticket, you can use it on Friday.
Summary: The pool is closed today because the water has to be changed. It opens again on Friday at \
nine, and a ticket can be used on Friday.

Transcript: {passage}
Summary:"""
CHAT = """<|im_start|>user
Summarize this transcript in its own words:
{passage}<|im_end|>
<|im_start|>assistant
"""


class Text:
    """One passage's prompt, and what each way made of it."""

    def __init__(self, tokens: list[int]) -> None:
        self.prompt = tokens
        self.written: dict[str, list[int]] = {}
        self.least_s: dict[str, float] = {}
        self.counts: dict[str, DraftCounts] = {}

    def note(self, way: str, tokens: list[int], seconds: float) -> None:
        """Keeps the text of a way and the least time that it took."""
        self.written[way] = tokens
        self.least_s[way] = min(seconds, self.least_s.get(way, np.inf))


def by_llama_decode(model: GgufModel, peer: LibllamaModel, text: Text, n_tokens: int) -> None:
    """Token by token; the prompt comes in chunks as long as the ring's."""
    stream = LibllamaStream(peer, CELLS, flash=True, max_rows=MAX_ROWS)
    rows = np.stack([model.token_embedding(token) for token in text.prompt])
    for at in range(0, len(rows), MAX_ROWS):
        logits = stream.step(rows[at : at + MAX_ROWS])
    start_s = time.process_time()
    written = [int(logits.argmax())]
    while len(written) < n_tokens:
        logits = stream.step(model.token_embedding(written[-1])[None])
        written.append(int(logits.argmax()))
    text.note("llama_decode", written, time.process_time() - start_s)
    stream.close()


def by_ring(model: GgufModel, text: Text, n_tokens: int, n_draft: int) -> None:
    """Without drafts where `n_draft` is 0."""
    decoder = RingDecoder(model, n_sinks=4, window=CELLS - 4, max_rows=MAX_ROWS)
    config = LoopConfig(unit_rows=len(text.prompt), max_tokens_at_end=n_tokens)
    drafter = NgramDrafter() if n_draft else None
    policy = WaitK(2)  # all is written at the end
    loop = InterleavedLoop(decoder, policy, config, n_draft=n_draft, drafter=drafter)
    loop.push_tokens(text.prompt)
    start_s = time.process_time()
    written = loop.finish()[0].tolist()
    way = f"ring, drafts of {n_draft}" if n_draft else "ring"
    text.note(way, written, time.process_time() - start_s)
    text.counts[way] = loop.draft_counts


def passages(texts: dict[str, str], n_passages: int) -> list[str]:
    """So many runs of words, of all texts alike, the longest text first."""
    found = []
    for text in sorted(texts.values(), key=len, reverse=True):
        words = text.split()
        found += [" ".join(words[:PASSAGE_WORDS])]
    return found[:n_passages]


def main() -> None:
    """Writes, times and shows all ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a GGUF file")
    parser.add_argument("texts", type=Path, nargs="*")
    parser.add_argument("--passages", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--drafts", type=int, nargs="*", default=[3, 7, 15])
    parser.add_argument("--show", action="store_true", help="print the first text")
    args = parser.parse_args()
    model, tokenizer = GgufModel(str(args.model)), Tokenizer(args.model)
    form = CHAT if "<|im_start|>" in (model.metadata("tokenizer.chat_template") or "") else EXAMPLE
    texts = []
    for passage in passages(read_texts(args.texts), args.passages):
        tokens = tokenizer.encode(form.format(passage=passage), add_special=False, special=True)
        texts.append(Text(tokenizer.first_tokens(tokens)))
    with LibllamaModel(args.model) as peer:
        ways: list[Callable[[Text], None]] = [
            lambda text: by_llama_decode(model, peer, text, args.tokens)
        ]
        for n_draft in (0, *args.drafts):
            ways.append(lambda text, n=n_draft: by_ring(model, text, args.tokens, n))  # type: ignore[misc]
        for _ in range(args.rounds):
            for text in texts:
                for way in ways:
                    way(text)
    show(args.model.name, texts)
    if args.show:
        print(tokenizer.decode(texts[0].written["ring"]))


def show(name: str, texts: list[Text]) -> None:
    """Prints a table of the ways over all texts."""
    print(f"{name}: {len(texts)} passages, {sum(len(text.prompt) for text in texts)} tokens read\n")
    print("| way | tokens/s | speed-up | guessed right | tokens a batch | as the ring's |")
    print("|---|---|---|---|---|---|")
    total = {way: sum(text.least_s[way] for text in texts) for way in texts[0].least_s}
    for way, seconds in total.items():
        n_tokens = sum(len(text.written[way]) for text in texts)
        same = sum(text.written[way] == text.written["ring"] for text in texts)
        counts = [text.counts[way] for text in texts if way in text.counts]
        drafted = sum(each.drafted for each in counts)
        right = f"{sum(each.verified for each in counts) / drafted:.0%}" if drafted else ""
        batches = f"{n_tokens / sum(each.batches for each in counts):.2f}" if drafted else ""
        print(
            f"| {way} | {n_tokens / seconds:.1f} | {total['llama_decode'] / seconds:.2f} | {right}"
            f" | {batches} | {same} of {len(texts)} |"
        )


if __name__ == "__main__":
    main()
