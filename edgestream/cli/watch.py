# SPDX-License-Identifier: Apache-2.0
"""`edgestream watch`: comments on what a camera sees."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from edgestream.cli.run import Format, memory, one_line_errors, output_beside, run
from edgestream.errors import UsageError
from edgestream.library.manifest.concatenated import DEFAULT_COMMENTATOR
from edgestream.system.process import tell

if TYPE_CHECKING:
    from edgestream.events import Event
    from edgestream.session import Session
    from edgestream.sources.picture import PictureSource
    from edgestream.vision.stream import PictureStream

RECENT = 1000  # comments whose staleness is kept for the median


def watch(
    source: Annotated[
        str | None,
        typer.Argument(
            help="Camera number, GStreamer pipeline, rtsp:// or http:// address, or video file."
            " Default: camera 0."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option("-m", "--model", help="Name or folder.")
    ] = DEFAULT_COMMENTATOR,
    prompt: Annotated[
        str | None, typer.Option(help="What the model is told beforehand, if it takes it.")
    ] = None,
    chattiness: Annotated[
        float | None, typer.Option(help="0 (what is sure and new) to 1 (all it can see); 0.5.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="At most so many pictures a second are looked at.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Asked of a camera: 640x480.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Run a file as fast as possible.")] = False,
    decoder_device: Annotated[
        str | None, typer.Option(help="That runs the decoder: cpu, auto (a GPU), CUDA0 ...")
    ] = None,
    list_cameras: Annotated[
        bool, typer.Option("--list-cameras", help="Show the cameras and exit.")
    ] = False,
    ask: Annotated[
        bool, typer.Option("--ask", help="Answer the questions that are typed while it runs.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How comments are written.")] = Format.text,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File, written as comments come; - for stdout."),
    ] = None,
    window: Annotated[
        bool, typer.Option("--window", help="Show the picture with the comments under it.")
    ] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Figures at the end, on stderr.")] = False,
) -> None:
    """Live comments on a camera, a stream or a video file."""
    with one_line_errors():
        if list_cameras:
            _list_cameras()
            return
        output = output_beside(source, output, asked=ask)
        from edgestream.outlets.screen import activity
        from edgestream.vision.watch import watch as start

        session = start(
            source, model=model, prompt=prompt, chattiness=chattiness, fps=fps, fast=fast,
            size=None if size is None else _size(size), every_picture=window,
            questions=_typed() if ask else None, decoder_device=decoder_device,
        )  # fmt: skip
        figures = Figures(session)
        with _shown(session, window) as show:
            run(
                session,
                format,
                output,
                lambda: activity(figures.pictures_per_s, 1 - session.stream.counts.dropped_before),
                sense="seen",
                see=(figures.push, show),
            )
        if stats:
            tell(str(figures))


@contextmanager
def _shown(
    session: Session[PictureSource, PictureStream], wanted: bool
) -> Iterator[Callable[[list[Event]], None]]:
    """What shows the events and the newest picture, if that is wanted."""
    if not wanted:
        yield lambda _: None
        return
    from edgestream.outlets.window import Window
    from edgestream.sources.picture import Picture

    try:
        window = Window(f"edgestream watch {session.source.name}", session.stop)
    except BaseException:
        session.source.close()
        raise

    def show(events: list[Event]) -> None:
        if isinstance(session.newest, Picture):
            window.show(session.newest.rgb)
        window.push(events)

    try:
        yield show
    finally:
        window.finish()


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
            f" (real-time factor {meter.real_time_factor:.4f}),"
            f" {meter.n_lines} comments, {counts.repeated} held back as repeated,"
            f" staleness {stale_ms:.0f} ms, at most {self._worst_stale_ms:.0f} ms,"
            f" lost {meter.lost_ms / 1000:.1f} s{memory()}"
        )


def _typed() -> Iterator[str]:
    """Lines of stdin, read without a lock that the interpreter would miss at its end."""
    with suppress(OSError), open(0, "rb", buffering=0, closefd=False) as stdin:
        for line in stdin:  # until a terminal that is closed, too
            yield line.decode("utf-8", "replace")


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
