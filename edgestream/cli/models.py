# SPDX-License-Identifier: Apache-2.0
"""`edgestream models`: what is here, what can be had, and how it comes and goes."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from edgestream.cli.bars import download_bar, labelled_bar
from edgestream.errors import HubError, ModelError, UsageError
from edgestream.system.process import tell

if TYPE_CHECKING:
    from edgestream.hub.fit import Fit
    from edgestream.library.catalogue import Converted
    from edgestream.library.gguf_header import DecoderShape
    from edgestream.library.manifest.concatenated import Manifest

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
    rows: dict[str, list[str]] = {}
    for name, folder in folders.catalogue().items():
        rows[name] = _row(folder, "catalogue")
    for name, folder in folders.pulled().items():
        rows[name] = _row(folder, "pulled")
    for name, folder in folders.shipped().items():
        rows[name] = _row(folder, "ships with edgestream")
    for name, cells in sorted(rows.items()):
        table.add_row(*map(Text, (name, *cells)))
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    console.print(table)


@app.command()
def info(name: Name, offline: Offline = False) -> None:
    """What a model is, and whether it fits this machine; asks the hub if it is not here."""
    from edgestream.library import folders

    listed = name in folders.catalogue().keys() - folders.pulled()
    here = None if listed else _here(name)
    manifest, weighed, origin = _info_here(here) if here else _info_there(name, offline, listed)
    lines = {
        "name": manifest.name,
        "description": manifest.description,
        "family": manifest.family,
        "languages": ", ".join(manifest.languages),
        "licence": manifest.license,
        **origin,
    }
    if weighed:
        lines["fit"] = str(weighed)
        lines["fits"] = f"no, {weighed.problem}" if weighed.problem else "yes"
    for what, found in lines.items():
        typer.echo(f"{what + ':':<13}{found}")


@app.command()
def pull(
    name: Name,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if it does not fit.")] = False,
    offline: Offline = False,
) -> None:
    """Fetch a model, or go on where a fetch was interrupted."""
    from edgestream.library import folders
    from edgestream.library.manifest.concatenated import Manifest

    if offline or _hub_offline():
        if name not in folders.pulled():
            raise UsageError(f"{name}: is not on this machine, and nothing is fetched offline")
        folders.read_verified(folders.find(name), Manifest)
        typer.echo(f"{name}: here and intact; nothing newer is looked for offline", err=True)
        return
    typer.echo(os.fsencode(_pull(name, revision, force=force)))


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="All that are here if none.")] = None,
) -> None:
    """Compare every file with its checksum."""
    from edgestream.library import folders
    from edgestream.library.manifest.concatenated import Manifest

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


def _pull(name: str, revision: str | None, *, force: bool) -> Path:
    """Fetches a model; of the catalogue's checkpoints it is converted too."""
    if _converted(name):
        from edgestream.convert.pull import pull_checkpoint

        with labelled_bar() as show:
            return pull_checkpoint(name, revision=revision, force=force, tell=tell, progress=show)
    from edgestream.hub.pull import pull

    with download_bar() as progress:
        return pull(name, revision=revision, force=force, tell=tell, progress=progress)


def _converted(name: str) -> Converted | None:
    """Of a model whose pull converts a checkpoint: what it becomes."""
    from edgestream.library import folders
    from edgestream.library.catalogue import read_source

    entry = folders.catalogue().get(name)
    return read_source(entry).converted if entry else None


def _row(folder: Path, state: str) -> list[str]:
    """Size, family, languages, licence, fits, state; reads no weights, so nothing is verified."""
    from edgestream.hub.fit import free_memory_bytes, mb, needs
    from edgestream.library.catalogue import read_source
    from edgestream.library.manifest.concatenated import SOURCE, Manifest
    from edgestream.library.manifest.read import read_manifest

    try:
        manifest = read_manifest(folder / "model.toml", Manifest)
        if (folder / SOURCE).exists():
            sizes = read_source(folder).sizes
            fits = "see info" if sum(sizes.values()) < free_memory_bytes() else "no"
        else:
            sizes = _sizes(folder, manifest)
            wanted = needs(manifest, sizes, _shape(folder, manifest))
            fits = "yes" if wanted.total_bytes < free_memory_bytes() else "no"
    except ModelError:
        return ["", "", "", "", "", "damaged"]
    languages = ", ".join(manifest.languages)
    if len(manifest.languages) > MANY_LANGUAGES:
        languages = f"{len(manifest.languages)} languages"
    return [mb(sum(sizes.values())), manifest.family, languages, manifest.license, fits, state]


