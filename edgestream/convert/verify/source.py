# SPDX-License-Identifier: Apache-2.0
"""The source of a conversion, as transformers runs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgestream.errors import ModelError, UsageError
from edgestream.onnx.session import one_line


def require_transformers() -> None:
    """Raises UsageError, before any work is done, if the source could not be run."""
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--verify runs the source with transformers ({error.name} is missing);"
            " pip install 'edgestream[convert]', or leave --verify out"
        ) from None


@contextmanager
def running(source: Path) -> Iterator[Any]:
    """transformers, which says nothing by itself.

    Raises:
        UsageError: torch or transformers is not installed.
        ModelError: transformers cannot run the source.
    """
    require_transformers()
    import transformers
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield transformers
    except ModelError:
        raise
    except Exception as error:  # transformers raises whatever its parsing runs into
        raise ModelError(f"{source}: transformers cannot run it ({one_line(error)})") from None
