# SPDX-License-Identifier: Apache-2.0
"""A watcher of tracks, loaded once; builds the stages of as many streams as are wanted."""

from __future__ import annotations

from pathlib import Path

from edgestream.errors import UsageError
from edgestream.library.folders import read_verified
from edgestream.library.manifest.tracks import TracksManifest
from edgestream.vision.chattiness import Chattiness
from edgestream.vision.governor import Levers, intervals
from edgestream.vision.perception.detector import Detector, DetectorWeights
from edgestream.vision.perception.perception import Perception
from edgestream.vision.tracked.follower import Follower
from edgestream.vision.tracked.stages import TrackCommentator
from edgestream.vision.tracked.teller import Teller
from edgestream.vision.watcher import Focus, Watcher


class TrackWatcher(Watcher):
    """Weights and manifest of one watcher; may be shared between threads."""

    manifest: TracksManifest

    def __init__(self, folder: Path, *, decoder_device: str | None = None) -> None:
        """Raises ModelError when a file is missing, damaged or of another family."""
        self.folder = folder
        self.manifest = read_verified(folder, TracksManifest)
        if decoder_device is not None:
            raise UsageError(
                f"{self.manifest.name}: has no decoder that could run on {decoder_device};"
                " leave --decoder-device out"
            )
        self.detector = DetectorWeights(folder / self.manifest.detector.file)

    @property
    def answers(self) -> bool:
        """Whether its streams can be asked."""
        return False

    @property
    def fps(self) -> float:
        """Pictures a second that a stream looks at, at most."""
        return self.manifest.pictures.fps

    def _levers(self, fps: float) -> Levers:
        """Fewer pictures; there is nothing else to give up."""
        return Levers((1,), intervals(fps))

    def _commentator(
        self, chattiness: Chattiness, prompt: str | None, fps: float, layout: str | None,
        focus: Focus,
    ) -> TrackCommentator:  # fmt: skip
        self._expect_no(prompt=prompt, layout=layout)
        return TrackCommentator(follower=self.follower(chattiness, focus))

    def follower(self, chattiness: Chattiness, focus: Focus) -> Follower:
        """What follows things in one stream, and says in its own words what they do."""
        detector = Detector(self.detector, min_score=self.manifest.detector.min_score)
        return Follower(
            perception=Perception(detector, focus.zones), teller=Teller(chattiness, focus)
        )
