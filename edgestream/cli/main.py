# SPDX-License-Identifier: Apache-2.0
"""The command line. stdout carries captions only; everything else goes to stderr."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edgestream.cli.bench import app as bench
from edgestream.cli.convert import convert
from edgestream.cli.listen import listen
from edgestream.cli.models import app as models
from edgestream.cli.read import read
from edgestream.cli.run import one_line_errors
from edgestream.cli.serve import serve
from edgestream.cli.watch import watch
from edgestream.system.process import clean_up_on_ctrl_c

# As people need them.
ORDER = ("listen", "watch", "read", "serve", "models", "convert", "doctor", "bench")
# Leave nothing behind before they mind Ctrl-C themselves, or at all.
ENDED_BY_THE_SYSTEM = ("listen", "watch", "read", "doctor")


class InOrder(TyperGroup):
    """Lists the commands in that order."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands."""
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    cls=InOrder, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False
)
app.command()(listen)
app.command()(watch)
app.command()(read)
app.command()(serve)
app.add_typer(models, name="models")
app.command()(convert)
app.add_typer(bench, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        import edgestream

        typer.echo(f"edgestream {edgestream.__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Live captions of what is said, and comments on what a camera sees, on this machine alone.

    \b
      edgestream listen                 caption the microphone
      edgestream listen talk.mp3        caption a file
      edgestream watch                  comment on the camera
      edgestream read talk.txt          a language model reads text along
      edgestream serve                  a page with captions, and other programs' protocols
    """
    if context.invoked_subcommand not in ENDED_BY_THE_SYSTEM:
        clean_up_on_ctrl_c()


@app.command()
def doctor() -> None:
    """Check devices and libraries, and caption a sample to see that all works.

    \b
      edgestream doctor
    """
    with one_line_errors():
        from edgestream.cli.doctor import examine

        raise typer.Exit(0 if examine() else 1)
