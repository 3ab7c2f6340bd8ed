# SPDX-License-Identifier: Apache-2.0
"""What a reader says, in text and JSONL; what captions were before stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgestream.events import (
    Alert,
    Answer,
    Draft,
    Event,
    Final,
    Note,
    Thought,
    ToolCall,
    Translation,
    TranslationDraft,
)
from edgestream.outlets.writers import open_writer

CAPTIONS: list[Event] = [
    Draft("It", 0, 1), Final("It is late.", (), 0, 2000), Final("We go home.", (), 2000, 4000),
]  # fmt: skip
ASIDES: list[Event] = [
    TranslationDraft("Il est", "fr", 0, 2000, 2),
    Translation("Il est\ntard.", "fr", "It is late.", 0, 2000, 2500),
    Note("What was said?", "It got late.", 0, 2000),
    Alert("a fire", "It burns.", 0.91234, 0, 2000),
    Thought("Night falls.", 0, 2000),
    ToolCall("clock", "{}", "23:10", False, 0, 2000),
    ToolCall("clock", "{}", "no zone", True, 0, 2000),
    Answer("When?", "Now.", 2000),
    Thought("", 0, 2000),
]


def written(path: Path, format_name: str, events: list[Event], **options: object) -> list[str]:
    writer = open_writer(format_name, path, **options)  # type: ignore[arg-type]
    for event in events:
        writer.push(event)
    writer.finish()
    return path.read_text("utf-8").splitlines()


def test_text_has_a_line_for_each_that_says_what_it_is(tmp_path: Path) -> None:
    assert written(tmp_path / "a.txt", "text", [*CAPTIONS, *ASIDES]) == [
        "It is late.",
        "We go home.",
        "fr> Il est tard.",
        "note> It got late.",
        "alert> a fire: It burns.",
        "thought> Night falls.",
        "tool> clock {} = 23:10",
        "tool> clock {} failed: no zone",
        "When? Now.",
    ]


def test_jsonl_has_all_of_each_and_what_may_change_with_drafts_only(tmp_path: Path) -> None:
    records = [json.loads(line) for line in written(tmp_path / "a.jsonl", "jsonl", ASIDES)]
    assert [record["type"] for record in records] == [
        "translation", "note", "alert", "thought", "tool-call", "tool-call", "answer", "thought",
    ]  # fmt: skip
    assert records[0] == {
        "type": "translation", "text": "Il est tard.", "language": "fr", "source": "It is late.",
        "start_ms": 0, "end_ms": 2000, "read_ms": 2500,
    }  # fmt: skip
    assert records[2]["score"] == 0.912
    with_drafts = written(tmp_path / "a.jsonl", "jsonl", ASIDES, drafts=True)
    assert json.loads(with_drafts[0])["type"] == "translation-draft"


@pytest.mark.parametrize("format_name", ["text", "jsonl", "srt", "vtt"])
def test_captions_are_what_they_are_without_a_reader(format_name: str, tmp_path: Path) -> None:
    alone = written(tmp_path / "a", format_name, CAPTIONS)
    mixed = [CAPTIONS[0], *ASIDES, CAPTIONS[1], *ASIDES, CAPTIONS[2], *ASIDES]
    beside = written(tmp_path / "b", format_name, mixed)
    if format_name in ("srt", "vtt"):
        assert beside == alone
    else:
        assert [line for line in beside if line in alone] == alone
