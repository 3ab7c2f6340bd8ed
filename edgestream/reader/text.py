# SPDX-License-Identifier: Apache-2.0
"""Plain text as a stream: pieces as they come, words as soon as they are whole, lines at the end
of sentences."""

from __future__ import annotations

import codecs
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgestream.captions.line_breaks import CLOSERS, is_sentence_end
from edgestream.captions.writing_systems import ends_sentence, is_mark, is_opener
from edgestream.errors import SourceError
from edgestream.events import READING_MS, Draft, Event, Final

PIECE_BYTES = 4096
MAX_LINE = 300  # characters, where no sentence ends
MAX_WORD = 300  # characters, where no space comes: of minified JSON, base64


class TextSource:
    """Bytes of UTF-8 from a file or a pipe, as they come."""

    behind_ms = 0.0

    def __init__(self, stream: BinaryIO, name: str = "text") -> None:
        self.name = name
        self._stream = stream
        self._stopped = False

    def __iter__(self) -> Iterator[bytes]:
        """Raises SourceError: reading failed."""
        read = getattr(self._stream, "read1", self._stream.read)
        while not self._stopped:
            try:
                piece: bytes = read(PIECE_BYTES)
            except (OSError, ValueError) as error:
                raise SourceError(f"{self.name}: cannot be read: {error}") from None
            if not piece:
                return
            yield piece

    def stop(self) -> None:
        """No more is read."""
        self._stopped = True

    def close(self) -> None:
        """Lets go of the file."""
        self._stream.close()


def open_text(path: str | os.PathLike[str]) -> TextSource:
    """A text file; raises SourceError if it cannot be read."""
    try:
        return TextSource(Path(path).open("rb"), str(path))
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None


class TextStream:
    """Pieces in, events out: each sentence or line of the text is a Final, the words before its end
    a Draft. Words end at a space, behind a sentence of a script without spaces, and after MAX_WORD
    characters.

    The clock is that of somebody who reads aloud, so a file's times do not depend on the machine;
    with `live` it is the real one.
    """

    delay_ms = 0.0

    def __init__(self, *, live: bool = False) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._words: list[str] = []  # whole ones of the line
        self._rest = ""  # of a word that may go on
        self._n_read = 0  # characters
        self.n_words = 0  # whole ones
        self._begun_s = time.monotonic() if live else None
        self._start_ms = 0.0  # of the line

    @property
    def heard_ms(self) -> float:
        """The clock."""
        if self._begun_s is not None:
            return 1000 * (time.monotonic() - self._begun_s)
        return READING_MS * self._n_read

    def take(self, item: bytes) -> list[Event]:
        """A piece of the text, cut anywhere; an empty one says nothing new."""
        if not item:
            return []
        events = self._take(self._decoder.decode(item))
        if self._words or self._rest:
            events.append(self._draft())
        return events

    def finish(self) -> list[Event]:
        """The rest is a line, whole or not."""
        events = self._take(self._decoder.decode(b"", final=True) + "\n")
        return events

    def _take(self, text: str) -> list[Event]:
        events: list[Event] = []
        for character in text:
            self._n_read += 1
            if not character.isspace():
                if len(self._rest) >= MAX_WORD or _parts(self._rest, character):
                    events += self._end_word()
                self._rest += character
                continue
            events += self._end_word()
            if character == "\n":
                events += self._end_line(len(self._words))
        return events

    def _end_word(self) -> list[Event]:
        """A sentence ends before a word that begins another one."""
        word, self._rest = self._rest, ""
        if not word:
            return []
        over = bool(self._words) and is_sentence_end(self._words[-1], word)
        self._words.append(word)
        self.n_words += 1
        if over or len(" ".join(self._words)) > MAX_LINE:
            return self._end_line(len(self._words) - 1)
        return []

    def _end_line(self, n_words: int) -> list[Event]:
        words, self._words = self._words[:n_words], self._words[n_words:]
        start_ms, self._start_ms = self._start_ms, self.heard_ms
        return [Final(" ".join(words), (), start_ms, self._start_ms)] if words else []

    def _draft(self) -> Draft:
        whole = " ".join(self._words)
        text = f"{whole} {self._rest}"
        return Draft(text, self._start_ms, self.heard_ms, len(whole))


def _parts(word: str, character: str) -> bool:
    """Whether a sentence ends between them though no space is written, as behind 。"""
    last = word.rstrip(CLOSERS)[-1:]
    if not last or last.isascii() or not ends_sentence(last):
        return False
    return is_opener(character) or not is_mark(character)
