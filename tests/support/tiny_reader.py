# SPDX-License-Identifier: Apache-2.0
"""Models that read along: tiny random ones, and real ones where the environment names them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_chat import write_chat

from edgestream.reader.model import ReaderModel, load_reader

CHATML = Path(__file__).resolve().parents[1] / "data/chat/smollm2.jinja"
REAL = {"smollm2": "EDGESTREAM_TEST_SMOLLM2", "gemma": "EDGESTREAM_TEST_GEMMA"}
TALK = (
    "The meeting starts at nine. Anna brings the plans for the new bridge. We must decide who pays"
    " for the steel. Peter said that the city pays half of it. The other half is open. The bank"
    " wants four percent. Let us talk about the money again on Friday."
)


def tiny_reader(folder: Path, *, plain: bool = False) -> ReaderModel:
    """A random llama of one layer whose tokens are bytes; with a chat template, or `plain`."""
    template = None if plain else CHATML.read_text("utf-8")
    eos = "</s>" if plain else "<|im_end|>"
    return load_reader(write_chat(folder / "reader.gguf", template, eos=eos))


def real_reader(name: str) -> ReaderModel:
    """`smollm2` or `gemma`; the test is skipped where the environment does not name its file."""
    path = os.environ.get(REAL[name], "")
    if not Path(path).is_file():
        pytest.skip(f"{REAL[name]} names no GGUF file")
    return load_reader(path)
