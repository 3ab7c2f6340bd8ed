# SPDX-License-Identifier: Apache-2.0
"""Cost of a re-encoded stream: flat over time, against plain LocalAgreement, and its word times.

    python tools/bench/memorise_whisper.py ...                     # makes MODEL, with its track.wav
    python tools/bench/whisper.py flat MODEL --minutes 30
    python tools/bench/whisper.py plain MODEL --seconds 60
    python tools/bench/whisper.py words MODEL

MODEL is a folder of a public ONNX repository with a `track.wav` (mono, 16 kHz), which is heard over
and over. Compute is processor time of this process.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
from plain_agreement import PlainAgreement

import edgestream
from edgestream.events import Final, Word
from edgestream.policy import ChosenPolicy, LocalAgreement
from edgestream.speech.reencoded.commit_policy import DELAYS
from edgestream.speech.reencoded.config import RATE_HZ
from edgestream.speech.reencoded.model import N_DRAFT, ReencodedModel, rows_in
from edgestream.speech.reencoded.stages import ReencodedStages
from edgestream.speech.stream import Stream

LANGUAGE = "en"
UNIT_MS = DELAYS["sure"].unit_ms
EDGE_S = 300  # at each end of the stream that are compared


class Work:
    """What the two graphs of a model computed, since the last take()."""

    def __init__(self, model: ReencodedModel) -> None:
        self.ms, self.rows = np.zeros(2), np.zeros(2)
        weights: Any = model.weights
        weights.encode = self._counted(0, weights.encode, lambda result: result.shape[1])
        weights.decode = self._counted(1, weights.decode, lambda result: len(result.logits))

    def take(self) -> tuple[np.ndarray, np.ndarray]:
        """Milliseconds and rows of (encoder, decoder)."""
        taken, self.ms, self.rows = (self.ms, self.rows), np.zeros(2), np.zeros(2)
        return taken

    def _counted(self, i: int, run: Callable[..., Any], rows: Callable[[Any], int]) -> Any:
        def counted(*args: Any, **options: Any) -> Any:
            start_s = time.process_time()
            result = run(*args, **options)
            self.ms[i] += 1000 * (time.process_time() - start_s)
            self.rows[i] += rows(result)
            return result

        return counted


def seconds_of(folder: Path, n_seconds: int) -> Iterator[np.ndarray]:
    """The track over and over, in blocks of a second."""
    track, rate_hz = soundfile.read(folder / "track.wav", dtype="float32")
    if rate_hz != RATE_HZ or track.ndim != 1:
        raise SystemExit(f"{folder}/track.wav: must be mono at {RATE_HZ} Hz")
    for second in range(n_seconds):
        yield track[np.arange(second * RATE_HZ, (second + 1) * RATE_HZ) % len(track)]


def timed(run: Callable[[], Any]) -> float:
    """Milliseconds of processor time."""
    start_s = time.process_time()
    run()
    return 1000 * (time.process_time() - start_s)


def flat(model: ReencodedModel, n_seconds: int) -> None:
    """An old stream beside one that begins anew every five minutes: the same seconds in turns, so
    that what the machine does meanwhile is the same for both."""
    work, process = Work(model), psutil.Process()
    old, new = model.stream(language=LANGUAGE), model.stream(language=LANGUAGE)
    costs_ms, rows = np.zeros((n_seconds, 2)), np.zeros((n_seconds, 2))
    memory_mb = []
    for i, block in enumerate(seconds_of(model.folder, n_seconds)):
        if i % EDGE_S == 0:
            new.reset()
            memory_mb.append(process.memory_info().rss / 1e6)
        for stream in (old, new) if i % 2 else (new, old):
            work.take()
            costs_ms[i, int(stream is new)] = timed(lambda s=stream, b=block: s.push(b))
            if stream is old:
                rows[i] = work.take()[1]
    memory_mb.append(process.memory_info().rss / 1e6)
    first, last = costs_ms[10:EDGE_S], costs_ms[-EDGE_S + 10 :]  # a new window is still short
    p95 = [np.percentile(part, 95, axis=0) for part in (first, last)]
    print(
        f"p95 compute for a second of sound: first 5 min {p95[0][0]:.1f} ms, last {p95[1][0]:.1f}"
    )
    print(f"  beside it a new stream: {p95[0][1]:.1f} and {p95[1][1]:.1f} ms; so the old one takes")
    print(f"  {p95[1][0] / p95[1][1]:.3f} times as long in the last five minutes")
    for name, part in (("first", rows[10:EDGE_S]), ("last", rows[-EDGE_S + 10 :])):
        mean, most = part.mean(0), np.percentile(part, 95, axis=0)
        print(f"  {name} 5 min, rows a second: encoder {mean[0]:.1f} (p95 {most[0]:.0f}),", end="")
        print(f" decoder {mean[1]:.1f} (p95 {most[1]:.0f})")
    print("  memory every 5 min, MB:", *(f"{mb:.0f}" for mb in memory_mb))


def stages_of(stream: Stream) -> ReencodedStages:
    stages = stream.stages
    assert isinstance(stages, ReencodedStages)
    return stages


def compared(model: ReencodedModel) -> Stream:
    """A stream that hears each unit, also where nobody speaks, as the baseline does."""
    return model.stream(language=LANGUAGE, delay="sure", vad="off")


def run_stream(model: ReencodedModel, blocks: list[np.ndarray], n_draft: int) -> list[int]:
    """The committed tokens of this product's stream."""
    stages = stages_of(compared(model))
    decoder, tokens = stages.decoder, []
    decides = ChosenPolicy(LocalAgreement(), 2)
    stages.loop = model.loop(decoder, decides, decoder.prompt, times=True, n_draft=n_draft)
    caption = stages.caption.push

    def note(committed: list[int], *args: Any, **options: Any) -> Any:
        tokens.extend(committed)
        return caption(committed, *args, **options)

    stages.caption.push = note  # type: ignore[method-assign]
    for block in blocks:
        stages.push(block)
    stages.finish(np.empty(0, np.float32))
    return tokens


