# SPDX-License-Identifier: Apache-2.0
"""`edgestream bench`: what this machine and this model really do."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgestream.config import DEFAULT_COMMENTATOR, DEFAULT_MODEL, SYNTHETIC_MODEL

if TYPE_CHECKING:
    from edgestream.bench_run import LongRun
    from edgestream.bench_speech import Clip
    from edgestream.session import Stream

app = typer.Typer(no_args_is_help=True)

SERIES_STEPS = 125  # step times are plotted by ten seconds


@app.callback()
def root() -> None:
    """Measure edgestream on this machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    startups: int
    stream_minutes: float
    sound_minutes: float  # of each kind


FULL = Plan(startups=5, stream_minutes=30.5, sound_minutes=60.0)
QUICK = Plan(startups=3, stream_minutes=2.5, sound_minutes=1.0)


@app.command()
def listen(
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder.")] = DEFAULT_MODEL,
    delay: Annotated[
        float | None, typer.Option(help="Milliseconds after a word's end at which it is written.")
    ] = None,
    speech: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of speech made by speak.py; may be repeated. Default: bundled."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Half a minute instead of half an hour.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw latency and memory over time into this PNG.")
    ] = None,
) -> None:
    """Speed, latency, memory and errors of live captions."""
    from edgestream.bench_report import check_places, draw, print_table, write_json

    check_places(json_file, plot)
    figures = measure(model, delay, speech or [], QUICK if quick else FULL)
    print_table(figures)
    if json_file:
        write_json(figures, json_file)
    if plot:
        draw(figures, plot)


