# SPDX-License-Identifier: Apache-2.0
"""`edgestream bench listen`: what is measured, on people or on synthetic voices."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgestream.errors import UsageError
from edgestream.library.manifest.manifest import SYNTHETIC_MODEL

if TYPE_CHECKING:
    from edgestream.bench.listen.probe import LongRun
    from edgestream.scoring.clips import Clip
    from edgestream.sources.block import Samples
    from edgestream.speech.concatenated.model import Model
    from edgestream.speech.reencoded.model import ReencodedModel
    from edgestream.speech.stream import Stream

    Listener = Model | ReencodedModel

SERIES_STEPS = 125  # step times are plotted by ten seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    startups: int
    stream_minutes: float
    sound_minutes: float  # of each kind
    joined_minutes: float  # of people
    clips: int | None = None  # of people, at most
    conditions: bool = True


FULL = Plan(startups=5, stream_minutes=30.5, sound_minutes=60.0, joined_minutes=15.0)
QUICK = Plan(
    startups=3, stream_minutes=2.5, sound_minutes=1.0, joined_minutes=1.5, clips=6, conditions=False
)
# Of models that hear people a second of sound takes twenty times as long to compute.
QUICK_PEOPLE_SHARE = 0.2


def measure(model: str, delay_ms: float | None, folders: list[Path], plan: Plan) -> dict[str, Any]:
    """All figures, by the names that the JSON has.

    Raises EdgestreamError if the model or the speech cannot be used.
    """
    from edgestream.bench.machine import describe, one_core
    from edgestream.bench.process import startup_s
    from edgestream.scoring.clips import BUNDLED, PEOPLE, read_clips
    from edgestream.speech.listen import load

    loaded = load(model)
    hears_people = loaded.folder.name != SYNTHETIC_MODEL
    bundled = PEOPLE if hears_people else BUNDLED
    sets = {folder.name: read_clips(folder) for folder in folders or [bundled]}
    stream = open_stream(loaded, delay_ms)
    figures = describe(loaded)
    _say("starting edgestream")
    started_s = startup_s(loaded.folder, plan.startups)
    figures |= {"startup_s": _middle(started_s), "startup_runs_s": started_s}
    with one_core() as pinned:
        figures |= {"one_core": pinned, "delay_ms": stream.delay_ms}
        measured = _of_people if hears_people else _of_synthetic_voices
        figures |= measured(loaded, delay_ms, sets, plan)
    return figures | {"not_measured": _not_measured(figures, plan)}


def open_stream(model: Listener, delay_ms: float | None) -> Stream:
    """A stream with the model's own delay, or with the one that is given.

    Raises UsageError if its family does not take one.
    """
    if delay_ms is None:
        return model.stream()
    if "delay_ms" not in model.STREAM_OPTIONS:
        raise UsageError(f"{model.folder.name}: takes no delay in milliseconds; leave it out")
    return model.stream(delay_ms=delay_ms)  # type: ignore[call-arg]


def _of_synthetic_voices(
    model: Listener, delay_ms: float | None, sets: dict[str, list[Clip]], plan: Plan
) -> dict[str, Any]:
    from edgestream.scoring.clips import long_stream

    clips = next(iter(sets.values()))
    stream = open_stream(model, delay_ms)
    pieces = (piece for piece, _ in long_stream(clips, plan.stream_minutes))
    figures = _measure_memory(model.folder, stream.delay_ms, pieces, plan.stream_minutes)
    figures |= _measure_stream(stream, clips, plan)
    figures |= _measure_words(open_stream(model, delay_ms), sets)
    return figures | _measure_sounds(open_stream(model, delay_ms), plan.sound_minutes)


def _of_people(
    model: Listener, delay_ms: float | None, sets: dict[str, list[Clip]], plan: Plan
) -> dict[str, Any]:
    from edgestream.bench.listen import people
    from edgestream.bench.listen.probe import settle

    (name, clips), *_ = sets.items()
    share = 1.0 if plan.conditions else QUICK_PEOPLE_SHARE
    few, minutes = _spread(clips, plan.clips), plan.stream_minutes * share
    pieces = (piece for piece, _ in people.joined_clips(clips, minutes))
    figures: dict[str, Any] = {"speech": name}
    figures |= _measure_memory(model.folder, delay_ms, pieces, minutes)
    stream = open_stream(model, delay_ms)
    settle(stream)
    _say(f"{len(few)} single clips of {name}")
    single = people.single_clips(stream, few)
    figures["single"] = single.figures()
    _say(f"one reader for {plan.joined_minutes:g} minutes")
    figures |= people.joined(stream, few, plan.joined_minutes, single)
    _say("silence")
    figures["silence_cpu_s_per_s"] = people.silence_cpu_s_per_s(stream, 60 * share)
    figures |= _measure_sounds(stream, plan.sound_minutes * share)
    if plan.conditions:
        _say("noise, a room, a telephone, quiet and clipped speech")
        figures["conditions"] = people.conditions(stream, clips)
    return figures


def _spread(clips: list[Clip], n: int | None) -> list[Clip]:
    """So many at most, from all over the list."""
    return clips if n is None else clips[:: max(1, -(-len(clips) // n))]


def _measure_memory(
    folder: Path, delay_ms: float | None, pieces: Iterable[Samples], minutes: float
) -> dict[str, Any]:
    from edgestream.bench.process import Memory, feed

    _say(f"memory of edgestream listen over {minutes:g} minutes of speech")
    memory = Memory(list(feed(folder, delay_ms, pieces)))
    return {
        "rss_mb": memory.most_mb(),
        "rss_1min_mb": memory.at(1),
        "rss_30min_mb": memory.at(30),
        "rss_slope_mb_per_hour": memory.slope_mb_per_hour(),
        "memory_series": {"minute": memory.minutes, "rss_mb": memory.rss_mb},
    }


def _measure_stream(stream: Stream, clips: list[Clip], plan: Plan) -> dict[str, Any]:
    from edgestream.bench.listen.probe import run_long, settle

    _say(f"one stream of {plan.stream_minutes:g} minutes of speech")
    settle(stream)
    run = run_long(stream, clips, plan.stream_minutes)
    probe = run.probe
    steps = _percentiles("step", run.steps_ms()) | _percentiles("step_cpu", run.steps_cpu_ms())
    return {
        "stream_minutes": probe.heard_ms / 60_000,
        "rtf": probe.compute_ms / probe.heard_ms,
        "rtf_cpu": probe.cpu_ms / probe.heard_ms,
        **steps,
        "step_p99_over_p50": steps["step_p99_ms"] / steps["step_p50_ms"],
        "step_cpu_p99_over_p50": steps["step_cpu_p99_ms"] / steps["step_cpu_p50_ms"],
        "emission_words": len(run.latency.ends_ms),
        **_percentiles("emission", run.latency.shown_after_ms),
        **_percentiles("emission_with_compute", run.latency.shown_done_after_ms),
        "wer_stream": run.score.wer,
        "wer_stream_words": run.score.words,
        "series": _series(run),
    }


def _measure_words(stream: Stream, sets: dict[str, list[Clip]]) -> dict[str, Any]:
    from edgestream.scoring.captioned import score_clips, total

    speech = []
    for name, clips in sets.items():
        _say(f"{len(clips)} single sentences of {name}")
        scores = score_clips(stream, clips)
        whole = total(scores.values())
        voices = {voice: score.wer for voice, score in sorted(scores.items())}
        speech.append({"set": name, "words": whole.words, "wer": whole.wer, "wer_by_voice": voices})
    return {"wer": speech[0]["wer"], "wer_words": speech[0]["words"], "speech": speech}


def _measure_sounds(stream: Stream, minutes: float) -> dict[str, Any]:
    from edgestream.bench.listen.probe import count_words
    from edgestream.bench.listen.sounds import KINDS, sound

    heard: list[dict[str, Any]] = []
    for kind in KINDS:
        _say(f"{minutes:g} minutes of {kind}")
        n_words = count_words(stream, sound(kind, minutes))
        heard.append({"kind": kind, "minutes": minutes, "words": n_words})
    worst = max(row["words"] for row in heard) * 60 / minutes
    return {"nonspeech_words_per_hour": worst, "nonspeech": heard}


def _percentiles(name: str, values: list[float]) -> dict[str, float]:
    """Not a number where there is nothing, as for the latency of words if none was right."""
    import numpy as np

    values = values or [math.nan]
    return {f"{name}_p{p}_ms": float(np.percentile(values, p)) for p in (50, 95, 99)}


def _series(run: LongRun) -> dict[str, list[float]]:
    """What the plot shows, over minutes of the stream."""
    import numpy as np

    steps_ms = run.probe.loop.step_ms if run.probe.loop else []
    groups = [steps_ms[i : i + SERIES_STEPS] for i in range(0, len(steps_ms), SERIES_STEPS)]
    step_minutes = run.probe.heard_ms / len(steps_ms) / 60_000
    return {
        "word_minute": [round(end_ms / 60_000, 4) for end_ms in run.latency.ends_ms],
        "emission_with_compute_ms": [round(ms, 1) for ms in run.latency.shown_done_after_ms],
        "step_minute": [i * SERIES_STEPS * step_minutes for i in range(len(groups))],
        "step_p50_ms": [float(np.percentile(group, 50)) for group in groups],
        "step_p99_ms": [float(np.percentile(group, 99)) for group in groups],
    }


def _not_measured(figures: dict[str, Any], plan: Plan) -> list[str]:
    from edgestream.bench.machine import of_the_machine

    if "joined" in figures:
        said = ["People read or speak alone, into good microphones; two at once were not measured"]
        if not plan.conditions:
            said.append("Speech in noise and rooms is measured without --quick")
    else:
        said = ["Speech is synthetic; people, rooms and microphones were not measured"]
    if plan is QUICK:
        said.append("Quick: short samples of everything; an hour of each sound takes --quick off")
    return said + of_the_machine(figures)


def _middle(values: list[float]) -> float | None:
    import statistics

    return statistics.median(values) if values else None


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
