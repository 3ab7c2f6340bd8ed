# SPDX-License-Identifier: Apache-2.0
"""Recordings with known words to a folder of speech that benchmarks take, with the words' ends.

    python tools/bench/word_ends.py FOLDER OUT [--without PREFIX]

FOLDER has an index.tsv (file, speaker, licence, words). OUT gets the recordings as FLAC, mono at
16 kHz, and a speech.jsonl. The ends are those that faster-whisper with the base model hears on the
whole recording, put to the known words by an alignment: for all systems the same, and of none of
those that are compared. A word that it heard otherwise has the end of what it heard in its place;
one that it did not hear, and all but the last of words that are one there ("1450"), have none.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile
from peer_loops.environment import python_of, weights_of

from edgestream.scoring.clips import INDEX, RATE_HZ, TABLE, read_samples
from edgestream.scoring.words import align, spoken_parts, spoken_words

HERE = Path(__file__).parent / "peer_loops"


def heard_words(files: list[Path]) -> Iterator[list[tuple[str, float]]]:
    """The words of each file and their ends in seconds."""
    command = [python_of("faster-whisper"), HERE / "word_times.py", weights_of("base")]
    paths = "".join(f"{path}\n" for path in files)
    found = subprocess.run(command, input=paths, text=True, check=True, stdout=subprocess.PIPE)
    for line in found.stdout.splitlines():
        yield json.loads(line)


def word_ends_s(text: str, heard: list[tuple[str, float]]) -> list[float | None]:
    """For each spoken word of the text; None where it is not known."""
    reference, parts = spoken_words(text), spoken_parts([word for word, _ in heard])
    ends: list[float | None] = [None] * len(reference)
    for i, j in align(reference, [word for word, _ in parts]):
        if i is not None and j is not None:
            ends[i] = round(heard[parts[j][1]][1], 3)
    behind = [*ends[1:], None]
    return [end if end != after else None for end, after in zip(ends, behind, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--without", default=None, help="leave out files that begin so")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with open(args.folder / TABLE, encoding="utf-8", newline="") as table:
        rows = list(csv.reader(table, delimiter="\t"))
    rows = [row for row in rows if not (args.without and row[0].startswith(args.without))]
    files = []
    for name, *_ in rows:
        files.append((args.out / name).with_suffix(".flac").resolve())
        soundfile.write(files[-1], read_samples(args.folder / name), RATE_HZ, subtype="PCM_16")
    with open(args.out / INDEX, "w", encoding="utf-8") as index:
        for path, (_, speaker, licence, text), heard in zip(
            files, rows, heard_words(files), strict=True
        ):
            row: dict[str, Any] = {
                "file": path.name,
                "voice": speaker.partition(" (")[0],
                "text": text,
            }
            row |= {"licence": licence, "word_ends_s": word_ends_s(text, heard)}
            print(json.dumps(row, ensure_ascii=False), file=index)
            print(f"{path.name}: {len(heard)} words heard")


if __name__ == "__main__":
    main()
