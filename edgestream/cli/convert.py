# SPDX-License-Identifier: Apache-2.0
"""`edgestream convert`: a checkpoint becomes a small model in a folder of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from edgestream.cli.bars import progress_bar
from edgestream.system.process import INTERRUPTED, tell


class Format(str, Enum):
    """What runs the decoder."""

    gguf = "gguf"
    onnx = "onnx"


class EncoderQuant(str, Enum):
    """Type of an encoder's weights."""

    int8 = "int8"
    int4 = "int4"


def convert(
    source: Annotated[str, typer.Argument(help="A checkpoint's folder, or owner/name on a hub.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="New folder for the model.")],
    to: Annotated[
        Format | None, typer.Option(help="Format; gguf for language models if not given.")
    ] = None,
    quant: Annotated[
        str | None,
        typer.Option(
            help="Type of the weights. gguf: q8_0 (default), q6_k, q5_k_m, q4_k_m, q4_0, bf16,"
            " f16, f32; onnx: q4 (default), f32."
        ),
    ] = None,
    quant_encoder: Annotated[
        EncoderQuant | None,
        typer.Option(help="Of a model that edgestream runs: make its encoder smaller."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the result with the source; needs PyTorch.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the quantizer.")] = os.cpu_count()
    or 1,
) -> None:
    """Turn a checkpoint (safetensors) into a small model."""
    from edgestream.convert.run import Wish, convert

    wish = Wish(
        to=to.value if to else None,
        quant=quant,
        verify=verify,
        n_threads=threads,
        encoder_quant=quant_encoder.value if quant_encoder else None,
    )
    try:
        with _ended_like_ctrl_c(), progress_bar() as progress:
            convert(source, output, wish, tell=tell, progress=progress)
    except KeyboardInterrupt:
        tell("edgestream: interrupted, nothing was written")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP end the conversion as Ctrl-C does, so that it cleans up; ignored, as by
    `nohup`, they stay so."""

    def stop(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    endings = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heeded = [ending for ending in endings if signal.getsignal(ending) is not signal.SIG_IGN]
    old = [(ending, signal.signal(ending, stop)) for ending in heeded]
    try:
        yield
    finally:
        for ending, handler in old:
            signal.signal(ending, handler)
