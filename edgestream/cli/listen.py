# SPDX-License-Identifier: Apache-2.0
"""`edgestream listen`: captions of what is said."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgestream.cli.options import (
    INPUT,
    MODEL,
    MORE,
    OUTPUT,
    DecoderDevice,
    Fast,
    ModelName,
    Output,
    OutputFormat,
    Stats,
    option,
)
from edgestream.cli.run import memory, one_line_errors, output_beside, run
from edgestream.errors import UsageError, shown
from edgestream.library.manifest.manifest import DEFAULT_MODEL, SYNTHETIC_MODEL
from edgestream.outlets.formats import Format, format_for
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


def listen(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            help="Sound file, or - for stdin: a sound file or raw PCM (samples without a header).",
            show_default="the microphone",
        ),
    ] = None,
    device: Annotated[
        str | None, option(INPUT, "Microphone, by its name or number.", default="the system's")
    ] = None,
    list_devices: Annotated[
        bool, option(INPUT, "Show the microphones and exit.", "--list-devices")
    ] = False,
    fast: Fast = False,
    rate: Annotated[int, option(INPUT, "Sample rate of raw PCM, in Hz.")] = 16000,
    channels: Annotated[int, option(INPUT, "Channels of raw PCM.")] = 1,
    sample_format: Annotated[
        SampleFormat, option(INPUT, "Samples of raw PCM.")
    ] = SampleFormat.s16le,
    model: ModelName = DEFAULT_MODEL,
    delay: Annotated[
        str | None,
        option(
            MODEL, "How soon a word becomes final: low (earlier, more errors), normal, or sure"
            " (later, fewer). Some models also take milliseconds.", default="normal",
        ),
    ] = None,
    language: Annotated[
        str | None,
        option(MODEL, "Spoken language, as en or de (Whisper).", default="found by the model"),
    ] = None,
    task: Annotated[
        str | None,
        option(
            MODEL, "transcribe, or translate to English (a Whisper of many languages).",
            default="transcribe",
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        option(MODEL, "Text taken for what was said before; helps with names (Whisper)."),
    ] = None,
    format: OutputFormat = None,
    output: Output = None,
    drafts: Annotated[
        bool,
        option(OUTPUT, "jsonl also holds the line being spoken, each time it changes.", "--drafts"),
    ] = False,
    stats: Stats = False,
    vad: Annotated[
        str | None,
        option(
            MORE, "What tells speech from noise before the model: a Silero VAD's name, folder or"
            " file; or off.", default="silero-vad",
        ),
    ] = None,
    policy: Annotated[
        str | None,
        option(
            MORE, "Instead of --delay: the rule that makes a word final, by name"
            " (local-agreement:3+alignatt:20 ...), or a trained policy's file. docs/policies.md.",
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        option(
            MORE, "synthetic-en: a word that is less sure than this, 0 to 1, waits one step longer."
        ),
    ] = None,
    decoder_device: DecoderDevice = None,
) -> None:  # fmt: skip
    """Live captions of a microphone, a file or a pipe.

    \b
      edgestream listen                                   the microphone
      edgestream listen talk.mp3 --fast -o talk.srt
      ffmpeg -i URL -f s16le -ac 1 -ar 16000 - | edgestream listen -
    """
    with one_line_errors():
        if list_devices:
            _list_devices()
            return
        form = format_for(output, format)
        _refuse_what_is_without_effect(context, form)
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
        run(session, form, output, lambda: loudness(session.meter.level_dbfs), drafts=drafts)
        if stats:
            _print_stats(session)


def _refuse_what_is_without_effect(context: typer.Context, form: Format) -> None:
    """An option that this source or format cannot heed is a mistake, not a wish to pass over."""
    source = context.params["source"]
    kind = {None: Kind.microphone, "-": Kind.stdin}.get(source, Kind.file)
    for name, kinds in ONLY_FOR.items():
        if kind not in kinds and _is_given(context, name):
            only = " or ".join(each.value for each in kinds)
            raise UsageError(f"--{name.replace('_', '-')} is for {only} only; leave it out")
    if context.params["drafts"] and form is not Format.jsonl:
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
