# SPDX-License-Identifier: Apache-2.0
"""The manifest of a model directory, `model.toml`, and strict TOML in general."""

from __future__ import annotations

import dataclasses
import re
import sys
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edgestream.errors import ModelError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_MODEL = "tiny-en"  # ships with the package
MANIFEST, SOURCE, LOCK = "model.toml", "source.toml", "lock.toml"  # of a model's folder
A_MODEL = f"a model is a folder with a {MANIFEST}"
EMBEDDINGS_FILE = "embed_tokens.onnx"  # beside an ONNX decoder; a GGUF file has its own
FORMAT = 1
DECODER_FAMILY = "decoder"  # of folders that `edgestream convert` writes of decoders alone
REENCODED, VOICE = "reencoded", "voice"  # Whisper and Moonshine; a gate before them
FAMILIES = ("concatenated", REENCODED, VOICE)
TOML_LIMIT_BYTES = 64 * 1024  # a real manifest has about one kilobyte
# Of a file in a model's folder: good on every system, nothing that a terminal would obey.
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MelSpec:
    """The log-mel that the encoder was trained on; silence of `lead_samples` comes before the
    input. `scale` htk is natural, slaney is Whisper's (see LogMel)."""

    sample_rate_hz: int
    window_samples: int
    hop_samples: int
    fft_size: int
    n_mels: int
    min_hz: float
    max_hz: float
    log_floor: float
    lead_samples: int = 0
    scale: str = "htk"


@dataclass(frozen=True, slots=True)
class WaveformSpec:
    """An encoder that hears samples as they are: its frames are samples, a frame one number."""

    sample_rate_hz: int
    lead_samples: int = 0

    @property
    def hop_samples(self) -> int:
        """Samples from one frame to the next."""
        return 1

    @property
    def n_mels(self) -> int:
        """Numbers in a frame."""
        return 1


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A streaming encoder: chunks of mel frames in, embeddings out, state carried."""

    file: str
    chunk_frames: int
    left_frames: int
    right_frames: int


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """The decoder and its ring: `n_sinks` rows that stay, `window` rows that move."""

    file: str
    n_sinks: int
    window: int
    step_ms: int

    @property
    def is_onnx(self) -> bool:
        """Whether the file is an ONNX decoder, not GGUF: its name says."""
        return self.file.endswith(".onnx")


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """Tokens with a meaning of their own; only tokens below `n_text` are ever written.

    Without `delay_0`, the token of delay 0, the model has one delay; or, with `prompt_pads`, that
    many PADs and one more for each step of delay are read behind BOS.
    """

    pad: int
    bos: int
    n_text: int
    delay_0: int | None = None
    prompt_pads: int | None = None


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Default delay, its range, and what is taken from the logit of PAD."""

    delay_frames: int
    min_delay_frames: int
    max_delay_frames: int
    pad_bias: float


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


@dataclass(frozen=True, slots=True)
class ConcatenatedManifest(Manifest):
    """All of the `model.toml` of a streaming encoder whose rows enter a decoder."""

    audio: MelSpec | WaveformSpec
    encoder: EncoderSpec
    decoder: DecoderSpec
    tokens: TokenSpec
    policy: PolicySpec


M = TypeVar("M", bound=Manifest)


def read_manifest(path: Path, kind: type[M]) -> M:
    """Reads and checks the `model.toml` of a family that is a `kind`.

    Raises:
        ModelError: it is of another family, or damaged; one line with the path and the key.
    """
    data = parse_toml(path)
    if data.get("family") == DECODER_FAMILY:
        raise ModelError(f"{path}: a decoder alone, which hears nothing; see docs/convert.md")
    short = data.get("family") in (REENCODED, VOICE) or (kind is Manifest and not data.get("files"))
    manifest = _build(Manifest if short else ConcatenatedManifest, data, f"{path}")
    rules = _common_rules(manifest)
    if isinstance(manifest, ConcatenatedManifest):
        rules += _concatenated_rules(manifest)
    if wrong := next((message for holds, message in rules if not holds), None):
        raise ModelError(f"{path}: {wrong}")
    if not isinstance(manifest, kind):
        raise ModelError(f"{path}: family {manifest.family!r}, of which there is no use here")
    return manifest


def read_toml(path: Path, cls: type[T], way_out: str = A_MODEL) -> T:
    """Reads a TOML file into the dataclass `cls`: no key missing, none unknown, types as declared.

    Raises:
        ModelError: no such file (`way_out` says what to do), not TOML, or not of this form; one
            line with the path and the key.
    """
    return _build(cls, parse_toml(path, way_out), f"{path}")


def parse_toml(path: Path, way_out: str = A_MODEL) -> dict[str, Any]:
    """The tables of a TOML file; raises ModelError in one line on what is none."""
    try:
        with path.open("rb") as file:
            text = file.read(TOML_LIMIT_BYTES + 1)
        if len(text) > TOML_LIMIT_BYTES:
            raise ModelError(f"{path}: larger than {TOML_LIMIT_BYTES} bytes, not a {path.name}")
        return tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; {way_out}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, too many digits or levels
        raise ModelError(f"{path}: not valid TOML ({error})".replace("\n", " ")) from None


def _build(cls: type[T], data: object, where: str) -> T:
    """Fills the dataclass `cls` from a table: no key missing, none unknown, types as declared."""
    if not isinstance(data, dict):
        raise ModelError(f"{where}: must be a table")
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    names = [field.name for field in fields]
    needed = [field.name for field in fields if field.default is dataclasses.MISSING]
    if unknown := sorted(set(data) - set(names)):
        raise ModelError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(names)}")
    if missing := [name for name in needed if name not in data]:
        raise ModelError(f"{where}: key {missing[0]!r} is missing")
    values = {name: _convert(hints[name], data[name], f"{where}: {name}") for name in data}
    return cls(**values)


