# SPDX-License-Identifier: Apache-2.0
"""`edgestream listen`: captions of what is said."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgestream.cli.run import (
    MORE,
    OUTPUT,
    Output,
    OutputFormat,
    Stats,
    memory,
    one_line_errors,
    output_beside,
    run,
)
from edgestream.errors import UsageError, shown
from edgestream.library.manifest.concatenated import DEFAULT_MODEL, SYNTHETIC_MODEL
from edgestream.outlets.formats import Format
from edgestream.sources.sample_formats import SampleFormat
from edgestream.system.process import tell

if TYPE_CHECKING:
    from edgestream.session import Session
    from edgestream.sources.block import Source
    from edgestream.speech.stream import Stream

SYNTHETIC_ONLY = (
    "synthetic-en understands synthetic voices only, not people; -m takes other models."
)


class Kind(Enum):
    """What is listened to, as messages name it."""

    microphone = "the microphone"
    file = "a file"
    stdin = "raw PCM on stdin"


# Options that mean nothing elsewhere. Raw PCM comes at the pace of its writer anyway.
ONLY_FOR = {
    "device": [Kind.microphone],
    "fast": [Kind.file, Kind.stdin],
    "rate": [Kind.stdin],
    "channels": [Kind.stdin],
    "sample_format": [Kind.stdin],
}
INPUT, MODEL = "Input", "Model"


def listen(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            help="Sound file, or - for stdin: a sound file or raw PCM.",
            show_default="the microphone",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Microphone, by its name or number.",
            show_default="the system's",
            rich_help_panel=INPUT,
        ),
    ] = None,
    list_devices: Annotated[
        bool,
        typer.Option(
            "--list-devices", help="Show the microphones and exit.", rich_help_panel=INPUT
        ),
    ] = False,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help="Read a file as fast as the machine can.", rich_help_panel=INPUT
        ),
    ] = False,
    rate: Annotated[
        int, typer.Option(help="Sample rate of raw PCM, in Hz.", rich_help_panel=INPUT)
    ] = 16000,
    channels: Annotated[int, typer.Option(help="Channels of raw PCM.", rich_help_panel=INPUT)] = 1,
    sample_format: Annotated[
        SampleFormat, typer.Option(help="Samples of raw PCM.", rich_help_panel=INPUT)
    ] = SampleFormat.s16le,
    model: Annotated[
        str,
        typer.Option(
            "-m",
            "--model",
            help="Which model: a name of `edgestream models list`, or a folder.",
            rich_help_panel=MODEL,
        ),
    ] = DEFAULT_MODEL,
    delay: Annotated[
        str | None,
        typer.Option(
            help="How soon a word is written for good: low (earlier, more errors), normal, or sure"
            " (later, fewer). Some models also take milliseconds.",
            show_default="normal",
            rich_help_panel=MODEL,
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Spoken language, as en or de (Whisper).",
            show_default="heard by the model",
            rich_help_panel=MODEL,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="transcribe, or translate to English (Whisper of many languages).",
            show_default="transcribe",
            rich_help_panel=MODEL,
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            help="Names and spellings to expect, as text that came before (Whisper).",
            rich_help_panel=MODEL,
        ),
    ] = None,
    format: OutputFormat = Format.text,
    output: Output = None,
    drafts: Annotated[
        bool,
        typer.Option(
            "--drafts",
            help="jsonl also holds the line being spoken, as it grows.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    stats: Stats = False,
    vad: Annotated[
        str | None,
        typer.Option(
            help="What tells speech from noise before the model: a Silero VAD's name, folder or"
            " file; or off.",
            show_default="silero-vad",
            rich_help_panel=MORE,
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Instead of --delay: the rule that commits a word, by name"
            " (local-agreement:3+alignatt:20 ...), or a trained head's file. See docs/policies.md.",
            rich_help_panel=MORE,
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Decide a step later what is less probable than this, 0 to 1 (models that decode"
            " step by step).",
            rich_help_panel=MORE,
        ),
    ] = None,
    decoder_device: Annotated[
        str | None,
        typer.Option(
            help="That runs a GGUF decoder: cpu, auto (a GPU if there is one), CUDA0 ...",
            show_default="as the model says",
            rich_help_panel=MORE,
        ),
    ] = None,
) -> None:
    """Live captions of a microphone, a file or a pipe.

    \b
      edgestream listen                                   the microphone
      edgestream listen talk.mp3 --fast -o talk.srt --format srt
      ffmpeg -i URL -f s16le -ac 1 -ar 16000 - | edgestream listen -
    """  # fmt: skip
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


def _refuse_what_is_without_effect(context: typer.Context) -> None:
    """An option that this source or format cannot heed is a mistake, not a wish to pass over."""
    source, format = context.params["source"], context.params["format"]
    kind = {None: Kind.microphone, "-": Kind.stdin}.get(source, Kind.file)
    for name, kinds in ONLY_FOR.items():
        if kind not in kinds and _is_given(context, name):
            only = " or ".join(each.value for each in kinds)
            raise UsageError(f"--{name.replace('_', '-')} is for {only} only; leave it out")
    if context.params["drafts"] and format is not Format.jsonl:
        raise UsageError("--drafts is for --format jsonl only; leave it out")


def _is_given(context: typer.Context, name: str) -> bool:
    given = context.get_parameter_source(name)
    return given is not None and given.name != "DEFAULT"


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
        f" ({m.real_time_factor:.4f} s for each second), {m.n_words} words,"
        f" delay {session.stream.delay_ms:.0f} ms, at most {m.worst_behind_ms:.0f} ms behind,"
        f" lost {m.lost_ms / 1000:.1f} s{memory()}",
    )
