# SPDX-License-Identifier: Apache-2.0
"""Models in the forms of other programs: what a file or folder is, and the way out.

Nothing is run or parsed but config.json: names and the first bytes tell.
"""

from __future__ import annotations

import os
from collections.abc import Container
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

from edgestream.errors import ModelError
from edgestream.library.json_file import read_json

MAX_FILES = 1000  # of a folder that are looked at
PULL = "edgestream models pull"
WHISPER = f"{PULL} whisper-base.en brings one that runs"
MOONSHINE = f"{PULL} moonshine-tiny brings one that runs"
KYUTAI = f"{PULL} kyutai-stt-1b-en_fr converts the layout that transformers has"
VOXTRAL = f"{PULL} voxtral-mini-4b-realtime converts the layout that transformers has"
PICKLE = "pickled weights, which can run programs when they are opened; save it as safetensors"
CONVERT = "a PyTorch checkpoint; try: edgestream convert"
CTRANSLATE2 = "CTranslate2's (faster-whisper); try: edgestream convert"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Is known by a file of a name like `pattern`, or by `key` in config.json."""

    says: str
    pattern: str = ""
    key: str = ""


# Of a folder the first that fits; the more special ones come first.
DIALECTS = (
    Dialect(f"Kyutai's own layout (moshi, candle, MLX); {KYUTAI}", key="mimi_name"),
    Dialect(f"Kyutai's own layout (moshi, candle, MLX); {KYUTAI}", key="stt_config"),
    Dialect("quantized by MLX; take the checkpoint that it was made of", key="quantization"),
    Dialect(CONVERT, pattern="model*.safetensors*"),
    Dialect(f"Mistral's own layout; {VOXTRAL}", pattern="consolidated*.safetensors"),
    Dialect(f"Voxtral for transformers.js; {VOXTRAL}", pattern="onnx/audio_encoder*.onnx"),
    Dialect(f"Moonshine's streaming layout, a family that edgestream does not run; {MOONSHINE}",
            pattern="*decoder_kv*.ort"),
    Dialect("a transducer (sherpa-onnx, NeMo), a family that edgestream does not run",
            pattern="*join*.onnx"),
    Dialect(f"MLX's; {WHISPER}", pattern="weights.npz"),
    Dialect(f"MLX's; {WHISPER}", pattern="weights.safetensors"),
    Dialect(CTRANSLATE2, pattern="model.bin"),
    Dialect(f"whisper.cpp's ggml; {WHISPER}", pattern="ggml*.bin"),
    Dialect("GGUF of another program; edgestream reads GGUF beside a model.toml, and converts the"
            " checkpoint of which it was made", pattern="*.gguf"),
    Dialect("NeMo's archive, a family that edgestream does not run", pattern="*.nemo"),
    *(Dialect(PICKLE, pattern=each) for each in ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")),
)  # fmt: skip
# First bytes of a file, whatever its name, and a name that it could have.
MAGICS = {b"lmgg": "ggml.bin", b"GGUF": "model.gguf"}


def foreign(path: Path, *, but: Container[str] = ()) -> str:
    """What another program's file, or folder with such a file, is; empty if nothing is known.

    What `but` holds is empty too: what is no surprise, as CONVERT while converting.
    """
    if path.is_file():
        says, met = _of_name(MAGICS.get(_start(path), path.name)), ""
    else:
        says, met = _of_folder(path)
    return "" if not says or says in but else f"is {says}{met}"


def _of_folder(folder: Path) -> tuple[str, str]:
    """What it is, and what tells."""
    names, config = _names(folder), _config(folder)
    for dialect in DIALECTS:
        if dialect.key and dialect.key in config:
            return dialect.says, f" (config.json has {dialect.key})"
        for name in names:
            if dialect.pattern and fnmatch(name, dialect.pattern):
                return dialect.says, f" ({_shown(name)})"
    return "", ""


def _of_name(name: str) -> str:
    found = [each.says for each in DIALECTS if each.pattern and fnmatch(name, each.pattern)]
    return found[0] if found else ""


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError:
        return b""


def _names(folder: Path) -> list[str]:
    """Files of a folder and of `onnx/` in it."""
    found = []
    for place, before in ((folder, ""), (folder / "onnx", "onnx/")):
        try:
            with os.scandir(place) as entries:
                found += [f"{before}{entry.name}" for entry in islice(entries, MAX_FILES)]
        except OSError:
            continue
    return sorted(found)


def _config(folder: Path) -> dict[str, object]:
    try:
        return read_json(folder / "config.json")
    except ModelError:
        return {}


def _shown(name: str) -> str:
    return name if name.isprintable() else repr(name)
