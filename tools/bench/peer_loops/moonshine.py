# SPDX-License-Identifier: Apache-2.0
"""moonshine-voice with its own loop, voice detection and tiny English model, as installed."""

from __future__ import annotations

import numpy as np
from child import serve
from moonshine_voice import ModelArch, Transcriber, TranscriptEventListener, get_model_path

RATE_HZ = 16000


class Lines(TranscriptEventListener):
    def __init__(self) -> None:
        self.completed: list[str] = []
        self.draft: str | None = None

    def on_line_text_changed(self, event: object) -> None:
        self.draft = event.line.text

    def on_line_completed(self, event: object) -> None:
        self.completed.append(event.line.text)
        self.draft = ""


class Moonshine:
    def __init__(self) -> None:
        self._transcriber = Transcriber(str(get_model_path("tiny-en")), ModelArch.TINY)
        self._stream = None

    def push(self, samples: np.ndarray) -> tuple[str, str | None]:
        if self._stream is None:
            self._lines = Lines()
            self._stream = self._transcriber.create_stream(update_interval=0.5)
            self._stream.add_listener(self._lines)
            self._stream.start()
        self._stream.add_audio(samples.tolist(), RATE_HZ)
        return self._taken()

    def finish(self) -> tuple[str, str | None]:
        self._stream.stop()
        self._stream.close()
        self._stream = None
        committed, _ = self._taken()
        return committed, ""

    def _taken(self) -> tuple[str, str | None]:
        committed, draft = " ".join(self._lines.completed), self._lines.draft
        self._lines.completed, self._lines.draft = [], None
        return committed, draft


if __name__ == "__main__":
    serve(Moonshine())
