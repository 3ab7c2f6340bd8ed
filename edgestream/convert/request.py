# SPDX-License-Identifier: Apache-2.0
"""What is asked of a converter, and what it can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgestream.errors import UsageError
from edgestream.library.manifest.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asks for. `quant` None: the format's usual one."""

    name: str  # of the model, for its manifest
    source: str  # where it came from, for its manifest
    to: str | None  # gguf or onnx; None: what is usual for the model
    quant: str | None
    n_threads: int
    entry: Manifest | None = None  # what the catalogue says of the model, if it has it

    def choose(self, quants: Mapping[str, Sequence[str]]) -> tuple[str, str]:
        """Format and type of the weights. `quants` holds the types that a kind of model has in each
        of its formats; the first ones are usual.

        Raises:
            UsageError: another one is asked for.
        """
        to = self.to or next(iter(quants))
        if to not in quants:
            raise UsageError(f"--to {to}: this model is written as {', '.join(quants)} alone")
        quant = self.quant or quants[to][0]
        if quant not in quants[to]:
            raise UsageError(f"--quant {quant!r:.40}: {to} has {', '.join(quants[to])}")
        return to, quant
