# SPDX-License-Identifier: Apache-2.0
"""Captions of people: errors, latency, calm and cost, on recordings with known words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from edgestream.bench.listen.conditions import CONDITIONS, changed
from edgestream.bench.listen.probe import Latency, Probe, hear
from edgestream.scoring.clips import RATE_HZ, Clip, SpokenWord, padded, silence, spoken
from edgestream.scoring.words import Score, align
from edgestream.sources.block import Samples
from edgestream.speech.stream import Stream

PAUSE_MS = (700.0, 1200.0)  # between the sentences of one reader
SHORT_LINE_WORDS = 4  # a line of fewer cannot be read in peace
SEED = 7


@dataclass(slots=True)
class Tally:
    """All figures of some streams of speech together."""

    score: Score = field(default_factory=Score)
    by_voice: dict[str, Score] = field(default_factory=dict)
    latency: Latency = field(default_factory=Latency)
    final_words: int = 0
    words_too_many: int = 0
    erased: int = 0
    rewritten: int = 0
    lines: int = 0
    short_lines: int = 0
    heard_ms: float = 0.0
    cpu_ms: float = 0.0
    compute_ms: float = 0.0

    def add(self, voice: str, probe: Probe, said: list[SpokenWord]) -> None:
        """One stream that has ended, who spoke in it and what."""
        reader, reference = probe.reader, [word.text for word in said]
        for score in (self.score, self.by_voice.setdefault(voice, Score())):
            score.add(reference, reader.texts)
        self.words_too_many += sum(i is None for i, _ in align(reference, reader.texts))
        self.latency.add(said, probe)
        self.final_words += len(reader.words)
        self.erased += reader.erased
        self.rewritten += reader.rewritten
        self.lines += len(reader.line_words)
        self.short_lines += sum(n < SHORT_LINE_WORDS for n in reader.line_words)
        self.heard_ms += probe.heard_ms
        self.cpu_ms += probe.cpu_ms
        self.compute_ms += probe.compute_ms

    def figures(self) -> dict[str, Any]:
        """By the names that the JSON has."""
        latency, words = self.latency, max(self.final_words, 1)
        return {
            "words": self.score.words,
            "wer": self.score.wer,
            "wer_by_voice": {voice: score.wer for voice, score in self.by_voice.items()},
            "words_too_many": self.words_too_many,
            "timed_words": len(latency.ends_ms),
            **percentiles("committed", latency.committed_after_ms),
            **percentiles("committed_with_compute", latency.committed_done_after_ms),
            **percentiles("shown", latency.shown_after_ms),
            **percentiles("shown_with_compute", latency.shown_done_after_ms),
            "erasure": self.erased / words,
            "rewriting": self.rewritten / words,
            "lines": self.lines,
            "short_lines": self.short_lines,
            "cpu_s_per_s": self.cpu_ms / max(self.heard_ms, 1e-9),
            "rtf": self.compute_ms / max(self.heard_ms, 1e-9),
            "heard_s": self.heard_ms / 1000,
        }


def percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p95 in milliseconds; not a number where no word was right and timed."""
    given = values or [math.nan]
    return {f"{name}_p{p}_ms": float(np.percentile(given, p)) for p in (50, 90, 95)}


def single_clips(stream: Stream, clips: Iterable[Clip]) -> Tally:
    """Each clip a stream of its own that ends with its last sample."""
    tally = Tally()
    for clip in clips:
        tally.add(clip.voice, *hear(stream, [(clip.samples, spoken(clip, 0))]))
    return tally


def busiest_reader(clips: list[Clip]) -> list[Clip]:
    """The clips of whoever reads most of them."""
    ((voice, _),) = Counter(clip.voice for clip in clips).most_common(1)
    return [clip for clip in clips if clip.voice == voice]


def joined_clips(clips: list[Clip], minutes: float) -> Iterator[tuple[Samples, list[SpokenWord]]]:
    """One reader's clips behind each other, again and again until `minutes` are full."""
    rng, heard_samples = Random(SEED), 0
    while True:
        for clip in clips:
            if heard_samples >= minutes * 60 * RATE_HZ:
                return
            piece = padded(clip.samples, rng.uniform(*PAUSE_MS))
            yield piece, spoken(clip, 1000 * heard_samples / RATE_HZ)
            heard_samples += len(piece)


def joined(stream: Stream, clips: list[Clip], minutes: float, single: Tally) -> dict[str, Any]:
    """One reader in one stream: errors against the `single` clips, and whether cost stays."""
    reader = busiest_reader(clips)
    voice = reader[0].voice
    tally, (probe, said) = Tally(), hear(stream, joined_clips(reader, minutes))
    tally.add(voice, probe, said)
    alone = single.by_voice[voice]
    cost_ms = second_cpu_ms(probe)
    steps_ms = probe.loop.step_cpu_ms if probe.loop else []
    fifth = max(1, len(cost_ms) // 5)
    return {
        "joined": tally.figures(),
        "joined_minutes": probe.heard_ms / 60_000,
        "joined_wer_over_single": tally.score.wer / max(alone.wer, 1e-9),
        "joined_single_wer": alone.wer,
        **percentiles("second_cpu", cost_ms),
        **(percentiles("step_cpu", steps_ms) if steps_ms else {}),
        "second_cpu_p95_first_fifth_ms": float(np.percentile(cost_ms[:fifth], 95)),
        "second_cpu_p95_last_fifth_ms": float(np.percentile(cost_ms[-fifth:], 95)),
        "series": _series(tally.latency, cost_ms),
    }


def second_cpu_ms(probe: Probe) -> list[float]:
    """Processor time of each second of the stream; the last, begun one and the end left out."""
    blocks_ms = probe.block_cpu_ms[:-1]
    per_second = max(1, round(1000 * len(blocks_ms) / max(probe.heard_ms, 1e-9)))
    whole = len(blocks_ms) // per_second * per_second
    if not whole:
        return [sum(blocks_ms)]
    sums = np.reshape(blocks_ms[:whole], (-1, per_second)).sum(axis=1)
    return [float(ms) for ms in sums]


def silence_cpu_s_per_s(stream: Stream, seconds: float) -> float:
    """Processor seconds for a second of digital silence."""
    probe, _ = hear(stream, [(silence(1000 * seconds), [])])
    return probe.cpu_ms / probe.heard_ms


def conditions(stream: Stream, clips: list[Clip]) -> list[dict[str, Any]]:
    """The same clips made worse: errors of each condition."""
    rows = []
    for condition in CONDITIONS:
        tally = single_clips(stream, changed(clips, condition))
        row = {"condition": condition, "wer": tally.score.wer, "words": tally.score.words}
        rows.append(row | {"words_too_many": tally.words_too_many})
    return rows


def _series(latency: Latency, cost_ms: list[float]) -> dict[str, list[float]]:
    """What the plot shows, over minutes of the joined stream."""
    minutes = [cost_ms[start : start + 60] for start in range(0, len(cost_ms), 60)]
    return {
        "word_minute": [round(end_ms / 60_000, 4) for end_ms in latency.ends_ms],
        "committed_after_ms": [round(ms, 1) for ms in latency.committed_after_ms],
        "shown_after_ms": [round(ms, 1) for ms in latency.shown_after_ms],
        "cost_minute": [float(i) for i in range(len(minutes))],
        "second_cpu_p50_ms": [float(np.percentile(part, 50)) for part in minutes],
        "second_cpu_p95_ms": [float(np.percentile(part, 95)) for part in minutes],
    }
