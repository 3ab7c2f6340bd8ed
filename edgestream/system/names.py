# SPDX-License-Identifier: Apache-2.0
"""Names on their way into native libraries, which crash on what they cannot spell."""

from __future__ import annotations

import os

from edgestream.errors import EdgestreamError, ModelError


def native_name(name: str | os.PathLike[str], refusal: type[EdgestreamError] = ModelError) -> str:
    """The name if C and C++ can take it: UTF-8 without a null; raises `refusal` otherwise."""
    if not isinstance(name, (str, os.PathLike)):
        raise refusal(f"{name!r:.40}: not a name; pass a text or a path")
    text = os.fspath(name)
    if "\0" in text:
        raise refusal(f"{text}: no name holds a null; check where it comes from")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise refusal(f"{text}: not UTF-8, which native libraries want; rename it") from None
    return text
