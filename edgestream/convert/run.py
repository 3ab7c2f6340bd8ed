# SPDX-License-Identifier: Apache-2.0
"""A checkpoint becomes a model's folder: found, converted, compared, put in place whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from edgestream import library
from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.folder import whole_folder
from edgestream.convert.registry import Progress, Request, find_converter
from edgestream.errors import ConversionError, UsageError
from edgestream.fit import mb

NEEDED = ("gguf", "ml_dtypes", "onnx", "safetensors", "sentencepiece")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asks for; `quant` None is the usual one of the format `to`, gguf or onnx."""

    to: str
    quant: str | None
    verify: bool
    n_threads: int


def convert(
    source: str, out: Path, wish: Wish, *, tell: Callable[[str], None], progress: Progress
) -> None:
    """Converts `source`, a checkpoint's folder or `owner/name` on a hub, into the folder `out`.

    Raises:
        UsageError: `out` exists, a package is missing, or the wish cannot be met.
        ModelError: the checkpoint is damaged or not supported.
        ConversionError: the result is further from its source than its type of weights allows.
        HubError, OutputError: the hub or the disk failed.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"convert: {', '.join(missing)} is missing; pip install 'edgestream[convert]'"
        )
    if wish.verify:
        from edgestream.convert.verify import require_transformers

        require_transformers()
    with whole_folder(out) as folder:
        checkpoint, origin = _find(source, progress)
        converter = find_converter(checkpoint)
        request = Request(out.name, origin, wish.to, wish.quant, wish.n_threads)
        with checkpoint.opened():
            converter.write(checkpoint, folder, request, progress)
            before = checkpoint.n_bytes
        if wish.verify:
            compared = converter.compare(checkpoint, folder)
            tell(str(compared))
            if not compared.holds:
                raise ConversionError(f"{source}: the result is too far from it; nothing is kept")
        after = sum(file.stat().st_size for file in folder.iterdir())
    tell(f"{out}: {mb(before)} of weights became {mb(after)}")


def _find(source: str, progress: Progress) -> tuple[Checkpoint, str]:
    """The checkpoint, and what its manifest says of its origin."""
    path = Path(source)
    if not path.exists() and library.REPOSITORY.fullmatch(source):
        from edgestream.convert.hub_checkpoint import fetch_checkpoint

        folder, origin = fetch_checkpoint(source, progress)
        return Checkpoint(folder), origin
    return Checkpoint(path), path.resolve().name
