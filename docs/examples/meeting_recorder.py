# SPDX-License-Identifier: Apache-2.0
"""Writes what is said in a meeting as subtitles (SRT), line by line while it is said.

    python meeting_recorder.py notes.srt             # the microphone, until Ctrl-C
    python meeting_recorder.py notes.srt talk.mp3    # a recording, as it plays

Each subtitle is on the disk before the next one begins: if the power fails, what was said until
then is there. A file that is there already is never written over.
"""

import os
import signal
import sys

import edgestream as es


def clock(time_ms):
    """Milliseconds as SRT has them: 01:02:03,004."""
    seconds, ms = divmod(round(time_ms), 1000)
    minutes, s = divmod(seconds, 60)
    h, m = divmod(minutes, 60)
    return f"{h:02}:{m:02}:{s:02},{ms:03}"


def cue(number, start_ms, end_ms, text):
    return f"{number}\n{clock(start_ms)} --> {clock(end_ms)}\n{text}\n\n"


def record(session, path):
    """All lines of a session, and what was lost of it; returns how many subtitles there are."""
    n_cues = 0
    with open(path, "xb", buffering=0) as file:
        for event in session:
            if isinstance(event, es.Final):
                text = event.text
            elif isinstance(event, es.Gap):
                text = f"[lost: {event.reason}]"
            else:
                continue
            n_cues += 1
            file.write(cue(n_cues, event.start_ms, event.end_ms, text).encode())
            os.fsync(file.fileno())
    return n_cues


def main(path, source=None):
    session = es.listen(source)
    signal.signal(signal.SIGINT, lambda *_: session.stop())  # the last words still come
    print(f"{path}: {record(session, path)} subtitles")


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:3])
    except (es.EdgestreamError, OSError) as error:
        sys.exit(f"meeting_recorder: {error}")
