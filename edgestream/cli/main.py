# SPDX-License-Identifier: Apache-2.0
"""The command line. stdout carries captions only; everything else goes to stderr."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgestream.bench.run import app as bench
from edgestream.cli.convert import convert
from edgestream.cli.models import app as models
from edgestream.cli.run import Format, memory, one_line_errors, output_beside, run
from edgestream.cli.watch import watch
from edgestream.errors import UsageError, shown
from edgestream.library.manifest.concatenated import DEFAULT_MODEL, SYNTHETIC_MODEL
from edgestream.system.process import clean_up_on_ctrl_c, tell

if TYPE_CHECKING:
    from edgestream.session import Session
    from edgestream.sources.block import Source
    from edgestream.speech.stream import Stream

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(bench, name="bench")
app.add_typer(models, name="models")
app.command()(watch)
app.command()(convert)

SYNTHETIC_ONLY = (
    "synthetic-en understands synthetic voices only, not people; -m takes other models."
)

# Leave nothing behind before they mind Ctrl-C themselves, or at all.
ENDED_BY_THE_SYSTEM = ("listen", "watch", "doctor")
# Options that mean nothing elsewhere.
HEEDED_BY = {
    "device": ["the microphone"],
    "fast": ["a file", "raw PCM on stdin"],  # which comes at the pace of its writer anyway
    "rate": ["raw PCM on stdin"],
    "channels": ["raw PCM on stdin"],
    "sample_format": ["raw PCM on stdin"],
    "drafts": ["--format jsonl"],
}


class SampleFormat(str, Enum):
    """Samples of raw PCM, named as ffmpeg names them."""

    u8 = "u8"
    s16le = "s16le"
    s24le = "s24le"
    s32le = "s32le"
    f32le = "f32le"
    s16be = "s16be"
    s24be = "s24be"
    s32be = "s32be"
    f32be = "f32be"


def _print_version(wanted: bool) -> None:
    if wanted:
        import edgestream

        typer.echo(f"edgestream {edgestream.__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Streaming LLMs on small machines: captions that are written while you speak."""
    if context.invoked_subcommand not in ENDED_BY_THE_SYSTEM:
        clean_up_on_ctrl_c()


@app.command()
def listen(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            help="Audio file, or - for stdin: raw PCM, or a file. Default: the microphone."
        ),
    ] = None,
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder.")] = DEFAULT_MODEL,
    delay: Annotated[
        str | None,
        typer.Option(
            help="How soon a word is written: low, normal or sure. Of synthetic-en, Kyutai and"
            " Voxtral also in milliseconds after its end."
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(help="Decide what is less probable than this (0 to 1) a step later."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Instead of --delay, for those who know policies: docs/whisper.md,"
            " docs/policies.md. A trained head's file, or local-agreement:3+alignatt:20 ..."
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="The one spoken: en, de. Default: a Whisper hears which.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="transcribe, or translate to English.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Text that came before (Whisper).")] = None,
    vad: Annotated[
        str | None,
        typer.Option(help="Before a Whisper or Moonshine, what tells speech from noise; or off."),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Run a file as fast as possible.")] = False,
    device: Annotated[
        str | None, typer.Option(help="Microphone by name or index (--list-devices).")
    ] = None,
    decoder_device: Annotated[
        str | None, typer.Option(help="That runs a GGUF decoder: cpu, auto (a GPU), CUDA0 ...")
    ] = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="Show the microphones and exit.")
    ] = False,
    rate: Annotated[int, typer.Option(help="Sample rate of raw PCM in Hz.")] = 16000,
    channels: Annotated[int, typer.Option(help="Channels of raw PCM.")] = 1,
    sample_format: Annotated[
        SampleFormat, typer.Option(help="Samples of raw PCM.")
    ] = SampleFormat.s16le,
    format: Annotated[Format, typer.Option(help="How captions are written.")] = Format.text,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File, written as captions come; - for stdout."),
    ] = None,
    drafts: Annotated[
        bool, typer.Option("--drafts", help="JSONL also holds the line being spoken, as it grows.")
    ] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Figures at the end, on stderr.")] = False,
) -> None:
    """Live captions of a microphone, a file or a pipe."""
    with one_line_errors():
        if list_devices:
            _list_devices()
            return
        _refuse_what_is_without_effect(context)
        from edgestream.outlets.screen import loudness
        from edgestream.speech.listen import listen as start

        output = output_beside(source, output)
        opened: Callable[[], Source] | str | None = source
        if source == "-":
            from edgestream.sources.pcm import standard_input
            from edgestream.sources.piped import open_piped

            # Called once the model is loaded: its first bytes may be long in coming.
            opened = partial(open_piped, standard_input(), rate, channels, sample_format.value)
        elif source is None and model == SYNTHETIC_MODEL:
            tell(SYNTHETIC_ONLY)
        session = start(
            opened, model=model, **_delay(delay), device=device, fast=fast, confidence=confidence,
            policy=policy, language=language, task=task, prompt=prompt, vad=vad,
            decoder_device=decoder_device,
        )  # fmt: skip
        run(session, format, output, lambda: loudness(session.meter.level_dbfs), drafts=drafts)
        if stats:
            _print_stats(session)


@app.command()
def doctor() -> None:
    """Check devices, libraries and providers, and caption a sample to see that it works."""
    with one_line_errors():
        from edgestream.cli.doctor import examine

        raise typer.Exit(0 if examine() else 1)


def _refuse_what_is_without_effect(context: typer.Context) -> None:
    """An option that this source or format cannot heed is a mistake, not a wish to pass over."""
    source, format = context.params["source"], context.params["format"]
    kind = {None: "the microphone", "-": "raw PCM on stdin"}.get(source, "a file")
    for name, heeded_by in HEEDED_BY.items():
        given = context.get_parameter_source(name)
        if given is None or given.name == "DEFAULT":
            continue
        if not {kind, f"--format {format.value}"} & set(heeded_by):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is for {' or '.join(heeded_by)} only; leave it out")


def _delay(given: str | None) -> dict[str, Any]:
    """The delay by its name or in milliseconds, as `listen()` takes it."""
    try:
        return {"delay_ms": float(given)} if given is not None else {}
    except ValueError:
        return {"delay": given}


def _list_devices() -> None:
    from edgestream.sources.microphones import list_devices

    devices = list_devices()
    if not devices:
        tell("no microphone was found")
    for device in devices:
        mark = "*" if device.default else " "
        typer.echo(
            f"{mark} {device.index:3d}  {shown(device.name)}"
            f"  ({device.channels} ch, {device.rate_hz} Hz)"
        )


def _print_stats(session: Session[Source, Stream]) -> None:
    m = session.meter
    tell(
        f"heard {m.heard_ms / 1000:.1f} s, computed {m.compute_ms / 1000:.2f} s"
        f" (real-time factor {m.real_time_factor:.4f}), {m.n_words} words,"
        f" delay {session.stream.delay_ms:.0f} ms, at most {m.worst_behind_ms:.0f} ms behind,"
        f" lost {m.lost_ms / 1000:.1f} s{memory()}",
    )
