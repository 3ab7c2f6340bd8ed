# SPDX-License-Identifier: Apache-2.0
"""`edgestream bench`: what this machine and this model really do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgestream.library.manifest.concatenated import (
    DEFAULT_COMMENTATOR,
    DEFAULT_MODEL,
    SYNTHETIC_MODEL,
)

app = typer.Typer(no_args_is_help=True)


@app.callback()
def root() -> None:
    """Measure edgestream on this machine."""


@app.command()
def listen(
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder.")] = DEFAULT_MODEL,
    delay: Annotated[
        float | None, typer.Option(help="Milliseconds after a word's end at which it is written.")
    ] = None,
    speech: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of speech made by speak.py or word_ends.py; may be repeated for"
            " synthetic-en. Default: bundled."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Under a minute, by short samples of everything.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw latency and memory over time into this PNG.")
    ] = None,
) -> None:
    """Errors, latency, cost and memory of live captions: of people, or of synthetic voices."""
    from edgestream.bench import report
    from edgestream.bench.listen import measure as bench_listen
    from edgestream.bench.listen import people_report

    report.check_places(json_file, plot)
    plan = bench_listen.QUICK if quick else bench_listen.FULL
    figures = bench_listen.measure(model, delay, speech or [], plan)
    shown = people_report if "joined" in figures else report
    shown.print_table(figures)
    if json_file:
        report.write_json(figures, json_file)
    if plot:
        shown.draw(figures, plot)


@app.command()
def decoder(
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder.")] = SYNTHETIC_MODEL,
    quick: Annotated[bool, typer.Option("--quick", help="Well under a minute.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
) -> None:
    """The streaming decoder beside llama_decode: exactness and speed."""
    from edgestream.bench.decoder import measure as bench_decoder
    from edgestream.bench.report import check_places, write_json

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
    from edgestream.bench.policy import measure as bench_policy
    from edgestream.bench.policy import report as policy_report
    from edgestream.bench.report import check_places, write_json

    check_places(json_file, plot)
    figures = bench_policy.measure(model, speech, head, limit=6 if quick else limit)
    policy_report.print_table(figures)
    if json_file:
        write_json(figures, json_file)
    if plot:
        policy_report.draw(figures, plot)


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
    from edgestream.bench.report import check_places, write_json
    from edgestream.bench.watch import measure as bench_watch
    from edgestream.bench.watch import report as watch_report

    check_places(json_file, plot)
    figures = bench_watch.measure(model, quick=quick)
    watch_report.print_table(figures)
    if json_file:
        write_json(figures, json_file)
    if plot:
        watch_report.draw(figures, plot)
