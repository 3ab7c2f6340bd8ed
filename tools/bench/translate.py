# SPDX-License-Identifier: Apache-2.0
"""Simultaneous translation: how good, how late and how dear, policy by policy, as a table.

    python tools/bench/translate.py MODEL PAIRS.tsv [--to fr] [--ways LAYOUT/POLICY ...]

MODEL is a GGUF file or a model's folder. Each line of PAIRS.tsv is a sentence, a tab and its
translation. The sentences are read as one stream, word by word.

The columns: BLEU and chrF of the stream, shared out to sentences as mwerSegmenter does; AL and LAAL
in words, on average over sentences; StreamLAAL in words, and in seconds for somebody who says a
word every WORD_MS, with the processor's time (what was written counts from when it was computed,
and nothing else is meanwhile); and the processor's time for each word read.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from edgestream import Translate, Translation, load_reader
from edgestream.reader.model import ReaderModel
from edgestream.reader.units import Unit
from edgestream.scoring.latency import (
    Segment,
    Timed,
    average_lagging,
    commit_times,
    length_adaptive_lagging,
    shared_out,
    stream_lagging,
)
from edgestream.scoring.translation import quality

WORD_MS = 400.0  # 150 words a minute
WAYS = [
    "reencoded/local-agreement:2", "reencoded/local-agreement:3", "reencoded/wait-k:3",
    "reencoded/wait-k:5", "reencoded/alignatt:2", "reencoded/alignatt:4", "interleaved/wait-k:4",
]  # fmt: skip
TRAINED = [
    f"{layout}/{policy}"
    for layout in ("grouped", "interleaved")
    for policy in ("wait-k:1", "wait-k:3", "wait-k:5", "wait-k:9", "alignatt:1", "alignatt:2")
]
HEAD = "| layout, policy | BLEU | chrF | AL | LAAL | StreamLAAL | StreamLAAL, s | ms a word |"


@dataclass
class Run:
    """Events by the words that had been read, and by the clock of the speech."""

    by_words: list[Timed]
    by_ms: list[Timed]
    busy_ms: float


def run(model: ReaderModel, task: Translate, sentences: list[str]) -> Run:
    """Reads all sentences as one stream."""
    stage = task.stage(model, beside=False, n_threads=1)
    found = Run([], [], 0.0)
    free_ms, n_read = 0.0, 0
    for word in " ".join(sentences).split():
        n_read += 1
        begun = time.process_time()
        events = stage.push(Unit(word, n_read - 1, n_read))
        took_ms = 1000 * (time.process_time() - begun)
        found.busy_ms += took_ms
        free_ms = max(free_ms, WORD_MS * n_read) + took_ms
        found.by_words += [(n_read, event) for event in events]
        found.by_ms += [(free_ms, event) for event in events]
    last = stage.finish()
    found.by_words += [(n_read, event) for event in last]
    found.by_ms += [(free_ms, event) for event in last]
    return found


def lags(events: list[Timed], references: dict[str, str]) -> tuple[float, float]:
    """AL and LAAL of the sentences that were translated as such."""
    al, laal = [], []
    of_sentence: list[Timed] = []
    for timed in events:
        of_sentence.append(timed)
        if not isinstance(event := timed[1], Translation):
            continue
        source = len(event.source.split())
        delays = [at - event.start_ms for at in commit_times(of_sentence)[1]]
        if event.source in references and delays:
            n_reference = len(references[event.source].split())
            al.append(average_lagging(delays, source, n_reference))
            laal.append(length_adaptive_lagging(delays, source, n_reference))
        of_sentence = []
    return fmean(al), fmean(laal)


def row(way: str, found: Run, pairs: list[tuple[str, str]]) -> str:
    """A row of the table."""
    segments, at = [], 0
    for source, reference in pairs:
        n_words = len(source.split())
        segments.append(Segment(reference, at, n_words))
        at += n_words
    in_ms = [Segment(s.reference, WORD_MS * s.start, WORD_MS * s.length) for s in segments]
    words, delays = commit_times(found.by_words)
    of_words = [" ".join(words[i] for i in share) for share in shared_out(words, segments)]
    good = quality(of_words, [reference for _, reference in pairs])
    al, laal = lags(found.by_words, dict(pairs))
    stream = stream_lagging(words, delays, segments)
    stream_s = stream_lagging(words, commit_times(found.by_ms)[1], in_ms) / 1000
    figures = (good.bleu, good.chrf, al, laal, stream, stream_s, found.busy_ms / at)
    cells = " | ".join(f"{figure:.2f}" if figure < 10 else f"{figure:.1f}" for figure in figures)
    return f"| {way.replace('/', ', ')} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--to", default="fr")
    parser.add_argument("--ways", nargs="*", help="as reencoded/local-agreement:2")
    parser.add_argument("--trained", action="store_true", help="the ways of a trained model")
    given = parser.parse_args()
    lines = given.pairs.read_text("utf-8").splitlines()
    pairs = [(source, reference) for source, reference in (line.split("\t") for line in lines)]
    model = load_reader(given.model)
    print(HEAD, "|---" * HEAD.count(" | ") + "|---|", sep="\n")
    for way in given.ways or (TRAINED if given.trained else WAYS):
        layout, policy = way.split("/")
        task = Translate(given.to, policy, layout=layout)
        print(row(way, run(model, task, [source for source, _ in pairs]), pairs), flush=True)


if __name__ == "__main__":
    main()
