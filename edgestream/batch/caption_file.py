# SPDX-License-Identifier: Apache-2.0
"""One recording into one file of captions, as fast as it goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgestream.batch.whole_file import whole_file
from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.outlets.formats import Format, format_for
from edgestream.outlets.troubles import Troubles
from edgestream.outlets.writers import open_writer
from edgestream.speech.listen import listen
from edgestream.system.process import tell

if TYPE_CHECKING:
    from edgestream.speech.concatenated.model import Model
    from edgestream.speech.reencoded.model import ReencodedModel


@dataclass(frozen=True, slots=True)
class Captioned:
    """Figures of one recording."""

    heard_ms: float  # sound
    compute_ms: float  # time that the model took for it
    lost_ms: float  # sound that is missing in the file
    n_words: int


def caption_file(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | Model | ReencodedModel = DEFAULT_MODEL,
    format: Format | None = None,
    drafts: bool = False,
    progress: Callable[[float], None] = lambda heard_ms: None,
    say: Callable[[str], None] = tell,
    **options: Any,
) -> Captioned:
    """Captions the sound file `path` into the file `output`, which is whole once it is there.

    Until then nothing is at `output` or what was there before, even after a kill or a full disk.

    Args:
        path: of the recording.
        output: file of the captions; its folder is made.
        model: name, folder, or load()'s, which many calls may share.
        format: of the captions; as the name of `output` ends if None.
        drafts: JSONL with the lines that are being spoken, too.
        progress: is called with the sound heard so far, in milliseconds.
        say: takes a line for each stretch that is lost or odd.
        options: `delay`, `language`, ... as listen() takes them.

    Raises:
        SourceError: the recording cannot be read.
        OutputError: the captions cannot be written.
        EdgestreamError: an option or the model cannot be used.
    """
    output = Path(output)
    form = format_for(output, format)
    troubles = Troubles(say) if form is not Format.jsonl else None  # which holds its gaps itself
    with whole_file(output) as part, closing(listen(path, model=model, fast=True, **options)) as s:
        writer = open_writer(form.value, part, drafts=drafts)
        try:
            for events in s.blocks():
                for event in events:
                    writer.push(event)
                if troubles:
                    troubles.push(events, s.newest)
                progress(s.meter.heard_ms)
        except BaseException:
            writer.abandon()
            raise
        writer.finish()
    return Captioned(s.meter.heard_ms, s.meter.compute_ms, s.meter.lost_ms, s.meter.n_words)
