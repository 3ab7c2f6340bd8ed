# SPDX-License-Identifier: Apache-2.0
"""Chat formats as llama.cpp renders them: in C++, each known by its name, without Jinja."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import llama_cpp

Turn = tuple[str, str]  # role, text


def rendered(name: str, turns: Sequence[Turn]) -> str:
    """The conversation, with the opening of an answer behind it."""
    messages = (llama_cpp.llama_chat_message * len(turns))(
        *(llama_cpp.llama_chat_message(role.encode(), text.encode()) for role, text in turns)
    )
    out = ctypes.create_string_buffer(1 << 16)
    n = llama_cpp.llama_chat_apply_template(
        name.encode(), messages, len(turns), True, out, len(out)
    )
    assert 0 <= n <= len(out), f"llama.cpp does not know {name}"
    return out.raw[:n].decode()
