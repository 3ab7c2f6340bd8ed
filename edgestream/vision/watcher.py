# SPDX-License-Identifier: Apache-2.0
"""A model that watches, loaded once; opens as many streams as are wanted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgestream.errors import ModelError, UsageError
from edgestream.library.manifest.manifest import MANIFEST, Manifest
from edgestream.sources.picture import expect_fps
from edgestream.system.native_work import native_work
from edgestream.system.one_process import OneProcess
from edgestream.vision.chattiness import USUAL, Chattiness
from edgestream.vision.governor import Governor, Levers
from edgestream.vision.labels import expect_labels
from edgestream.vision.stages import Commentator
from edgestream.vision.stream import PictureStream
from edgestream.vision.zones import Zones


@dataclass(frozen=True, slots=True)
class Focus:
    """What of the picture is told of: parts of it, and classes of things; all where None."""

    zones: Zones | None = None
    only: tuple[str, ...] | None = None


class Watcher(OneProcess, ABC):
    """Weights and manifest of a model of any family; may be shared between threads."""

    ELSEWHERE = "send model.folder, and load_watcher() it there"
    folder: Path
    manifest: Manifest

    @property
    @abstractmethod
    def fps(self) -> float:
        """Pictures a second that a stream looks at, at most."""

    @property
    @abstractmethod
    def answers(self) -> bool:
        """Whether its streams can be asked."""

    @native_work()
    def stream(
        self,
        *,
        chattiness: float | None = None,
        prompt: str | None = None,
        fps: float | None = None,
        now_ms: Callable[[], float] | None = None,
        keep_up: bool = False,
        layout: str | None = None,
        zones: Zones | None = None,
        only: tuple[str, ...] | None = None,
    ) -> PictureStream:
        """A new stream over these weights.

        Args:
            chattiness: 0 (what is sure and new) to 1 (all that it can see); 0.5 if None.
            prompt: what the model is told beside its own instructions, if its family is told any.
            fps: at most so many pictures a second are looked at, never more than it knows.
            now_ms: the clock of the pictures' times, which tells how stale a comment is.
            keep_up: gives things up, with a Lag for each, so that comments stay younger than two
                seconds by that clock; what is said then depends on the machine's speed.
            layout: how pictures and comments share the memory, one of LAYOUTS, if its family has
                the choice; as model.toml says if None. All but `interleaved` warn: a model that was
                not trained so may get worse.
            zones: named parts of the picture and parts that are not looked at, if its family knows
                where things are.
            only: of which classes of LABELS things are told, if its family knows them.

        Raises:
            UsageError: a value is out of range; the message names the range.
        """
        expect_fps(fps)
        expect_labels(only)
        fps = self.fps if fps is None else min(fps, self.fps)
        wanted = Chattiness(USUAL if chattiness is None else chattiness)
        try:
            commentator = self._commentator(wanted, prompt, fps, layout, Focus(zones, only))
        except ValueError as error:  # numbers of the manifest that the native stages cannot serve
            raise ModelError(f"{self.folder / MANIFEST}: {error}") from None
        governor = Governor(self._levers(fps)) if keep_up else None
        return PictureStream(commentator, fps=fps, now_ms=now_ms, governor=governor)

    @abstractmethod
    def _commentator(
        self, chattiness: Chattiness, prompt: str | None, fps: float, layout: str | None,
        focus: Focus,
    ) -> Commentator:  # fmt: skip
        """The stages of one stream."""

    def _expect_no(self, **options: object) -> None:
        """Raises UsageError where one of the options, which this family does not know, is given."""
        for option, value in options.items():
            if value is not None:
                raise UsageError(f"{self.manifest.name}: takes no {option}; leave it out")

    @abstractmethod
    def _levers(self, fps: float) -> Levers:
        """What it can give up."""
