# SPDX-License-Identifier: Apache-2.0
"""How well a toy translator translates held-out sentences: python evaluate.py FOLDER [COUNT]

Through edgestream's own loops, in both layouts, under several policies; BLEU by sacrebleu.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from sacrebleu import corpus_bleu
from sentences import Pair
from toy_translate import BySentence, Translator, held_out

from edgestream.decoder import DecoderModel, load_decoder
from edgestream.policy import Action, AlignAtt, Observation, Policy, WaitK

LAYERS = 4


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
