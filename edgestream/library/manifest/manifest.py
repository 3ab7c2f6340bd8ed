# SPDX-License-Identifier: Apache-2.0
"""What `model.toml` says of a model of any family, and the models that ship."""

from __future__ import annotations

import re
from dataclasses import dataclass

SYNTHETIC_MODEL = "synthetic-en"  # a streaming LLM that hears synthetic voices; tests, benchmarks
DEFAULT_MODEL = "whisper-tiny.en"  # ships with the package and hears people
DEFAULT_VOICE, VOICE_OFF = "silero-vad", "off"  # the gate before it, likewise; and none
DEFAULT_COMMENTATOR = "nano-watch"  # likewise
MANIFEST, SOURCE, LOCK = "model.toml", "source.toml", "lock.toml"  # of a model's folder
FORMAT = 1
DECODER_FAMILY = "decoder"  # of folders that `edgestream convert` writes of decoders alone
CONCATENATED = "concatenated"
REENCODED, VOICE = "reencoded", "voice"  # Whisper and Moonshine; a gate before them
COMMENTATOR = "commentator"
TRACKS = "tracks"  # a detector, and what becomes of what it finds
VLM = "vlm"  # vision-language models
# Of a file in a model's folder: good on every system, nothing that a terminal would obey.
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What every `model.toml` says; of a re-encoded model its JSON files say the rest.

    `files` maps each file's name to its sha256; empty in the catalogue alone (see `Source`).
    """

    format: int
    name: str
    family: str
    description: str
    languages: tuple[str, ...]
    license: str
    files: dict[str, str]


def common_rules(manifest: Manifest) -> list[tuple[bool, str]]:
    """Of what a file may say; each line names what is wrong."""
    return [
        (manifest.format == FORMAT, f"format {manifest.format} (this version reads {FORMAT})"),
        (all(text.isprintable() for text in (manifest.name, manifest.description,
                                              manifest.license, *manifest.languages)),
         "name, description, languages and license must be printable, on one line"),
        (all(is_plain_name(name) for name in manifest.files),
         "files must be plain names inside the model's folder"),
        (all(SHA256.fullmatch(sha256) for sha256 in manifest.files.values()),
         "files must have a sha256 of 64 hexadecimal digits"),
    ]  # fmt: skip


def is_plain_name(name: str) -> bool:
    """Whether a model's file may have this name, beside what edgestream puts there."""
    kept = {MANIFEST, SOURCE, LOCK}
    return bool(PLAIN_NAME.fullmatch(name)) and name.casefold() not in kept