@app.command()
def decoder(
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder.")] = SYNTHETIC_MODEL,
    quick: Annotated[bool, typer.Option("--quick", help="Well under a minute.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
) -> None:
    """The streaming decoder beside llama_decode: exactness and speed."""
    from edgestream import bench_decoder
    from edgestream.bench_report import check_places, write_json

    check_places(json_file, None)
    figures = bench_decoder.measure(model, quick=quick)
    bench_decoder.print_tables(figures)
    if json_file:
        write_json(figures, json_file)


@app.command()
def policy(
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder.")] = SYNTHETIC_MODEL,
    speech: Annotated[
        Path | None, typer.Option(help="Folder of speech made by speak.py. Default: bundled.")
    ] = None,
    head: Annotated[
        Path | None, typer.Option(help="A trained head. Default: the one beside the model, if any.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Take so many sentences at most.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Six sentences.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw errors over latency into this PNG.")
    ] = None,
) -> None:
    """Word errors against latency for every policy that captions can use."""
    from edgestream import bench_policy, bench_policy_report
    from edgestream.bench_report import check_places, write_json

    check_places(json_file, plot)
    figures = bench_policy.measure(model, speech, head, limit=6 if quick else limit)
    bench_policy_report.print_table(figures)
    if json_file:
        write_json(figures, json_file)
    if plot:
        bench_policy_report.draw(figures, plot)


@app.command()
def watch(
    model: Annotated[
        str, typer.Option("-m", "--model", help="Name or folder.")
    ] = DEFAULT_COMMENTATOR,
    quick: Annotated[bool, typer.Option("--quick", help="Well under a minute.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw latency and memory over time into this PNG.")
    ] = None,
) -> None:
    """Speed, latency, memory and right and wrong comments of live commentary."""
    from edgestream import bench_watch, bench_watch_report
    from edgestream.bench_report import check_places, write_json

    check_places(json_file, plot)
    figures = bench_watch.measure(model, quick=quick)
    bench_watch_report.print_table(figures)
    if json_file:
        write_json(figures, json_file)
    if plot:
        bench_watch_report.draw(figures, plot)


def measure(model: str, delay_ms: float | None, folders: list[Path], plan: Plan) -> dict[str, Any]:
    """All figures, by the names that the JSON has.

    Raises EdgestreamError if the model or the speech cannot be used.
    """
    from edgestream.bench_machine import describe, one_core
    from edgestream.bench_process import startup_s
    from edgestream.bench_speech import BUNDLED, read_clips
    from edgestream.model import load

    sets = {folder.name: read_clips(folder) for folder in folders or [BUNDLED]}
    clips = next(iter(sets.values()))
    loaded = load(model)
    figures = describe(loaded)
    _say("starting edgestream")
    started_s = startup_s(loaded.folder, plan.startups)
    figures |= {"startup_s": _middle(started_s), "startup_runs_s": started_s}
    with one_core() as pinned:
        stream = loaded.stream(delay_ms=delay_ms)
        figures |= {"one_core": pinned, "delay_ms": stream.delay_ms}
        figures |= _measure_memory(loaded.folder, stream.delay_ms, clips, plan)
        figures |= _measure_stream(stream, clips, plan)
        figures |= _measure_words(loaded.stream(delay_ms=delay_ms), sets)
        figures |= _measure_sounds(loaded.stream(delay_ms=delay_ms), plan)
    return figures | {"not_measured": _not_measured(figures, plan)}


def _measure_memory(folder: Path, delay_ms: float, clips: list[Clip], plan: Plan) -> dict[str, Any]:
    from edgestream.bench_process import Memory, feed
    from edgestream.bench_speech import long_stream

    _say(f"memory of edgestream listen over {plan.stream_minutes:g} minutes of speech")
    pieces = (piece for piece, _ in long_stream(clips, plan.stream_minutes))
    memory = Memory(list(feed(folder, delay_ms, pieces)))
    return {
        "rss_mb": memory.most_mb(),
        "rss_1min_mb": memory.at(1),
        "rss_30min_mb": memory.at(30),
        "rss_slope_mb_per_hour": memory.slope_mb_per_hour(),
        "memory_series": {"minute": memory.minutes, "rss_mb": memory.rss_mb},
    }


def _measure_stream(stream: Stream, clips: list[Clip], plan: Plan) -> dict[str, Any]:
    from edgestream.bench_run import run_long, settle

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
        **_percentiles("emission", run.latency.heard_after_ms),
        **_percentiles("emission_with_compute", run.latency.shown_after_ms),
        "wer_stream": run.score.wer,
        "wer_stream_words": run.score.words,
        "series": _series(run),
    }


def _measure_words(stream: Stream, sets: dict[str, list[Clip]]) -> dict[str, Any]:
    from edgestream.bench_run import score_clips, total

    speech = []
    for name, clips in sets.items():
        _say(f"{len(clips)} single sentences of {name}")
        scores = score_clips(stream, clips)
        whole = total(scores.values())
        voices = {voice: score.wer for voice, score in sorted(scores.items())}
        speech.append({"set": name, "words": whole.words, "wer": whole.wer, "wer_by_voice": voices})
    return {"wer": speech[0]["wer"], "wer_words": speech[0]["words"], "speech": speech}


def _measure_sounds(stream: Stream, plan: Plan) -> dict[str, Any]:
    from edgestream.bench_run import count_words
    from edgestream.bench_sounds import KINDS

    heard: list[dict[str, Any]] = []
    for kind in KINDS:
        _say(f"{plan.sound_minutes:g} minutes of {kind}")
        n_words = count_words(stream, kind, plan.sound_minutes)
        heard.append({"kind": kind, "minutes": plan.sound_minutes, "words": n_words})
    worst = max(row["words"] for row in heard) * 60 / plan.sound_minutes
    return {"nonspeech_words_per_hour": worst, "nonspeech": heard}


def _percentiles(name: str, values: list[float]) -> dict[str, float]:
    """Not a number where there is nothing, as for the latency of words if none was right."""
    import numpy as np

    values = values or [math.nan]
    return {f"{name}_p{p}_ms": float(np.percentile(values, p)) for p in (50, 95, 99)}


def _series(run: LongRun) -> dict[str, list[float]]:
    """What the plot shows, over minutes of the stream."""
    import numpy as np

    steps_ms = run.probe.loop.step_ms
    groups = [steps_ms[i : i + SERIES_STEPS] for i in range(0, len(steps_ms), SERIES_STEPS)]
    step_minutes = run.probe.heard_ms / len(steps_ms) / 60_000
    return {
        "word_minute": [round(end_ms / 60_000, 4) for end_ms in run.latency.ends_ms],
        "emission_with_compute_ms": [round(ms, 1) for ms in run.latency.shown_after_ms],
        "step_minute": [i * SERIES_STEPS * step_minutes for i in range(len(groups))],
        "step_p50_ms": [float(np.percentile(group, 50)) for group in groups],
        "step_p99_ms": [float(np.percentile(group, 99)) for group in groups],
    }


def _not_measured(figures: dict[str, Any], plan: Plan) -> list[str]:
    said = ["Speech is synthetic; people, rooms and microphones were not measured"]
    if plan is QUICK:
        said.append("Quick: short samples of everything; an hour of each sound takes --quick off")
    if figures["rss_mb"] is None:
        said.append("Memory is measured on Linux only")
    load = figures["machine"]["load_average_1min"]
    if load and load > 1:
        said.append(f"The machine was busy with other work (load {load:.1f}): times are too long")
    return said


def _middle(values: list[float]) -> float | None:
    import statistics

    return statistics.median(values) if values else None


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
