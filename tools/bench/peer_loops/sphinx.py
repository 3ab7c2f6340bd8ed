# SPDX-License-Identifier: Apache-2.0
"""pocketsphinx as installed: its hypothesis so far is a draft, what stands at the end stays."""

from __future__ import annotations

import numpy as np
import pocketsphinx
from child import serve

RATE_HZ = 16000


class Sphinx:
    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(samprate=RATE_HZ, loglevel="FATAL")
        self._speaking = False

    def push(self, samples: np.ndarray) -> tuple[str, str | None]:
        if not self._speaking:
            self._decoder.start_utt()
            self._speaking = True
        pcm = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.process_raw(pcm, False, False)
        return "", self._text()

    def finish(self) -> tuple[str, str | None]:
        self._decoder.end_utt()
        self._speaking = False
        return self._text(), ""

    def _text(self) -> str:
        found = self._decoder.hyp()
        return found.hypstr if found else ""


if __name__ == "__main__":
    serve(Sphinx())
