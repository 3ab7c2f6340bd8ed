# SPDX-License-Identifier: Apache-2.0
"""Quality and latency of the policies on a caption model's own task."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from edgestream.bench.machine import describe
from edgestream.bench.policy.latency import (
    average_lagging,
    length_adaptive_average_lagging,
    normalised_erasure,
)
from edgestream.bench.policy.run import EncodedClip, PolicyRun, WrittenWord, encode
from edgestream.policy import (
    AnyOf,
    ConfidenceThreshold,
    EntropyThreshold,
    Head,
    LocalAgreement,
    Policy,
    WaitK,
    read_head,
)
from edgestream.scoring.clips import BUNDLED, read_clips
from edgestream.scoring.words import Score, align
from edgestream.speech.concatenated.model import Model, load

FIXED = "fixed delay"
SEED = 5
HEAD_WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
LATENCIES = {"laal": "laal_ms", "shown": "shown_after_ms"}
HEAD_FILE = "policy.toml"  # beside a model that ships with one


@dataclass(frozen=True, slots=True)
class Trial:
    """A policy in the loop that it is tried in; `setting` is what the table calls it."""

    policy: str
    setting: str
    decides: Policy
    delay_frames: int
    deferrals: int


def measure(
    model: str, speech: Path | None, head: Path | None, *, limit: int | None
) -> dict[str, Any]:
    """All figures, by the names that the JSON has.

    Raises EdgestreamError if the model, the speech or the head cannot be used.
    """
    loaded = load(model)
    beside = loaded.folder / HEAD_FILE
    head = beside if head is None and beside.exists() else head
    trials = _trials(loaded, read_head(head) if head else None)
    clips = read_clips(speech or BUNDLED)
    clips = Random(SEED).sample(clips, min(limit or len(clips), len(clips)))
    encoded = encode(loaded, clips)
    rows = []
    for trial in trials:
        print(f"bench: {trial.policy}, {trial.setting}", file=sys.stderr, flush=True)
        rows.append(_try(loaded, trial, encoded))
    for row in rows:
        for name in ("laal", "shown"):
            row[f"fixed_wer_at_{name}"] = fixed_wer_at(rows, LATENCIES[name], row)
    about = {"speech": (speech or BUNDLED).name, "sentences": len(clips)}
    about["words"] = sum(len(clip.spoken) for clip in encoded)
    return describe(loaded) | about | {"policies": rows}


def _trials(model: Model, head: Head | None) -> list[Trial]:
    first, last = model.manifest.policy.min_delay_frames, model.manifest.policy.max_delay_frames
    step_ms = model.manifest.decoder.step_ms
    trials = [
        Trial(FIXED, f"{delay * step_ms} ms", WaitK(0), delay, 0)
        for delay in range(first, last + 1)
    ]
    if first + 1 <= last:
        trials += _thresholds(first, 1, f"from {first * step_ms} ms")
    if first + 2 <= last:
        agree = AnyOf(LocalAgreement(), ConfidenceThreshold(0, 1.0, 2))  # the third run decides
        trials.append(Trial("agreement", f"2 runs from {first * step_ms} ms", agree, first, 2))
        start = f"from {(first + 1) * step_ms} ms"
        for p in (0.7, 0.9):
            sure = ConfidenceThreshold(0, p, 1)
            trials.append(Trial("confidence", f"p ≥ {p:g}, {start}", sure, first + 1, 1))
    hold = ConfidenceThreshold(0, 0.7, 1)
    trials.append(Trial("held with PAD", f"p ≥ 0.7, {first * step_ms} ms", hold, first, 0))
    for weight in HEAD_WEIGHTS if head else ():
        assert head is not None
        if head.min_latency_weight <= weight <= head.max_latency_weight:
            decides = head.policy(weight)
            trials.append(
                Trial("head", f"weight {weight:g}", decides, head.delay_frames, head.deferrals)
            )
    return trials


def _thresholds(delay: int, deferrals: int, start: str) -> list[Trial]:
    policies: list[tuple[str, str, Policy]] = [
        ("confidence", f"p ≥ {p:g}", ConfidenceThreshold(0, p, deferrals))
        for p in (0.6, 0.8, 0.9, 0.95)
    ]
    policies += [
        ("confidence", "p ≥ 0.95, 0.8 writing", ConfidenceThreshold(0, 0.95, deferrals, stay=0.8))
    ]
    policies += [
        ("entropy", f"≤ {nats:g} nats", EntropyThreshold(0, nats, deferrals))
        for nats in (0.3, 0.6, 1.2)
    ]
    return [
        Trial(name, f"{setting}, {start}", policy, delay, deferrals)
        for name, setting, policy in policies
    ]


@dataclass(slots=True)
class Tally:
    """Figures of one trial, added up over clips."""

    score: Score = field(default_factory=Score)
    al_ms: list[float] = field(default_factory=list)
    laal_ms: list[float] = field(default_factory=list)
    ne: list[float] = field(default_factory=list)
    shown_after_ms: list[float] = field(default_factory=list)  # the end of each right word
    n_deferred: int = 0
    n_words: int = 0

    def add(self, clip: EncodedClip, words: Sequence[WrittenWord], step_ms: int) -> None:
        """Takes what was written of one clip."""
        reference = [word.text for word in clip.spoken]
        written = [word.text for word in words]
        self.score.add(reference, written)
        read_ms = [(word.shown_step + 1.0) * step_ms for word in words]
        self.al_ms.append(average_lagging(read_ms, clip.length_ms, len(reference)))
        self.laal_ms.append(
            length_adaptive_average_lagging(read_ms, clip.length_ms, len(reference))
        )
        self.ne.append(normalised_erasure(list(accumulate(([w] for w in written), initial=[]))))
        self.n_deferred += sum(word.waited > 0 for word in words)
        self.n_words += len(words)
        for i, j in align(reference, written):
            if i is not None and j is not None and reference[i] == written[j]:
                end_ms = clip.spoken[i].end_ms
                if end_ms is not None:
                    self.shown_after_ms.append(read_ms[j] - end_ms)


def _try(model: Model, trial: Trial, clips: list[EncodedClip]) -> dict[str, Any]:
    run = PolicyRun(model, trial.decides, trial.delay_frames, trial.deferrals)
    tally = Tally()
    for clip in clips:
        tally.add(clip, run.decode(clip), model.manifest.decoder.step_ms)
    return {
        "policy": trial.policy,
        "setting": trial.setting,
        "delay_frames": trial.delay_frames,
        "deferrals": trial.deferrals,
        "wer": tally.score.wer,
        "errors": tally.score.errors,
        "al_ms": float(np.nanmean(tally.al_ms)),
        "laal_ms": float(np.nanmean(tally.laal_ms)),
        "ne": float(np.nanmean(tally.ne)),
        "shown_after_ms": float(np.mean(tally.shown_after_ms)),
        "shown_after_p95_ms": float(np.percentile(tally.shown_after_ms, 95)),
        "deferred": tally.n_deferred / max(tally.n_words, 1),
    }


def fixed_wer_at(rows: Sequence[dict[str, Any]], latency: str, row: dict[str, Any]) -> float | None:
    """Word errors of a fixed delay at the `latency` of a row, on the lines between measured ones.

    Beyond the longest it is that one's; None before the shortest, where no fixed delay reaches.
    """
    fixed = sorted((r[latency], r["wer"]) for r in rows if r["policy"] == FIXED)
    if not fixed or row[latency] < fixed[0][0]:
        return None
    return float(np.interp(row[latency], [ms for ms, _ in fixed], [wer for _, wer in fixed]))
