# SPDX-License-Identifier: Apache-2.0
"""What `listen` is given to hear, and the options that are for some of it only."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

import typer

from edgestream.errors import UsageError


class Kind(Enum):
    """What is listened to, as messages name it."""

    microphone = "the microphone"
    file = "a file"
    files = "several files (--output-dir)"
    stdin = "raw PCM on stdin"


# Options that mean nothing elsewhere. Raw PCM comes at the pace of its writer anyway.
ONLY_FOR = {
    "device": [Kind.microphone],
    "fast": [Kind.file, Kind.stdin],
    "jobs": [Kind.files],
    "again": [Kind.files],
    "rate": [Kind.stdin],
    "channels": [Kind.stdin],
    "sample_format": [Kind.stdin],
}


def kind_of(sources: list[str], output_dir: Path | None) -> Kind:
    """What these sources are."""
    if len(sources) > 1 or output_dir is not None or (sources and os.path.isdir(sources[0])):
        return Kind.files
    if not sources:
        return Kind.microphone
    return Kind.stdin if sources[0] == "-" else Kind.file


def folder_for(
    sources: list[str], output: Path | None, output_dir: Path | None, *, along: bool
) -> Path:
    """Where the captions of several files go; refuses what makes no sense for several, as a model
    that reads `along` does."""
    if along:
        raise UsageError("reading along is for one source; name one file, without --output-dir")
    if not sources:
        raise UsageError("--output-dir is for files; name some, or leave it out")
    if "-" in sources:
        raise UsageError("- (stdin) is not for --output-dir nor beside files; caption it alone")
    if output is not None:
        raise UsageError("--output is for one file; for several give --output-dir alone")
    if output_dir is None:
        what = f"{len(sources)} sources" if len(sources) > 1 else f"{sources[0]}: is a folder"
        raise UsageError(f"{what}: give --output-dir FOLDER, where the captions are to go")
    return output_dir


def refuse_what_is_without_effect(context: typer.Context, kind: Kind) -> None:
    """An option that this source cannot heed is a mistake, not a wish to pass over."""
    for name, kinds in ONLY_FOR.items():
        meant = kind in kinds or (kind is Kind.files and Kind.file in kinds)
        if not meant and _is_given(context, name):
            only = " or ".join(each.value for each in kinds)
            raise UsageError(f"--{name.replace('_', '-')} is for {only} only; leave it out")


def _is_given(context: typer.Context, name: str) -> bool:
    given = context.get_parameter_source(name)
    return given is not None and given.name != "DEFAULT"
