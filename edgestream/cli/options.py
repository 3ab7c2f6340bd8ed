# SPDX-License-Identifier: Apache-2.0
"""Options that commands share, and the groups in which `--help` shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgestream.outlets.formats import Format

INPUT, MODEL, OUTPUT, MORE = "Input", "Model", "Output", "More, for experts"


def option(group: str, help: str, *names: str, default: str | bool = True) -> Any:
    """An option of a group; `default` says in words what holds where nothing is given."""
    return typer.Option(*names, help=help, rich_help_panel=group, show_default=default)


Fast = Annotated[bool, option(INPUT, "Read a file as fast as the machine can.", "--fast")]
ModelName = Annotated[
    str,
    option(MODEL, "Which model: a name of `edgestream models list`, or a folder.", "-m", "--model"),
]
OutputFormat = Annotated[
    Format | None,
    option(OUTPUT, "How it is written.", default="as the file's name ends (clip.srt), else text"),
]
Output = Annotated[
    Path | None,
    option(OUTPUT, "File, written as the words come; - for stdout.", "-o", "--output"),
]
Stats = Annotated[bool, option(OUTPUT, "Figures at the end, on stderr.", "--stats")]
DecoderDevice = Annotated[
    str | None,
    option(
        MORE, "That runs a GGUF decoder: cpu, auto (a GPU if there is one), CUDA0 ...",
        default="as the model says",
    ),
]  # fmt: skip
