# SPDX-License-Identifier: Apache-2.0
"""The options for a model that reads along, which `listen`, `watch` and `read` share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

from edgestream.cli.options import MORE, OUTPUT, option
from edgestream.errors import UsageError
from edgestream.outlets.formats import Format

ALONG = "Reading along (docs/read.md)"


class Subtitles(str, Enum):
    """Whose words a cue has."""

    original = "original"
    translation = "translation"
    both = "both"


Reader = Annotated[
    str | None,
    option(ALONG, "The language model that reads along: a GGUF file, or a model's name."),
]
TranslateTo = Annotated[str | None, option(ALONG, "Translate into this language, as fr or de.")]
TranslateFrom = Annotated[
    str | None, option(ALONG, "Out of this language.", default="the --language spoken, else en")
]
Ask = Annotated[bool, option(ALONG, "Answer the questions that are typed meanwhile.", "--ask")]
AskEvery = Annotated[
    str | None, option(ALONG, "Ask this again and again, as 'What was decided so far?'.")
]
Every = Annotated[
    str | None, option(ALONG, "How often: 90s, 5min or 1h of the source.", default="5min")
]
Alert = Annotated[
    list[str] | None,
    option(ALONG, "Tell when this comes up, as 'somebody asks for me'; may be repeated."),
]
Wake = Annotated[
    list[str] | None,
    option(ALONG, "Tell when these words are said; needs no model; may be repeated."),
]
Think = Annotated[
    bool, option(ALONG, "Think beside each sentence; answers see the thoughts.", "--think")
]
Tool = Annotated[
    list[Path] | None,
    option(ALONG, "TOML file of tools that the model may call; may be repeated."),
]
Say = Annotated[
    bool, option(ALONG, "Speak: the translation, else answers, notes and alerts.", "--say")
]
SayVoice = Annotated[
    str | None,
    option(ALONG, "Voice: of espeak-ng by its name, or a Piper voice's .onnx file."),
]
SayDevice = Annotated[
    str | None, option(ALONG, "Loudspeaker, by its name or number.", default="the system's")
]
SayTo = Annotated[Path | None, option(ALONG, "Speak into this WAV file instead.")]
Cues = Annotated[
    Subtitles | None,
    option(
        OUTPUT, "What srt and vtt hold with --translate-to: original, translation or both.",
        default="both",
    ),
]  # fmt: skip
TranslatePolicy = Annotated[
    str | None,
    option(
        MORE, "When a word of the translation is written: local-agreement:2, wait-k:3,"
        " alignatt:2 ... docs/translation.md.",
    ),
]  # fmt: skip
TranslateLayout = Annotated[
    str | None,
    option(
        MORE, "How text and translation lie in the model's memory: reencoded, interleaved or"
        " grouped. docs/translation.md.", default="as suits the model",
    ),
]  # fmt: skip
AlertThreshold = Annotated[
    float | None, option(MORE, "How sure an --alert must be, 0 to 1.", default="0.45")
]
Window = Annotated[
    int | None,
    option(MORE, "Tokens of text that it remembers.", "--window", "--reader-window",
           default="2048"),
]  # fmt: skip
ReaderWindow = Annotated[  # of `watch`, whose --window is another thing
    int | None,
    option(MORE, "Tokens of text that it remembers.", "--reader-window", default="2048"),
]
ReaderThreads = Annotated[
    int | None, option(MORE, "Threads that read along.", default="half of the cores")
]
ReaderDevice = Annotated[
    str | None,
    option(MORE, "That runs it: cpu, auto (a GPU if there is one), CUDA0 ...", default="cpu"),
]


def refuse_without_effect(form: Format, *, drafts: bool, subtitles: Subtitles | None) -> None:
    """An option that this format cannot heed is a mistake, not a wish to pass over."""
    if drafts and form is not Format.jsonl:
        raise UsageError("--drafts is for --format jsonl only; leave it out")
    if subtitles is not None and form not in (Format.srt, Format.vtt):
        raise UsageError("--subtitles is for --format srt or vtt only; leave it out")


def whose(subtitles: Subtitles | None, language: str | None) -> str:
    """Whose words a cue has: both, where there is a translation and nothing else was said."""
    usual = Subtitles.original if language is None else Subtitles.both
    return (subtitles or usual).value
