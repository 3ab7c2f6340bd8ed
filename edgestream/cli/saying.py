# SPDX-License-Identifier: Apache-2.0
"""`--say`: what a reader writes is spoken while it is written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgestream.events import Alert, Answer, Event, Note, Translation, TranslationDraft
from edgestream.system.process import tell

if TYPE_CHECKING:
    from edgestream.sources.half_duplex import Mute
    from edgestream.speaking.speaker import Speaker


@dataclass(frozen=True, slots=True)
class Saying:
    """How it is spoken: `path` is a WAV file instead of the loudspeaker `device`.

    `live`: old clauses are skipped where speech falls behind; otherwise all is spoken.
    """

    language: str
    translation: bool
    voice: str | None
    device: str | None
    path: Path | None
    live: bool


class Spoken:
    """Speaks translations as far as they are committed, or else answers, notes and alerts."""

    def __init__(self, speaker: Speaker, *, translation: bool) -> None:
        self._speaker = speaker
        self._translation = translation
        self._n_said = 0  # characters of the line being translated

    def push(self, events: list[Event], newest: object = None) -> None:
        """Gives the speaker what is new; never waits."""
        for event in events:
            if isinstance(event, TranslationDraft):
                self._say_more(event.text[: event.n_final])
            elif isinstance(event, Translation):
                self._say_more(event.text)
                self._speaker.push("\n")
                self._n_said = 0
            elif not self._translation and isinstance(event, (Answer, Note)):
                self._speaker.push(f"{event.text}\n")
            elif not self._translation and isinstance(event, Alert):
                self._speaker.push(f"{event.alert}: {event.line}\n")

    def finish(self) -> None:
        """Speaks the rest and waits for it; Ctrl-C ends that."""
        try:
            self._speaker.finish()
        finally:
            self._speaker.stop()

    def _say_more(self, text: str) -> None:
        if len(text) > self._n_said:
            self._speaker.push(text[self._n_said :])
            self._n_said = len(text)


@contextmanager
def speaking(how: Saying, mute: Mute) -> Iterator[Spoken]:
    """Raises UsageError, DeviceError or OutputError where nothing can be spoken so."""
    from edgestream.speaking.loudspeaker import LoudspeakerOutput
    from edgestream.speaking.open import open_engine
    from edgestream.speaking.outputs import Output, WavOutput
    from edgestream.speaking.speaker import BEHIND_S, SETTLE_S, Speaker

    engine = open_engine(how.voice)
    engine.expect(how.language)  # before a file is made for it
    output: Output = WavOutput(how.path) if how.path else LoudspeakerOutput(how.device, mute)
    speaker = Speaker(
        engine, output, language=how.language, told=tell,
        behind_s=BEHIND_S if how.live else math.inf,
        settle_s=SETTLE_S if how.live else math.inf,
    )  # fmt: skip
    with speaker:
        yield Spoken(speaker, translation=how.translation)