def run_plain(model: ReencodedModel, blocks: list[np.ndarray]) -> list[int]:
    """Those of the baseline, behind the same log-mel."""
    stages, tokens = stages_of(compared(model)), []
    plain = PlainAgreement(model, stages.decoder)
    parts = [stages.window_rows.push(np.concatenate(blocks)), stages.window_rows.finish()]
    rows, unit_rows = np.concatenate([rows for rows, _ in parts]), rows_in(UNIT_MS)
    for at in range(0, len(rows), unit_rows):
        tokens += plain.push(rows[at : at + unit_rows])
    return tokens + plain.finish()


def against_plain(model: ReencodedModel, n_seconds: int, rounds: int) -> None:
    """What edgestream adds, one by one and in turns, and where the time goes."""
    work, blocks = Work(model), list(seconds_of(model.folder, n_seconds))
    can_slice = not model.weights.padded
    ways: dict[str, tuple[bool, Callable[[], list[int]]]] = {
        "plain, padded to 30 s": (True, lambda: run_plain(model, blocks)),
        "plain": (False, lambda: run_plain(model, blocks)),
        "committed tokens are given": (False, lambda: run_stream(model, blocks, 0)),
        "and the last hypothesis is a draft": (False, lambda: run_stream(model, blocks, N_DRAFT)),
        "the same, padded to 30 s": (True, lambda: run_stream(model, blocks, N_DRAFT)),
    }  # fmt: skip
    texts: dict[str, list[int]] = {}
    costs: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, (padded, run) in list(ways.items())[:: 1 if turn % 2 == 0 else -1]:
            if (padded and turn) or not (padded or can_slice):
                continue  # padded ones take too long to be run again
            model.weights.padded = padded
            work.take()
            total = timed(lambda n=name, r=run: texts.__setitem__(n, r()))
            ms, rows = work.take()
            costs[name].append(np.array([total, *ms, *rows]) / n_seconds)
    for name, found in costs.items():
        if found:
            total, encoder, decoder, *rows = np.median(found, axis=0)
            same = texts[name] == texts["plain, padded to 30 s"]
            print(
                f"{name}: {total:.1f} ms for a second of sound (encoder {encoder:.1f}, decoder"
                f" {decoder:.1f}; rows {rows[0]:.0f} and {rows[1]:.1f});"
                f" {len(texts[name])} tokens, {'equal' if same else 'DIFFERENT'}"
            )


def words(model: ReencodedModel) -> None:
    """Times of words against those that the synthesiser gave."""
    known = json.loads((model.folder / "words.json").read_text(encoding="utf-8"))
    n_seconds = int(known["length_s"])
    stream = model.stream(language=LANGUAGE)
    events = [e for block in seconds_of(model.folder, n_seconds) for e in stream.push(block)]
    found = [w for e in events + stream.finish() if isinstance(e, Final) for w in e.words]
    errors_ms = _errors_ms(found, known["words"])
    print(
        f"{len(errors_ms)} of {len(known['words'])} words found; their ends are off by"
        f" {np.median(errors_ms):.0f} ms in the median, {np.percentile(errors_ms, 90):.0f} ms at"
        " the 90th percentile"
    )


def _errors_ms(found: list[Word], known: list[list[Any]]) -> list[float]:
    """Of each known word (text, end in seconds) that was written, both texts aligned."""
    texts = [word.text for word in found], [text for text, _ in known]
    blocks = SequenceMatcher(None, *texts, autojunk=False).get_matching_blocks()
    return [
        abs(found[block.a + i].end_ms - 1000 * known[block.b + i][1])
        for block in blocks
        for i in range(block.size)
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("flat", "plain", "words"))
    parser.add_argument("model", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = edgestream.load(options.model)
    if not isinstance(model, ReencodedModel):
        raise SystemExit(f"{options.model}: is not of the re-encoded family")
    if options.what == "flat":
        flat(model, int(60 * options.minutes))
    elif options.what == "plain":
        against_plain(model, options.seconds, options.rounds)
    else:
        words(model)


if __name__ == "__main__":
    main()