def _convert(kind: Any, value: object, where: str) -> Any:
    if isinstance(kind, types.UnionType):
        kind = _member(kind, value)
    if dataclasses.is_dataclass(kind):
        return _build(typing.cast(type, kind), value, where)
    if kind is float and type(value) is int and abs(value) < 1 << 1000:
        return float(value)
    if kind in (int, float, str) and type(value) is kind:
        return value
    if typing.get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_convert(typing.get_args(kind)[0], item, where) for item in value)
    if typing.get_origin(kind) is dict and isinstance(value, dict):
        item_kind = typing.get_args(kind)[1]
        return {key: _convert(item_kind, item, f"{where}.{key!r}") for key, item in value.items()}
    raise ModelError(f"{where}: {value!r} is not of type {getattr(kind, '__name__', kind)}"[:300])


def _member(kind: types.UnionType, value: object) -> Any:
    """Of `X | Y` the last that has all keys of the table, else the first; of `X | None`, X."""
    members = [each for each in typing.get_args(kind) if each is not types.NoneType]
    keys = set(value) if isinstance(value, dict) else set()
    fits = [each for each in members if keys <= set(getattr(each, "__dataclass_fields__", ()))]
    return [members[0], *fits][-1]


def _common_rules(manifest: Manifest) -> list[tuple[bool, str]]:
    """Of what a file may say; each line names what is wrong."""
    return [
        (manifest.format == FORMAT, f"format {manifest.format} (this version reads {FORMAT})"),
        (manifest.family in FAMILIES, f"family {manifest.family!r} (known: {', '.join(FAMILIES)})"),
        (all(text.isprintable() for text in (manifest.name, manifest.description,
                                              manifest.license, *manifest.languages)),
         "name, description, languages and license must be printable, on one line"),
        (all(is_plain_name(name) for name in manifest.files),
         "files must be plain names inside the model's folder"),
        (all(SHA256.fullmatch(sha256) for sha256 in manifest.files.values()),
         "files must have a sha256 of 64 hexadecimal digits"),
    ]  # fmt: skip


def _concatenated_rules(manifest: ConcatenatedManifest) -> list[tuple[bool, str]]:
    """Ranges that later stages rely on; each line names what is wrong."""
    audio, encoder, decoder = manifest.audio, manifest.encoder, manifest.decoder
    tokens, policy = manifest.tokens, manifest.policy
    return [
        (8000 <= audio.sample_rate_hz <= 192000, "audio.sample_rate_hz must be 8000 to 192000"),
        *(_mel_rules(audio) if isinstance(audio, MelSpec) else ()),
        (0 <= audio.lead_samples <= 1 << 20, "audio.lead_samples must be 0 to 1048576"),
        (0 < encoder.chunk_frames <= 4096, "encoder.chunk_frames must be 1 to 4096"),
        (0 <= encoder.left_frames <= 4096, "encoder.left_frames must be 0 to 4096"),
        (0 <= encoder.right_frames <= 4096, "encoder.right_frames must be 0 to 4096"),
        (0 <= decoder.n_sinks <= 4096, "decoder.n_sinks must be 0 to 4096"),
        (0 < decoder.window <= 1 << 20, "decoder.window must be 1 to 1048576"),
        (encoder.chunk_frames * audio.hop_samples * 1000
         == decoder.step_ms * audio.sample_rate_hz,
         "decoder.step_ms must be encoder.chunk_frames times the hop"),
        (min(tokens.pad, tokens.bos, tokens.delay_0 or 0, tokens.n_text - 1) >= 0,
         "tokens must not be negative"),
        (tokens.prompt_pads is None or tokens.delay_0 is None,
         "tokens.prompt_pads and tokens.delay_0 exclude one another"),
        (0 <= (tokens.prompt_pads or 0) <= 4096, "tokens.prompt_pads must be 0 to 4096"),
        (0 <= policy.min_delay_frames <= policy.delay_frames <= policy.max_delay_frames <= 4096,
         "policy needs 0 <= min_delay_frames <= delay_frames <= max_delay_frames <= 4096"),
        (-100 < policy.pad_bias < 100, "policy.pad_bias must be -100 to 100"),
        ({encoder.file, decoder.file} <= set(manifest.files),
         "encoder.file and decoder.file must be listed with their sha256 in [files]"),
        (not decoder.is_onnx or EMBEDDINGS_FILE in manifest.files,
         f"an ONNX decoder needs {EMBEDDINGS_FILE}, listed with its sha256 in [files]"),
    ]  # fmt: skip


def _mel_rules(audio: MelSpec) -> list[tuple[bool, str]]:
    return [
        (0 < audio.hop_samples <= audio.window_samples <= audio.fft_size <= 1 << 16,
         "audio needs 0 < hop_samples <= window_samples <= fft_size <= 65536"),
        (0 < audio.n_mels <= 512, "audio.n_mels must be 1 to 512"),
        (0 <= audio.min_hz < audio.max_hz <= audio.sample_rate_hz / 2,
         "audio needs 0 <= min_hz < max_hz <= sample_rate_hz / 2"),
        (0 < audio.log_floor < 1, "audio.log_floor must be above 0 and below 1"),
        (audio.scale in ("htk", "slaney"), "audio.scale must be htk or slaney"),
    ]  # fmt: skip


def is_plain_name(name: str) -> bool:
    """Whether a model's file may have this name, beside what edgestream puts there."""
    kept = {MANIFEST, SOURCE, LOCK}
    return bool(PLAIN_NAME.fullmatch(name)) and name.casefold() not in kept
