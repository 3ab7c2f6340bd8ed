# SPDX-License-Identifier: Apache-2.0
"""Takes a PNG of the page of `edgestream serve`, SECONDS after somebody began to speak into it.

    python tools/pictures/page_picture.py docs/serve.png 27 recording.flac ...

The recordings go into the microphone of a Chromium, one after the other; the words are those of the
default model. Nothing of it is touched up.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))

from chromium import Watched, chromium, hearing
from served import Served

SIZE = {"width": 1200, "height": 640}
PAUSE_S = 0.8


def main() -> None:
    path, seconds, recordings = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        write(wav, recordings)
        served = Served()
        with chromium(*hearing(wav)) as browser:
            page = Watched(browser, served.address).open(viewport=SIZE, permissions=["microphone"])
            page.click("#start")
            page.wait_for_timeout(1000 * seconds)
            page.screenshot(path=path)
        served.stop()


def write(wav: Path, recordings: list[str]) -> None:
    """All of them in one WAV file, with pauses."""
    parts = []
    for each in recordings:
        samples, rate_hz = soundfile.read(each, dtype="int16")
        parts += [samples, np.zeros(int(PAUSE_S * rate_hz), np.int16)]
    soundfile.write(wav, np.concatenate(parts), rate_hz)


if __name__ == "__main__":
    main()
