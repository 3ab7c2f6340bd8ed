# SPDX-License-Identifier: Apache-2.0
"""`edgestream doctor`: what is there, what really runs, and the line that mends what does not."""

from __future__ import annotations

import difflib
import platform
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

import edgestream
from edgestream.cli.libraries import Finding, llama_cpp, onnxruntime, opencv
from edgestream.data import DATA
from edgestream.errors import EdgestreamError, UsageError, shown
from edgestream.events import Final
from edgestream.system.process import n_cores

if TYPE_CHECKING:
    from edgestream.sources.picture import Picture

SAMPLE = DATA / "sample.flac"
CROSSING = ["Something red enters from the left", "leaves to the right"]
SELF_TEST_LIKENESS = 0.7  # share of the sample's words that a working installation gets right


def examine() -> bool:
    """Prints the report to stdout; True if captions of a file work on this machine."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    checks: list[Callable[[], Iterator[Finding]]] = [
        _machine,
        llama_cpp,
        onnxruntime,
        opencv,
        _microphones,
        _cameras,
        _self_test,
        _watching_self_test,
    ]
    healthy = True
    for check in checks:
        try:
            findings = list(check())
        except Exception as error:  # a check must never hide the ones after it
            findings = [
                Finding(
                    False,
                    check.__name__.strip("_"),
                    str(error).partition("\n")[0] or type(error).__name__,
                )
            ]
        for ok, what, found in findings:
            healthy &= ok is not False
            mark = {True: "[green]ok  [/]", False: "[red]FAIL[/]", None: "[yellow]note[/]"}[ok]
            console.print(mark, f"{what}:", end=" ")
            console.print(shown(found), markup=False)
    return healthy


def _machine() -> Iterator[Finding]:
    yield Finding(
        True, "edgestream", f"{edgestream.__version__}, Python {platform.python_version()}"
    )
    yield Finding(
        True,
        "machine",
        f"{platform.system()} {platform.machine()}, {n_cores()} threads may be used;"
        " the built-in model uses one",
    )


def _microphones() -> Iterator[Finding]:
    try:
        from edgestream.sources.microphones import list_devices

        devices = list_devices()
    except EdgestreamError as error:
        yield Finding(None, "microphone", str(error).removeprefix("microphone: "))
        return
    if not devices:
        yield Finding(None, "microphone", "none found; captions of files and pipes still work")
    for device in devices:
        default = ", the default" if device.default else ""
        yield Finding(True, f"microphone {device.index}", f"{device.name}{default}")


def _cameras() -> Iterator[Finding]:
    from edgestream.sources.cameras import list_cameras

    try:
        cameras = list_cameras()
    except EdgestreamError as error:
        yield Finding(None, "camera", str(error).removeprefix("camera: "))
        return
    if not cameras:
        yield Finding(None, "camera", "none found; comments on files and streams still work")
    for camera in cameras:
        yield Finding(True, f"camera {camera.index}", f"{camera.name}, {camera.path}")


def _self_test() -> Iterator[Finding]:
    """Captions the bundled sample and compares it with what was spoken."""
    from edgestream.speech.listen import listen

    session = listen(SAMPLE, fast=True)
    heard = " ".join(event.text for event in session if isinstance(event, Final))
    spoken = SAMPLE.with_suffix(".txt").read_text(encoding="utf-8")
    likeness = difflib.SequenceMatcher(None, _words(spoken), _words(heard)).ratio()
    yield Finding(
        likeness >= SELF_TEST_LIKENESS,
        "self-test",
        f"{100 * likeness:.0f} % of the text as spoken,"
        f" {session.meter.real_time_factor:.2f} s of computing for a second of sound",
    )


def _watching_self_test() -> Iterator[Finding]:
    """Comments on a drawn scene and compares them with what happens there."""
    from edgestream.vision.watch import load_watcher

    try:
        stream = load_watcher().stream()
    except UsageError as error:
        if not isinstance(error.__cause__, ImportError):  # which was told above
            raise
        return
    start_s = time.perf_counter()
    comments = [event for event in stream.push(_crossing()) if isinstance(event, Final)]
    share = (time.perf_counter() - start_s) / (stream.heard_ms / 1000)
    said = " ".join(comment.text for comment in comments)
    seen = [what for what in CROSSING if what in said]
    yield Finding(
        seen == CROSSING,
        "watching self-test",
        f"{len(seen)} of the scene's {len(CROSSING)} events seen,"
        f" {share:.2f} s of computing for a second of pictures",
    )


def _crossing() -> Iterator[Picture]:
    """A red disc comes into a grey room from the left and goes out at the right."""
    from edgestream.sources.picture import Picture

    random = np.random.default_rng(0)
    y, x = np.mgrid[:120, :160]
    room = 120 + 30 * np.sin(x / 23) * np.cos(y / 17)
    for turn in range(55):  # 11 s at five pictures a second
        rgb = np.repeat(room[..., None], 3, axis=2) + random.normal(0, 2, (120, 160, 3))
        rgb[(x + 30 - 8 * (turn - 15)) ** 2 + (y - 60) ** 2 < 18**2] = (215, 45, 40)
        yield Picture(rgb.clip(0, 255).astype(np.uint8), 200.0 * turn)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())
