# SPDX-License-Identifier: Apache-2.0
"""Which recordings are meant: files by name, and what sounds in a folder and the folders in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

# Of files that libsndfile opens.
SOUND = (
    ".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".aifc", ".au",
    ".snd", ".caf", ".rf64", ".w64", ".voc", ".sph",
)  # fmt: skip
# Of files with sound that it does not. Whoever has such should hear that they are left out.
OTHERS = (
    ".m4a", ".aac", ".wma", ".amr", ".mka", ".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of sound, and the `name` of its captions below the output folder, suffix left out."""

    path: Path
    name: Path


@dataclass(slots=True)
class Found:
    """What there is: the recordings in order; sources that cannot be used, and why; remarks."""

    recordings: list[Recording] = field(default_factory=list)
    unusable: list[tuple[Path, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def find_recordings(sources: Iterable[str | os.PathLike[str]]) -> Found:
    """Files as they are named; of folders the files in SOUND, sorted, hidden ones left out.

    A file that is named twice counts once. Links to folders are not followed.
    """
    found = Found()
    for source in map(Path, sources):
        if source.is_dir():
            _walk(source, found)
        else:
            found.recordings.append(Recording(source, Path(source.name)))
    known: dict[str, Recording] = {}
    for recording in found.recordings:
        known.setdefault(os.path.abspath(recording.path), recording)
    found.recordings = list(known.values())
    return found


def _walk(folder: Path, found: Found) -> None:
    n_before = len(found.recordings) + len(found.unusable)
    left_out: Counter[str] = Counter()

    def refuse(error: OSError) -> None:
        found.unusable.append((Path(error.filename), f"cannot be read: {error.strerror}"))

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(place, name) for name in sorted(names) if not name.startswith(".")):
            suffix = path.suffix.lower()
            if suffix in SOUND:
                found.recordings.append(Recording(path, path.relative_to(folder)))
            left_out[suffix] += suffix in OTHERS
    if n_left_out := left_out.total():
        kinds = " ".join(sorted(kind for kind, count in left_out.items() if count))
        found.remarks.append(
            f"{folder}: {n_left_out} files are left out ({kinds});"
            " each can be made sound that is read here: ffmpeg -i NAME NAME.wav"
        )
    if len(found.recordings) + len(found.unusable) == n_before:
        found.unusable.append((folder, "no sound files in it (wav, flac, ogg, mp3 ...)"))
