# SPDX-License-Identifier: Apache-2.0
"""`watch()`: a source of pictures, a model that watches and a session in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import cv2

from edgestream.errors import UsageError
from edgestream.library.families import PICTURES
from edgestream.library.manifest.concatenated import DEFAULT_COMMENTATOR
from edgestream.library.open import open_model
from edgestream.session import Session
from edgestream.sources.camera import CameraSource
from edgestream.sources.capture import is_address, is_camera, is_pipeline, open_capture
from edgestream.sources.picture import PictureSource
from edgestream.sources.video_file import VideoFileSource
from edgestream.system.checks import whole
from edgestream.vision.asking import AskedSession
from edgestream.vision.stream import PictureStream

MAX_SIDE_PX = 99_999  # that a camera is asked for


class Watcher(Protocol):
    """A model that watches, of any family."""

    folder: Path

    @property
    def fps(self) -> float: ...

    @property
    def answers(self) -> bool:
        """Whether its streams can be asked."""

    def stream(
        self,
        *,
        chattiness: float | None = None,
        prompt: str | None = None,
        fps: float | None = None,
        now_ms: Callable[[], float] | None = None,
        keep_up: bool = False,
    ) -> PictureStream:
        """A new stream over the model's weights."""


def load_watcher(
    name: str | os.PathLike[str] = DEFAULT_COMMENTATOR, *, decoder_device: str | None = None
) -> Watcher:
    """Loads a model that watches, by name (shipped with edgestream, or pulled) or from its folder.

    `decoder_device` computes its decoder, as for `load()`.

    Raises:
        ModelError: there is no such model, it does not watch, or its files are damaged.
    """
    watcher: Watcher = open_model(name, PICTURES, decoder_device)
    return watcher


def watch(
    source: str | int | os.PathLike[str] | PictureSource | None = None,
    *,
    model: str | os.PathLike[str] | Watcher = DEFAULT_COMMENTATOR,
    chattiness: float | None = None,
    prompt: str | None = None,
    fast: bool = False,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    every_picture: bool = False,
    questions: Iterable[str] | None = None,
    decoder_device: str | None = None,
) -> Session[PictureSource, PictureStream]:
    """Comments on a camera, a stream, a video file or any other source, as an iterator of events.

    Args:
        source: as of `open_pictures`, or any PictureSource.
        model: name, folder, or a model that is loaded already.
        chattiness: 0 (what is sure and new) to 1 (all that it can see); 0.5 if None.
        prompt: what the model is told beforehand, if its family is told anything.
        fast: read a file as fast as possible instead of at its own pace, and say the same on any
            machine; otherwise things are given up where it is slow, so that comments stay young.
        fps: at most so many pictures a second are looked at; as many as the model knows if None.
        size: (width, height) to ask of a camera, which may choose another.
        every_picture: the source gives all of its pictures, for a program that shows them too.
        questions: lines that are answered as they come, from what is known then; read on a thread.
        decoder_device: as for `load()`; not of a model that is loaded already.

    Returns:
        A Session: iterate over it with `for` or `async for`; `stop()` ends it.

    Raises:
        EdgestreamError: the source or the model cannot be used; the message says the way out.
    """
    if isinstance(model, (str, os.PathLike)):
        model = load_watcher(model, decoder_device=decoder_device)
    elif decoder_device is not None:
        raise UsageError("decoder_device: this model is loaded already; give it to load_watcher()")
    if questions is not None and not model.answers:
        raise UsageError(f"{model.folder.name}: answers no questions; leave them (--ask) out")
    clock = _Clock()
    stream = model.stream(
        chattiness=chattiness, prompt=prompt, fps=fps, now_ms=clock.now_ms, keep_up=not fast
    )
    if source is None or isinstance(source, (str, int, os.PathLike)):
        where = os.fspath(source) if isinstance(source, os.PathLike) else source
        taken = None if every_picture else model.fps if fps is None else fps
        source = open_pictures(where, fast=fast, fps=taken, size=size)
    if not hasattr(source, "now_ms"):
        raise UsageError(
            f"source: {type(source).__name__} cannot be used; give a camera, address or path"
        )
    clock.source = source
    if questions is not None:
        return AskedSession(source, stream, questions)
    return Session(source, stream)


class _Clock:
    """The source's clock for a stream that is made, and found to be possible, before the source."""

    source: PictureSource

    def now_ms(self) -> float:
        return self.source.now_ms


def open_pictures(
    where: str | int | None = None,
    *,
    fast: bool = False,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
) -> PictureSource:
    """Pictures of a camera, a stream or a video file, as an iterator of Pictures and Gaps.

    Args:
        where: a camera's number (None: 0) or /dev/video*, a GStreamer pipeline ending in appsink,
            an rtsp or http address, or the path of a video file.
        fast: read a file as fast as possible instead of at its own pace.
        fps: at most so many pictures a second.
        size: (width, height) to ask of a camera, which may choose another.

    Raises:
        DeviceError: a camera, pipeline or address cannot be opened now.
        SourceError: the file is missing or is no video.
        UsageError: an option that cannot be met by this source.
    """
    source = 0 if where is None else where
    if isinstance(source, str) and source.isdecimal():
        source = int(source)
    if isinstance(source, bool) or not isinstance(source, (str, int, os.PathLike)):
        raise UsageError(f"source: {source!r:.40} cannot be used; give a camera, address or path")
    if size is not None and (not isinstance(size, tuple) or len(size) != 2):
        raise UsageError(f"size is {size!r:.40}; give (width, height) in pixels")
    for side in size or ():
        whole(side, "size", 1, MAX_SIDE_PX)
    if size is not None and not is_camera(source):
        raise UsageError(f"{source}: a size can only be asked of a camera; leave it out")
    if isinstance(source, int) or is_camera(source) or is_pipeline(source):
        return _live(source, fast, fps, size)
    if is_address(source) and not _ends(source):
        return _live(source, fast, fps, size)
    return VideoFileSource(source, pace=not fast, fps=fps)


def _live(
    source: str | int, fast: bool, fps: float | None, size: tuple[int, int] | None
) -> CameraSource:
    if fast:
        raise UsageError(f"{source}: only a file can be read fast; this goes at the world's pace")
    return CameraSource(source, fps=fps, size=size)


def _ends(address: str) -> bool:
    """Whether a file lies behind an http address, which states a number of pictures."""
    if address.lower().startswith("rtsp"):
        return False
    capture = open_capture(address)
    if capture is None:
        return False
    n_pictures = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return n_pictures > 0
