# SPDX-License-Identifier: Apache-2.0
"""`edgestream listen`: captions of what is said."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgestream.cli import reading
from edgestream.cli.along import given, reading_along
from edgestream.cli.listen_input import (
    Kind,
    folder_for,
    kind_of,
    refuse_what_is_without_effect,
)
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
from edgestream.errors import shown
from edgestream.library.manifest.manifest import DEFAULT_MODEL, SYNTHETIC_MODEL
from edgestream.outlets.formats import format_for
from edgestream.sources.sample_formats import SampleFormat
from edgestream.system.process import tell

if TYPE_CHECKING:
    from edgestream.session import Session
    from edgestream.sources.block import Source
    from edgestream.sources.half_duplex import Mute
    from edgestream.speech.stream import Stream

SYNTHETIC_ONLY = (
    "synthetic-en understands synthetic voices only, not people; -m takes other models."
)
OF_THE_STREAM = ("confidence", "policy", "language", "task", "prompt", "vad")


def listen(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="Sound file, or - for stdin: a sound file or raw PCM (samples without a header)."
            " Several files, and folders of them, with --output-dir.",
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
    reader: reading.Reader = None,
    translate_to: reading.TranslateTo = None,
    translate_from: reading.TranslateFrom = None,
    ask: reading.Ask = False,
    ask_every: reading.AskEvery = None,
    every: reading.Every = None,
    alert: reading.Alert = None,
    wake: reading.Wake = None,
    think: reading.Think = False,
    tool: reading.Tool = None,
    say: reading.Say = False,
    say_voice: reading.SayVoice = None,
    say_device: reading.SayDevice = None,
    say_to: reading.SayTo = None,
    format: OutputFormat = None,
    output: Output = None,
    output_dir: Annotated[
        Path | None,
        option(
            OUTPUT, "Folder for the captions of several files, read with --fast: NAME.srt of NAME"
            ".mp3. What is there already is left out.", "--output-dir",
        ),
    ] = None,
    again: Annotated[
        bool, option(OUTPUT, "Caption files again whose captions are there.", "--again")
    ] = False,
    jobs: Annotated[
        int | None,
        option(MORE, "How many files at once.", "--jobs", default="as many as there are cores"),
    ] = None,
    drafts: Annotated[
        bool,
        option(OUTPUT, "jsonl also holds the line being spoken, each time it changes.", "--drafts"),
    ] = False,
    subtitles: reading.Cues = None,
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
    translate_policy: reading.TranslatePolicy = None,
    translate_layout: reading.TranslateLayout = None,
    alert_threshold: reading.AlertThreshold = None,
    window: reading.Window = None,
    reader_threads: reading.ReaderThreads = None,
    reader_device: reading.ReaderDevice = None,
) -> None:  # fmt: skip
    """Live captions of a microphone, a file or a pipe.

    \b
      edgestream listen                                   the microphone
      edgestream listen talk.mp3 --fast -o talk.srt
      edgestream listen a.mp3 folder/ --format srt --output-dir captions
      ffmpeg -i URL -f s16le -ac 1 -ar 16000 - | edgestream listen -
      edgestream listen --reader MODEL.gguf --translate-to fr
    """
    with one_line_errors():
        if list_devices:
            _list_devices()
            return
        form = format_for(output, format)
        kind = kind_of(sources or [], output_dir)
        refuse_what_is_without_effect(context, kind)
        reading.refuse_without_effect(form, drafts=drafts, subtitles=subtitles)
        stdin = "the sound" if kind is Kind.stdin else None
        what = given(context.params, "fast" if fast else "live", stdin=stdin)
        options = _delay(delay) | {name: context.params[name] for name in OF_THE_STREAM}
        if kind is Kind.files:
            into = folder_for(sources or [], output, output_dir, along=what is not None)
            from edgestream.batch.worker import Recipe
            from edgestream.cli.many import caption_many

            recipe = Recipe(model, form, drafts, decoder_device, options)
            raise typer.Exit(
                caption_many(sources or [], into, recipe, n_workers=jobs, again=again, stats=stats)
            )
        from edgestream.outlets.screen import loudness
        from edgestream.speech.listen import listen as start

        source = sources[0] if sources else None
        output = output_beside(source, output, asked=ask)
        _warn(source, model)
        with reading_along(what) as along:
            session = start(
                _stdin(rate, channels, sample_format) if source == "-"
                else source or _half_duplex(device, along.mute),
                model=model, device=device, fast=fast, decoder_device=decoder_device, **options,
            )  # fmt: skip
            run(
                along.over(session), form, output, lambda: loudness(session.meter.level_dbfs),
                drafts=drafts, subtitles=reading.whose(subtitles, translate_to),
                patient=fast, companions=along.companions,
            )  # fmt: skip
        if stats:
            _print_stats(session)


def _warn(source: str | None, model: str) -> None:
    if source is None and model == SYNTHETIC_MODEL:
        tell(SYNTHETIC_ONLY)


def _stdin(rate: int, channels: int, sample_format: SampleFormat) -> Callable[[], Source]:
    """Opens what comes; called once the model is loaded, for its first bytes may be long in
    coming."""
    from edgestream.sources.pcm import standard_input
    from edgestream.sources.piped import open_piped

    return partial(open_piped, standard_input(), rate, channels, sample_format.value)


def _half_duplex(device: str | None, mute: Mute | None) -> Callable[[], Source] | None:
    """Opens the microphone so that it does not hear what this program says; None where it says
    nothing."""
    if mute is None:
        return None
    from edgestream.sources.half_duplex import HalfDuplex
    from edgestream.sources.microphone import MicrophoneSource

    return lambda: HalfDuplex(MicrophoneSource(device), mute)


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
