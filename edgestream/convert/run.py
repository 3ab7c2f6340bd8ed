# SPDX-License-Identifier: Apache-2.0
"""A checkpoint becomes a model's folder: found, converted, compared, put in place whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.models.ctranslate2_whisper import CTranslate2Checkpoint, is_ctranslate2
from edgestream.convert.registry import Compared, Converter, find_converter
from edgestream.convert.request import Request
from edgestream.errors import ConversionError, OperationError, OutputError, UsageError
from edgestream.hub.fit import mb
from edgestream.library import folders
from edgestream.library.manifest.manifest import MANIFEST, PLAIN_NAME, Manifest
from edgestream.library.manifest.read import read_manifest
from edgestream.library.progress import Progress, Tell
from edgestream.library.whole_folder import locked, whole_folder
from edgestream.system.names import native_name
from edgestream.system.process import address_space

IN_GRAPHS = ("whisper", "moonshine")  # written as ONNX whatever is asked for
COPIES = 6  # of all weights at once, while a graph is made
NEEDED = ("gguf", "ml_dtypes", "onnx", "safetensors", "sentencepiece")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asks for; None is what is usual for the model."""

    to: str | None
    quant: str | None
    verify: bool
    n_threads: int
    encoder_quant: str | None = None


def convert(source: str, out: Path, wish: Wish, *, tell: Tell, progress: Progress) -> None:
    """Converts `source` into the folder `out`: a checkpoint's folder, `owner/name` on a hub or a
    name of the catalogue; for `encoder_quant`, a model's name or folder.

    Raises:
        UsageError: `out` exists, a package is missing, or the wish cannot be met.
        ModelError: the checkpoint is damaged or not supported.
        ConversionError: the result is further from its source than its type of weights allows.
        HubError, OutputError: the hub or the disk failed.
    """
    require_packages("convert")
    for name in (source, out):
        native_name(name, UsageError)
    with new_folder(out) as folder:
        work = _shrink_encoder if wish.encoder_quant else _convert_checkpoint
        before, compared = work(source, folder, out.name, wish, progress)
        if compared is not None:
            tell(str(compared))
            if not compared.holds:
                raise ConversionError(f"{source}: the result is too far from it; nothing is kept")
        after = sum(file.stat().st_size for file in folder.iterdir())
    tell(f"{out}: {mb(before)} became {mb(after)}")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """An empty folder that becomes `out` if the block ends well, and vanishes if it does not, with
    the folders above that were made for it.

    What a killed conversion left is removed by the next one to the same place.

    Raises:
        UsageError: `out` exists, or another process is converting to it.
        OutputError: the disk failed.
    """
    out = Path(os.path.abspath(out))
    part = out.with_name(f".{out.name}.part")
    made = [above for above in out.parents if not above.exists()]  # the innermost first

    def refuse() -> None:
        raise UsageError(f"{out}: another process is converting to it")

    try:
        with locked(out, refuse) as lock_file:
            try:
                if os.path.lexists(out):
                    raise UsageError(f"{out}: exists already; choose another folder or remove it")
                shutil.rmtree(part, ignore_errors=True)
                with whole_folder(out, part):
                    yield part
            finally:
                with suppress(OSError):  # one that is not empty is somebody else's too
                    lock_file.unlink()
                    for above in made:
                        above.rmdir()
    except OSError as error:
        said = error.strerror or f"{error}; is the disk full?"  # numpy tells bytes, no cause
        raise OutputError(f"{out}: cannot be written ({said})") from None


def require_packages(what: str) -> None:
    """Raises UsageError naming the packages that converting needs and that are not installed."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UsageError(
            f"{what}: {', '.join(missing)} is missing; pip install 'edgestream[convert]'"
        )


def entry_of(name: str) -> Manifest | None:
    """What the catalogue says of the model `name`; None if it does not have it."""
    folder = folders.catalogue().get(name)
    return read_manifest(folder / MANIFEST, Manifest) if folder else None


def write_model(
    checkpoint: Checkpoint, folder: Path, request: Request, progress: Progress
) -> tuple[int, Converter]:
    """Writes the model of a checkpoint; the bytes of the source's weights, and who converted."""
    converter = find_converter(checkpoint)
    with checkpoint.opened():
        _expect_room(checkpoint)
        converter.write(checkpoint, folder, request, progress)
        return checkpoint.n_bytes, converter


def _expect_room(checkpoint: Checkpoint) -> None:
    """Raises OperationError where the system's limit leaves too little memory for an ONNX graph
    with these weights: protobuf, which holds it, ends the process then."""
    room = address_space() - psutil.Process().memory_info().vms
    if checkpoint.model_type in IN_GRAPHS and room < COPIES * checkpoint.n_bytes:
        raise OperationError(
            f"{checkpoint.folder}: not enough memory: its {mb(checkpoint.n_bytes)} need"
            f" {mb(COPIES * checkpoint.n_bytes)} while they are converted; raise the limit"
            " (ulimit -v)"
        )


def _convert_checkpoint(
    source: str, folder: Path, name: str, wish: Wish, progress: Progress
) -> tuple[int, Compared | None]:
    """Bytes of the source's weights, and how near the result is, if that is asked for."""
    if wish.verify:
        from edgestream.convert.verify.source import require_transformers

        require_transformers()
    checkpoint, origin, entry = _find(source, progress)
    request = Request(name, origin, wish.to, wish.quant, wish.n_threads, entry)
    before, converter = write_model(checkpoint, folder, request, progress)
    return before, converter.compare(checkpoint, folder) if wish.verify else None


def _shrink_encoder(
    source: str, folder: Path, name: str, wish: Wish, progress: Progress
) -> tuple[int, Compared | None]:
    """Bytes of the source's files, and how near the result is, if that is asked for."""
    from edgestream.convert.shrink import compare_words, write_with_small_encoder

    if wish.quant:
        raise UsageError("--quant is for decoders of checkpoints; leave it or --quant-encoder out")
    if not PLAIN_NAME.fullmatch(name):
        raise UsageError(f"{name!r:.80}: not a name for a model; letters, digits and _ . + -")
    model = folders.find(source)
    assert wish.encoder_quant  # else there is nothing to do here
    before = write_with_small_encoder(model, folder, name, wish.encoder_quant)
    return before, compare_words(model, folder) if wish.verify else None


def _find(source: str, progress: Progress) -> tuple[Checkpoint, str, Manifest | None]:
    """The checkpoint, what its manifest says of its origin, and the catalogue's entry."""
    path = Path(source)
    on_hub = folders.REPOSITORY.fullmatch(source) or source in folders.catalogue()
    if not path.exists() and on_hub:
        from edgestream.convert.fetch import fetch_checkpoint, look_up

        folder, origin = fetch_checkpoint(look_up(source), progress)
        return Checkpoint(folder), origin, entry_of(source)
    found = CTranslate2Checkpoint(path) if is_ctranslate2(path) else Checkpoint(path)
    return found, path.resolve().name, None
