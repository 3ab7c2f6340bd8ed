# SPDX-License-Identifier: Apache-2.0
"""Strict readers of SubRip and WebVTT: anything that a player might stumble over is an error."""

from __future__ import annotations

import html
import re

Parsed = tuple[int, int, list[str]]  # start ms, end ms, lines

_CLOCK = r"(\d{2,}):([0-5]\d):([0-5]\d)%s(\d{3})"


def parse_srt(text: str) -> list[Parsed]:
    """Numbers from 1, a comma before milliseconds, one empty line after each cue."""
    blocks = _blocks(text)
    for n, block in enumerate(blocks, start=1):
        assert block[0] == str(n), f"cue {n} is numbered {block[0]!r}"
    return [_cue(block[1:], ",") for block in blocks]


def parse_vtt(text: str) -> list[Parsed]:
    """The header, a point before milliseconds, only escaped marks in the text."""
    header, _, body = text.partition("\n\n")
    assert header == "WEBVTT", f"header {header!r}"
    cues = []
    for block in _blocks(body):
        for line in block[1:]:
            assert not re.search(r"[<>]|&(?!(amp|lt|gt);)", line), f"unescaped mark in {line!r}"
        start_ms, end_ms, lines = _cue(block, ".")
        cues.append((start_ms, end_ms, [html.unescape(line) for line in lines]))
    return cues


def _blocks(text: str) -> list[list[str]]:
    assert text == "" or text.endswith("\n\n"), "the last cue is cut off"
    blocks = [block.split("\n") for block in text.split("\n\n")[:-1]]
    assert all(line for block in blocks for line in block), "empty line inside a cue"
    return blocks


def _cue(lines: list[str], point: str) -> Parsed:
    clock = _CLOCK % re.escape(point)
    match = re.fullmatch(f"{clock} --> {clock}", lines[0])
    assert match, f"not a time line: {lines[0]!r}"
    h0, m0, s0, ms0, h1, m1, s1, ms1 = map(int, match.groups())
    assert len(lines) > 1, "a cue without text"
    assert not any("-->" in line for line in lines[1:]), "an arrow in the text"
    start_ms = ((h0 * 60 + m0) * 60 + s0) * 1000 + ms0
    end_ms = ((h1 * 60 + m1) * 60 + s1) * 1000 + ms1
    return start_ms, end_ms, [line.rstrip(" ") for line in lines[1:]]