def _here(name: str) -> Path | None:
    """The folder of a model on this machine; None if only a hub may have it."""
    from edgestream.library import folders

    try:
        return folders.find(name)
    except ModelError:
        if folders.REPOSITORY.fullmatch(name):
            return None
        raise


def _info_here(folder: Path) -> tuple[Manifest, Fit, dict[str, str]]:
    from edgestream.hub.fit import fit, mb, probe
    from edgestream.library.folders import read_lock, read_verified
    from edgestream.library.manifest.concatenated import LOCK, Manifest

    manifest = read_verified(folder, Manifest)
    sizes = _sizes(folder, manifest)
    origin = {"folder": str(folder), "size": mb(sum(sizes.values()))}
    if (folder / LOCK).exists():
        lock = read_lock(folder)
        origin |= {"repository": lock.repository, "revision": lock.revision}
    return manifest, fit(manifest, sizes, _shape(folder, manifest), probe()), origin


def _info_there(
    name: str, offline: bool, listed: bool
) -> tuple[Manifest, Fit | None, dict[str, str]]:
    """What the hub says; without it, what the catalogue knows of a model that it has."""
    if offline or _hub_offline():
        if listed:
            return _info_of_catalogue(name)
        raise UsageError(f"{name}: is not on this machine, and the hub is not asked offline")
    try:
        return _info_of_hub(name)
    except HubError as error:
        if not listed:
            raise
        tell(f"edgestream: {error}; this is what the catalogue knows")
        return _info_of_catalogue(name)


def _info_of_catalogue(name: str) -> tuple[Manifest, None, dict[str, str]]:
    from edgestream.hub.fit import mb
    from edgestream.library.catalogue import read_source
    from edgestream.library.folders import catalogue

    source = read_source(catalogue()[name])
    size = f"about {mb(sum(source.sizes.values()))}"
    if source.converted and source.checkpoint:
        size += " once the checkpoint is converted"
        at = source.checkpoint.repository, source.checkpoint.revision
    else:
        at = source.repository, source.revision
    state = f"not on this machine; edgestream models pull {name}"
    return _entry(name), None, {
        "size": size, "repository": at[0], "revision": at[1], "state": state
    }  # fmt: skip


def _info_of_hub(name: str) -> tuple[Manifest, Fit, dict[str, str]]:
    from edgestream.hub.fit import fit_converted, mb, probe
    from edgestream.hub.pull import ask, offer

    repository = ask(name)
    origin = {"repository": repository.name, "revision": repository.revision}
    if made := _converted(name):
        size = f"{mb(sum(made.files.values()))} once the checkpoint is converted"
        return _entry(name), fit_converted(made, probe()), {"size": size, **origin}
    with TemporaryDirectory() as folder:
        found = offer(name, repository, Path(folder))
        size = f"{mb(sum(found.sizes.values()))} to fetch"
        return found.manifest, found.fit(), {"size": size, **origin}


def _entry(name: str) -> Manifest:
    from edgestream.library.folders import catalogue
    from edgestream.library.manifest.concatenated import MANIFEST, Manifest
    from edgestream.library.manifest.read import read_manifest

    return read_manifest(catalogue()[name] / MANIFEST, Manifest)


def _sizes(folder: Path, manifest: Manifest) -> dict[str, int]:
    try:
        return {name: (folder / name).stat().st_size for name in manifest.files}
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror}; pull it again") from None


def _shape(folder: Path, manifest: Manifest) -> DecoderShape | None:
    from edgestream.hub.fit import gguf_decoder
    from edgestream.library.gguf_header import read_shape

    file = gguf_decoder(manifest)
    if file is None:
        return None
    decoder = folder / file

    def read_start(n_bytes: int) -> bytes:
        with decoder.open("rb") as file:
            return file.read(n_bytes)

    return read_shape(read_start, str(decoder))


def _hub_offline() -> bool:
    from edgestream.hub.repository import offline

    return offline()
