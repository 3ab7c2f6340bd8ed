# SPDX-License-Identifier: Apache-2.0
"""`watch()`: a source of pictures, a model that watches and a session in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime

from edgestream.errors import UsageError
from edgestream.library.families import PICTURES
from edgestream.library.manifest.manifest import DEFAULT_COMMENTATOR
from edgestream.library.open import open_model
from edgestream.session import Session
from edgestream.sources.picture import PictureSource
from edgestream.vision.asking import AskedSession
from edgestream.vision.stream import PictureStream
from edgestream.vision.watcher import Watcher
from edgestream.vision.zones import Zones


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
    zones: Zones | None = None,
    only: tuple[str, ...] | None = None,
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
        fps: at most so many pictures a second are looked at, never more than the model knows.
        size: (width, height) to ask of a camera, which may choose another.
        every_picture: the source gives all of its pictures, for a program that shows them too.
        zones: named parts of the picture and parts that are not looked at, as of `read_zones`, if
            the model's family knows where things are.
        only: classes of things that are told of, as ("person", "vehicle"), if it knows them.
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
    stream = model.stream(  # before the source: a wrong option opens no camera
        chattiness=chattiness, prompt=prompt, fps=fps, now_ms=lambda: opened.now_ms,
        keep_up=not fast, zones=zones, only=only,
    )  # fmt: skip
    if source is None or isinstance(source, (str, int, os.PathLike)):
        from edgestream.sources.open_pictures import open_pictures  # OpenCV where it is needed

        taken = None if every_picture else min(fps or model.fps, model.fps)
        opened = open_pictures(source, fast=fast, fps=taken, size=size)
    elif hasattr(source, "now_ms"):
        opened = source
    else:
        raise UsageError(
            f"source: {type(source).__name__} cannot be used; give a camera, address or path"
        )
    if opened.live:
        stream.wall_clock = _local_time
    if questions is not None:
        return AskedSession(opened, stream, questions)
    return Session(opened, stream)


def _local_time() -> datetime:
    return datetime.now().astimezone()
