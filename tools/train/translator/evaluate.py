# SPDX-License-Identifier: Apache-2.0
"""How well a toy translator translates held-out sentences: python evaluate.py FOLDER [COUNT]

Through edgestream's own loops, in both layouts, under several policies; BLEU by sacrebleu.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
from sacrebleu import corpus_bleu
from sentences import Pair, stream

from edgestream.decoder import (
    DecoderModel,
    GroupedLoop,
    InterleavedLoop,
    LoopConfig,
    RingDecoder,
    load_decoder,
)
from edgestream.policy import Action, AlignAtt, Observation, Policy, WaitK

END, GROUPED, INTERLEAVED = 1, 2, 3
ENDS = tuple(".?!")
TEST_SEED = 2
LAYERS = 4


class BySentence(Policy):
    """Wait-k, or another policy, within each sentence of a stream.

    All of a sentence is written once its last word is read; `began` is to be told when one begins.
    """

    def __init__(self, k: int, inner: Policy | None = None) -> None:
        super().__init__()
        self.k, self.inner = k, inner
        self.read = self.written = 0
        self.is_whole = False

    def begin(self, read: int, written: int) -> None:
        """A sentence begins behind so many words and tokens."""
        self.read, self.written = read, written

    def decide(self, seen: Observation) -> Action:
        if self.is_whole or seen.finished:
            return Action.WRITE
        if self.inner is not None:
            return self.inner.decide(seen)
        enough = seen.read - self.read >= self.k + seen.written - self.written
        return Action.WRITE if enough else Action.READ


@dataclass(slots=True)
class Translated:
    """Sentences as they were translated, and the words read before each token of them."""

    texts: list[str]
    lags: list[int]  # words read of the sentence, less the token's number


class Translator:
    """One stream of a model in a layout."""

    def __init__(
        self, model: DecoderModel, layout: str, policy: Policy, layers: list[int] | None = None
    ) -> None:
        self.model, self.policy = model, policy
        config = LoopConfig(max_tokens_per_unit=64, end_of_turn=[END])
        regions = [("input", 48), ("output", 48)]
        grouped = {"window": regions, "layout": "grouped", "gap": 0}
        window = grouped if layout == "grouped" else {"window": 96}
        self.ring = RingDecoder(model.weights, n_sinks=1, attention_layers=layers or [], **window)
        self.loop: GroupedLoop | InterleavedLoop
        if layout == "grouped":
            self.loop = GroupedLoop(
                self.ring, policy, config, input_prompt=[GROUPED], output_prompt=[END]
            )
        else:
            self.loop = InterleavedLoop(self.ring, policy, config, prompt=[INTERLEAVED])

    def push(self, word: str) -> list[int]:
        """Reads a word; returns the tokens that were written."""
        tokens = self.model.tokenizer.encode(word, add_special=False)
        rows = np.stack([self.model.weights.token_embedding(t) for t in tokens])
        return self.loop.push_unit(rows)[0].tolist()

    def sentence(self, pair: Pair) -> str:
        """One sentence alone, from an empty memory."""
        self.loop.reset()
        tokens = [token for word in pair.english for token in self.push(word)]
        tokens += self.loop.finish()[0].tolist()
        return self.model.tokenizer.decode(tokens).strip()

    def stream(self, pairs: list[Pair]) -> Translated:
        """Sentences one behind the other, under a policy BySentence."""
        policy, texts, lags = self.policy, list[str](), list[int]()
        assert isinstance(policy, BySentence)
        for pair in pairs:
            policy.begin(self.loop.read, self.loop.written)
            tokens: list[int] = []
            for n_read, word in enumerate(pair.english, 1):
                policy.is_whole = n_read == len(pair.english)
                new = self.push(word)
                lags += [n_read - t for t in range(len(tokens), len(tokens) + len(new))]
                tokens += new
            texts.append(self.model.tokenizer.decode(tokens).strip())
        return Translated(texts, lags)


def held_out(count: int, seed: int = TEST_SEED) -> list[Pair]:
    """Sentences that no training saw."""
    rng = Random(seed)
    return [stream(rng, held_out=True) for _ in range(count)]


def figures(texts: list[str], pairs: list[Pair]) -> str:
    """Share of sentences that are right to the letter, and BLEU."""
    references = [pair.target for pair in pairs]
    right = sum(t == r for t, r in zip(texts, references, strict=True)) / len(pairs)
    return f"exact {right:6.1%}  BLEU {corpus_bleu(texts, [references]).score:5.1f}"


def table(model: DecoderModel, pairs: list[Pair]) -> Iterator[str]:
    """A line for each layout and policy."""
    for layout in ("grouped", "interleaved"):
        for name, policy in [
            ("whole", WaitK(1000)),
            *((f"wait-{k}", WaitK(k)) for k in (1, 3, 5, 7, 9)),
        ]:
            translator = Translator(model, layout, policy)
            yield f"{layout:12} {name:12} {figures([translator.sentence(p) for p in pairs], pairs)}"
        streams = [("wait-1", BySentence(1)), ("wait-3", BySentence(3)), ("wait-5", BySentence(5))]
        streams += [(f"alignatt-{f}", BySentence(0, AlignAtt(f))) for f in (1, 2, 3)]
        for name, policy in streams:
            layers = [2] if name[0] == "a" else None
            done = Translator(model, layout, policy, layers).stream(pairs)
            lag = sum(done.lags) / len(done.lags)
            yield f"{layout:12} stream {name:12} {figures(done.texts, pairs)}  lag {lag:.2f}"


def alignment(model: DecoderModel, pairs: list[Pair], layout: str) -> Iterator[str]:
    """By layer: how often the most attended word is the one that the next token needs."""
    for layer in range(LAYERS):
        hits = total = 0
        policy = _Watched()
        translator = Translator(model, layout, policy, [layer])
        for pair in pairs:
            translator.loop.reset()
            for word in pair.english:
                translator.push(word)
            policy.lags.clear()
            tokens = translator.loop.finish()[0].tolist()
            if translator.model.tokenizer.decode(tokens).strip() != pair.target:
                continue
            for lag, word in zip(policy.lags, pair.french, strict=False):
                hits += len(pair.english) - 1 - lag == word.needs
                total += 1
        yield f"{layout:12} layer {layer}: {hits / max(1, total):6.1%} of {total} tokens"


class _Watched(Policy):
    """Writes at the end alone, and notes where the attention was."""

    def __init__(self) -> None:
        super().__init__()
        self.lags: list[int] = []

    def decide(self, seen: Observation) -> Action:
        self.lags.append(seen.attended_lag)
        return Action.WRITE if seen.finished else Action.READ


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder")
    options.add_argument("count", type=int, nargs="?", default=500)
    args = options.parse_args()
    model, pairs = load_decoder(args.folder), held_out(args.count)
    for layout in ("grouped", "interleaved"):
        for line in alignment(model, pairs[: args.count // 4], layout):
            print(line, flush=True)
    for line in table(model, pairs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
