# SPDX-License-Identifier: Apache-2.0
"""`edgestream read`: a language model reads text while it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgestream.cli import reading
from edgestream.cli.along import given, reading_along
from edgestream.cli.options import OUTPUT, Output, OutputFormat, Stats, option
from edgestream.cli.run import memory, one_line_errors, output_beside, run
from edgestream.errors import UsageError
from edgestream.outlets.formats import format_for
from edgestream.system.process import tell

if TYPE_CHECKING:
    from edgestream.reader.text import TextSource, TextStream
    from edgestream.session import Session

NOTHING = (
    "there is nothing to do; give --wake PHRASE, or --reader MODEL.gguf and --translate-to, --ask,"
    " --ask-every, --alert, --think or --tool"
)


def read(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="[FILE]", help="Text file (UTF-8), or - for stdin.")
    ] = "-",
    reader: reading.Reader = None,
    translate_to: reading.TranslateTo = None,
    translate_from: reading.TranslateFrom = None,
    ask: reading.Ask = False,
    ask_every: reading.AskEvery = None,
    every: reading.Every = None,
    alert: reading.Alert = None,
    wake: reading.Wake = None,
    think: reading.Think = False,
    tool: reading.Tool = None,
    say: reading.Say = False,
    say_voice: reading.SayVoice = None,
    say_device: reading.SayDevice = None,
    say_to: reading.SayTo = None,
    format: OutputFormat = None,
    output: Output = None,
    drafts: Annotated[
        bool, option(OUTPUT, "jsonl also holds what may still change.", "--drafts")
    ] = False,
    subtitles: reading.Cues = None,
    stats: Stats = False,
    translate_policy: reading.TranslatePolicy = None,
    translate_layout: reading.TranslateLayout = None,
    alert_threshold: reading.AlertThreshold = None,
    window: reading.Window = None,
    reader_threads: reading.ReaderThreads = None,
    reader_device: reading.ReaderDevice = None,
) -> None:
    """A language model reads text along, and translates, answers, notes or waits for something.

    \b
      edgestream read talk.txt --reader MODEL.gguf --translate-to fr
      tail -f chat.log | edgestream read --reader MODEL.gguf --alert 'somebody asks for me'
      edgestream read book.txt --wake 'call me Ishmael'
    """
    with one_line_errors():
        form = format_for(output, format)
        reading.refuse_without_effect(form, drafts=drafts, subtitles=subtitles)
        what = given(context.params, "waits", stdin="the text" if source == "-" else None)
        if what is None:
            raise UsageError(NOTHING)
        output = output_beside(source, output, asked=ask)
        from edgestream.outlets.screen import words_read

        session = _text(source)
        with reading_along(what) as along:
            run(
                along.over(session), form, output, lambda: words_read(session.stream.n_words),
                drafts=drafts, subtitles=reading.whose(subtitles, translate_to),
                companions=along.companions,
            )  # fmt: skip
        if stats:
            tell(f"read {session.stream.n_words} words{memory()}")


def _text(source: str) -> Session[TextSource, TextStream]:
    """A file's clock is that of somebody who reads it aloud, stdin's the one on the wall."""
    from edgestream.reader.text import TextStream, open_text
    from edgestream.reader.text_pipe import standard_text
    from edgestream.session import Session

    if source == "-":
        return Session(standard_text(), TextStream(live=True))
    return Session(open_text(source), TextStream())
