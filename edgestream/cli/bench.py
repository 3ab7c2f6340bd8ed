# SPDX-License-Identifier: Apache-2.0
"""`edgestream bench`: what this machine and this model really do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from edgestream.library.manifest.manifest import DEFAULT_COMMENTATOR, DEFAULT_MODEL, SYNTHETIC_MODEL

app = typer.Typer(no_args_is_help=True)
Listener = Annotated[str, typer.Option("-m", "--model", help="Which model: a name, or a folder.")]
Quick = Annotated[
    bool, typer.Option("--quick", help="In about a minute, by short samples of everything.")
]
Json = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]
Plot = Annotated[Path | None, typer.Option(help="Draw the figures into this PNG.")]


@app.callback()
def root() -> None:
    """Measure errors, delays, speed and memory on this machine.

    \b
      edgestream bench listen --quick          captions
      edgestream bench watch --quick           comments on pictures
      edgestream bench listen --json figures.json --plot figures.png
    """


@app.command()
def listen(
    model: Listener = DEFAULT_MODEL,
    delay: Annotated[
        float | None,
        typer.Option(
            help="Milliseconds after a word's end at which it is written, of models that take them."
        ),
    ] = None,
    speech: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of speech whose words are known (docs/benchmarks.md); may be repeated for"
            " synthetic-en.",
            show_default="what ships with edgestream",
        ),
    ] = None,
    quick: Quick = False,
    json_file: Json = None,
    plot: Plot = None,
) -> None:
    """Errors, delay, cost and memory of live captions."""
    from edgestream.bench import report
    from edgestream.bench.listen import measure as bench_listen
    from edgestream.bench.listen import people_report

    report.check_places(json_file, plot)
    plan = bench_listen.QUICK if quick else bench_listen.FULL
    figures = bench_listen.measure(model, delay, speech or [], plan)
    shown = people_report if "joined" in figures else report
    _give(figures, shown.print_table, json_file, shown.draw, plot)


@app.command()
def watch(
    model: Listener = DEFAULT_COMMENTATOR,
    clips: Annotated[
        Path | None,
        typer.Option(
            help="Folder of real video files and truth.json: what happens in them"
            " (docs/benchmarks.md).",
            show_default="none: only drawn scenes",
        ),
    ] = None,
    quick: Quick = False,
    json_file: Json = None,
    plot: Plot = None,
) -> None:
    """Speed, delay and memory of comments on pictures, and how many of them are right."""
    from edgestream.bench.report import check_places
    from edgestream.bench.watch import measure as bench_watch
    from edgestream.bench.watch import report

    check_places(json_file, plot)
    figures = bench_watch.measure(model, clips, quick=quick)
    _give(figures, report.print_table, json_file, report.draw, plot)


@app.command()
def decoder(
    model: Annotated[
        str, typer.Option("-m", "--model", help="Which model: a name, a folder, or a GGUF file.")
    ] = SYNTHETIC_MODEL,
    keys: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=1 << 16,
            help="Of a GGUF file: rows that a step sees, itself included; may be repeated.",
            show_default="16 to 2000",
        ),
    ] = None,
    quick: Quick = False,
    json_file: Json = None,
) -> None:
    """The streaming decoder beside llama.cpp's own: is it exact, and how fast is it?

    Of a GGUF file only the speed, while a stream's memory fills.
    """
    from edgestream.bench.decoder import measure as bench_decoder
    from edgestream.bench.report import check_places
    from edgestream.errors import UsageError

    check_places(json_file, None)
    if model.endswith(".gguf"):
        figures = bench_decoder.measure_file(Path(model), keys or [], quick=quick)
        return _give(figures, bench_decoder.print_young, json_file)
    if keys:
        raise UsageError("--keys is for a GGUF file; give one with --model FILE.gguf")
    _give(bench_decoder.measure(model, quick=quick), bench_decoder.print_tables, json_file)


@app.command()
def policy(
    model: Listener = SYNTHETIC_MODEL,
    speech: Annotated[
        Path | None,
        typer.Option(
            help="Folder of speech whose words are known (docs/benchmarks.md).",
            show_default="what ships with edgestream",
        ),
    ] = None,
    head: Annotated[
        Path | None,
        typer.Option(help="A trained policy's file.", show_default="the model's own, if any"),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Take so many sentences at most.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Six sentences.")] = False,
    json_file: Json = None,
    plot: Plot = None,
) -> None:
    """Word errors against delay, for each rule that decides when a word is written."""
    from edgestream.bench.policy import measure as bench_policy
    from edgestream.bench.policy import report
    from edgestream.bench.report import check_places

    check_places(json_file, plot)
    figures = bench_policy.measure(model, speech, head, limit=6 if quick else limit)
    _give(figures, report.print_table, json_file, report.draw, plot)


def _give(
    figures: dict[str, Any],
    print_table: Callable[[dict[str, Any]], None],
    json_file: Path | None,
    draw: Callable[[dict[str, Any], Path], None] | None = None,
    plot: Path | None = None,
) -> None:
    """Shows the figures, and writes them where they are wanted."""
    from edgestream.bench.report import write_json

    print_table(figures)
    if json_file:
        write_json(figures, json_file)
    if plot and draw:
        draw(figures, plot)
