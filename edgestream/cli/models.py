# SPDX-License-Identifier: Apache-2.0
"""`edgestream models`: what is here, what can be had, and how it comes and goes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from edgestream.cli.bars import progress_bar
from edgestream.errors import ModelError, UsageError
from edgestream.system.process import tell

if TYPE_CHECKING:
    from pathlib import Path

    from edgestream.hub.fit import Fit

app = typer.Typer(no_args_is_help=True, help="List, fetch, verify and remove models.")
Name = Annotated[str, typer.Argument(help="owner/name on a hub, or a name of the list.")]
Offline = Annotated[bool, typer.Option("--offline", help="Do not use the network.")]
PIPE_COLUMNS = 200
MANY_LANGUAGES = 4  # too many for a cell


@app.command(name="list")
def list_models() -> None:
    """Models that are here and models of the catalogue."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from edgestream.library import folders

    table = Table("name", "size", "family", "languages", "licence", "fits", "state", box=None)
    for name, (folder, state) in sorted(folders.listed().items()):
        table.add_row(*map(Text, (name, *_row(folder, state))))
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    console.print(table)


@app.command()
def info(
    name: Annotated[
        str, typer.Argument(help="owner/name on a hub, a name of the list, or a GGUF file.")
    ],
    offline: Offline = False,
    window: Annotated[
        int | None, typer.Option(help="Of a GGUF file that reads along: rows (tokens) of text.")
    ] = None,
) -> None:
    """What a model is, and whether it fits this machine; asks the hub if it is not here."""
    if name.lower().endswith(".gguf"):
        return _file_info(name, window)
    if window is not None:
        raise UsageError("--window is of a GGUF file (FILE.gguf); other models have their own")
    from edgestream.hub.about import about

    model = about(name, offline=offline, tell=tell)
    lines = {
        "name": model.manifest.name,
        "description": model.manifest.description,
        "family": model.manifest.family,
        "languages": ", ".join(model.manifest.languages),
        "licence": model.manifest.license,
        **model.origin,
    }
    _echo(lines, model.fit)


@app.command()
def pull(
    name: Name,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if it does not fit.")] = False,
    offline: Offline = False,
) -> None:
    """Fetch a model, or go on where a fetch was interrupted."""
    from edgestream.convert.pull import pull

    with progress_bar() as progress:
        folder = pull(
            name, revision=revision, force=force, offline=offline, tell=tell, progress=progress
        )
    typer.echo(os.fsencode(folder))


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="All that are here if none.")] = None,
) -> None:
    """Compare every file with its checksum."""
    from edgestream.library import folders
    from edgestream.library.manifest.manifest import Manifest

    names = [name] if name else [*folders.shipped(), *folders.pulled()]
    bad = 0
    for each in names:
        try:
            manifest = folders.read_verified(folders.find(each), Manifest)
            typer.echo(f"{each}: {len(manifest.files)} files are intact")
        except ModelError as error:
            bad += 1
            tell(f"edgestream: {error}")
    raise typer.Exit(ModelError.exit_code if bad else 0)


@app.command()
def rm(name: Name) -> None:
    """Remove a model that was pulled, or what an unfinished pull left."""
    from edgestream.hub.pull import remove

    remove(name, tell)


@app.command()
def path(name: Name) -> None:
    """Print the folder of a model."""
    from edgestream.library import folders

    typer.echo(os.fsencode(folders.find(name)))  # whatever bytes it has


def _file_info(name: str, window: int | None) -> None:
    from pathlib import Path

    from edgestream.hub.gguf_file import about_gguf

    _echo(*about_gguf(Path(name), window))


def _echo(lines: dict[str, str], fit: Fit | None) -> None:
    """Lines by name; whether it fits, where that is known."""
    if fit:
        lines |= {"fit": str(fit), "fits": f"no, {fit.problem}" if fit.problem else "yes"}
    for what, found in lines.items():
        typer.echo(f"{what + ':':<13}{found}")


def _row(folder: Path, state: str) -> list[str]:
    """Size, family, languages, licence, fits, state."""
    from edgestream.hub.about import weighed
    from edgestream.hub.fit import mb

    try:
        manifest, n_bytes, fits = weighed(folder)
    except ModelError:
        return ["", "", "", "", "", "damaged"]
    languages = ", ".join(manifest.languages)
    if len(manifest.languages) > MANY_LANGUAGES:
        languages = f"{len(manifest.languages)} languages"
    return [mb(n_bytes), manifest.family, languages, manifest.license, fits, state]
