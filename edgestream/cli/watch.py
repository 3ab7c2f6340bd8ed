# SPDX-License-Identifier: Apache-2.0
"""`edgestream watch`: comments on what a camera sees."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgestream.cli import reading
from edgestream.cli.along import Given, given, reading_along, typed
from edgestream.cli.companions import companions
from edgestream.cli.options import (
    INPUT,
    MODEL,
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
from edgestream.errors import UsageError
from edgestream.library.manifest.manifest import DEFAULT_COMMENTATOR
from edgestream.outlets.formats import format_for
from edgestream.system.process import tell

if TYPE_CHECKING:
    from edgestream.events import Event
    from edgestream.session import Session
    from edgestream.sources.picture import PictureSource
    from edgestream.vision.stream import PictureStream

RECENT = 1000  # comments whose staleness is kept for the median


def watch(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            help="Camera number, video file, rtsp:// or http:// address, or GStreamer pipeline.",
            show_default="camera 0",
        ),
    ] = None,
    list_cameras: Annotated[
        bool, option(INPUT, "Show the cameras and exit.", "--list-cameras")
    ] = False,
    size: Annotated[
        str | None,
        option(INPUT, "Ask the camera for pictures of this size, as 640x480.", default="its own"),
    ] = None,
    fps: Annotated[
        float | None,
        option(
            INPUT, "Look at no more than so many pictures a second.",
            default="as many as the model knows",
        ),
    ] = None,
    fast: Fast = False,
    model: ModelName = DEFAULT_COMMENTATOR,
    chattiness: Annotated[
        float | None,
        option(MODEL, "How much is said: 0 (only what is sure and new) to 1 (all).", default="0.5"),
    ] = None,
    prompt: Annotated[
        str | None, option(MODEL, "What a vision-language model is told beforehand.")
    ] = None,
    zones: Annotated[
        Path | None,
        option(MODEL, "TOML file with named parts of the picture, and parts to leave out."),
    ] = None,
    only: Annotated[
        str | None,
        option(MODEL, "Tell of these things only: person,bicycle,vehicle,animal,something."),
    ] = None,
    reader: reading.Reader = None,
    translate_to: reading.TranslateTo = None,
    translate_from: reading.TranslateFrom = None,
    ask: Annotated[
        bool,
        option(
            MODEL, "Answer the questions that are typed while it runs (--reader, or a"
            " vision-language model).", "--ask",
        ),
    ] = False,
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
    window: Annotated[
        bool,
        option(OUTPUT, "Show the picture, what is followed in it and the comments.", "--window"),
    ] = False,
    snapshots: Annotated[
        Path | None,
        option(OUTPUT, "Write a JPEG for each comment into this folder.", "--snapshots"),
    ] = None,
    snapshots_max: Annotated[
        int | None, option(OUTPUT, "Keep so many of them; the oldest go.", default="1000")
    ] = None,
    command: Annotated[
        str | None,
        option(OUTPUT, "Run this command for each comment, with it as JSON on stdin.", "--exec"),
    ] = None,
    post: Annotated[
        str | None, option(OUTPUT, "Post each comment as JSON to this http(s) address.", "--post")
    ] = None,
    drafts: Annotated[
        bool, option(OUTPUT, "jsonl also holds what may still change.", "--drafts")
    ] = False,
    subtitles: reading.Cues = None,
    stats: Stats = False,
    decoder_device: DecoderDevice = None,
    translate_policy: reading.TranslatePolicy = None,
    translate_layout: reading.TranslateLayout = None,
    alert_threshold: reading.AlertThreshold = None,
    reader_window: reading.ReaderWindow = None,
    reader_threads: reading.ReaderThreads = None,
    reader_device: reading.ReaderDevice = None,
) -> None:  # fmt: skip
    """Live comments on a camera, a stream or a video file.

    \b
      edgestream watch                                    camera 0
      edgestream watch door.mp4 --fast -o door.srt
      edgestream watch rtsp://camera.local/stream --window
    """
    with one_line_errors():
        if list_cameras:
            _list_cameras()
            return
        form = format_for(output, format)
        reading.refuse_without_effect(form, drafts=drafts, subtitles=subtitles)
        what = _given(context.params, fast=fast)
        output = output_beside(source, output, asked=ask)
        beside = companions(command, post, snapshots, snapshots_max)
        from edgestream.outlets.screen import activity
        from edgestream.vision.labels import parse_labels
        from edgestream.vision.watch import watch as start
        from edgestream.vision.zones import read_zones

        with reading_along(what) as along:
            session = start(
                source, model=model, prompt=prompt, chattiness=chattiness, fps=fps, fast=fast,
                size=None if size is None else _size(size), every_picture=window,
                zones=None if zones is None else read_zones(zones),
                only=None if only is None else parse_labels(only),
                questions=typed() if ask and reader is None else None,
                decoder_device=decoder_device,
            )  # fmt: skip
            figures = Figures(session)
            run(
                along.over(session),
                form,
                output,
                lambda: activity(figures.pictures_per_s, 1 - session.stream.counts.dropped_before),
                window=f"edgestream watch {session.source.name}" if window else None,
                seen=lambda: session.stream.seen,
                companions=[*beside, *along.companions],
                drafts=drafts,
                subtitles=reading.whose(subtitles, translate_to),
                patient=fast,
                count=figures.push,
            )
        if stats:
            tell(str(figures))


class Figures:
    """What `--stats` shows of a session."""

    def __init__(self, session: Session[PictureSource, PictureStream]) -> None:
        self._session = session
        self._stale_ms: deque[float] = deque(maxlen=RECENT)
        self._worst_stale_ms = 0.0

    def push(self, events: list[Event]) -> None:
        """Counts the events."""
        from edgestream.events import Comment

        stale_ms = [event.staleness_ms for event in events if isinstance(event, Comment)]
        self._stale_ms += stale_ms
        self._worst_stale_ms = max([self._worst_stale_ms, *stale_ms])

    @property
    def pictures_per_s(self) -> float:
        """Pictures looked at for each second of the stream."""
        seen_ms = self._session.meter.heard_ms
        return 1000 * self._session.stream.counts.pictures / seen_ms if seen_ms else 0.0

    def __str__(self) -> str:
        meter, counts = self._session.meter, self._session.stream.counts
        stale_ms = median(self._stale_ms) if self._stale_ms else 0.0
        return (
            f"saw {meter.heard_ms / 1000:.1f} s, {counts.pictures} pictures"
            f" ({self.pictures_per_s:.1f} a second, {self._session.source.skipped} skipped),"
            f" dropped before the encoder {100 * counts.dropped_before:.0f} %,"
            f" after it {100 * counts.dropped_after:.0f} %;"
            f" computed {meter.compute_ms / 1000:.2f} s"
            f" ({meter.real_time_factor:.4f} s for each second),"
            f" {meter.n_lines} comments, {counts.repeated} held back as repeated,"
            f" staleness {stale_ms:.0f} ms, at most {self._worst_stale_ms:.0f} ms,"
            f" lost {meter.lost_ms / 1000:.1f} s{memory()}"
        )


def _given(params: dict[str, Any], *, fast: bool) -> Given | None:
    """What a reader is to do. Here --window is the picture's, and --ask a vision-language model's
    where no reader is named."""
    mine = {name: value for name, value in params.items() if name != "window"}
    if mine["reader"] is None:
        mine["ask"] = False
    return given(mine, "fast" if fast else "live")


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise UsageError(f"size is {text!r}; give width and height in pixels, as 640x480")
    return int(found[1]), int(found[2])


def _list_cameras() -> None:
    from edgestream.sources.cameras import list_cameras

    cameras = list_cameras()
    if not cameras:
        tell("no camera was found")
    for camera in cameras:
        typer.echo(f"{camera.index:3d}  {camera.name}  ({camera.path})")
