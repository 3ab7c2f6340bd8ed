# SPDX-License-Identifier: Apache-2.0
"""What `model.toml` says of a watcher of tracks: a detector, and how often it looks."""

from __future__ import annotations

from dataclasses import dataclass

from edgestream.library.manifest.manifest import Manifest

MAX_FPS = 10.0  # at more, pictures in a row tell too little of what moves


@dataclass(frozen=True, slots=True)
class TrackedPictureSpec:
    """Pictures a second that are looked at, at most."""

    fps: float = 5.0


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """The detector's file, and the score from which what it finds counts."""

    file: str
    min_score: float = 0.2


@dataclass(frozen=True, slots=True)
class TracksManifest(Manifest):
    """All of the `model.toml` of a watcher of tracks."""

    detector: DetectorSpec
    pictures: TrackedPictureSpec = TrackedPictureSpec()


def tracks_rules(manifest: TracksManifest) -> list[tuple[bool, str]]:
    """Ranges that later stages rely on; each line names what is wrong."""
    return [
        (0.1 <= manifest.pictures.fps <= MAX_FPS, f"pictures.fps must be 0.1 to {MAX_FPS:g}"),
        (0 < manifest.detector.min_score < 1, "detector.min_score must lie between 0 and 1"),
        (manifest.detector.file in manifest.files,
         "detector.file must be listed with its sha256 in [files]"),
    ]  # fmt: skip
