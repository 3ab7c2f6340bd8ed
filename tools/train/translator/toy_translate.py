# SPDX-License-Identifier: Apache-2.0
"""A toy translator in edgestream's own loops: one sentence, or a stream of them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from sentences import Pair, stream

from edgestream.decoder import DecoderModel, GroupedLoop, InterleavedLoop, LoopConfig, RingDecoder
from edgestream.policy import Action, Observation, Policy

END, GROUPED, INTERLEAVED = 1, 2, 3
TEST_SEED = 2


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
