# SPDX-License-Identifier: Apache-2.0
"""The server's own microphone, file or camera, opened once to see that it can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgestream.serve.live import Live
from edgestream.serve.models import Models
from edgestream.sources.sound_file import FileSource


def hearing(path: Path | None, device: str | None) -> Callable[[Models], Live]:
    """A microphone, or a file at its own pace. Raises EdgestreamError: it cannot be used."""
    if path is None:
        from edgestream.sources.microphones import find_device

        name = find_device(device).name
    else:
        FileSource(path, pace=False).close()
        name = path.name

    def made(models: Models) -> Live:
        from edgestream.speech.listen import listen

        kind = "microphone" if path is None else "file"
        model = models[models.default]
        again = path is None
        return Live(kind, name, lambda: listen(path, device=device, model=model), again=again)

    return made


def watching(source: str) -> Callable[[Models], Live]:
    """A camera, an address or a video file, as `edgestream watch` names them."""
    from edgestream.sources.capture import is_address, is_camera, is_pipeline
    from edgestream.sources.open_pictures import open_pictures
    from edgestream.vision.watch import watch

    given: str | int = int(source) if source.isdigit() else source
    again = is_camera(given) or is_address(str(given))
    if not again:
        open_pictures(given, fast=False).close()  # a file that cannot be read is told now
    # A password may be in an address, and in a pipeline that has one.
    secret = source if is_address(source) or is_pipeline(source) else ""
    name = "camera" if again or secret else Path(source).name
    return lambda _: Live(
        "camera", name, lambda: watch(given, every_picture=True), again=again, secret=secret
    )
