# SPDX-License-Identifier: Apache-2.0
"""When words were said, on the source's clock: intervals that follow each other.

Attention tells where a word was heard, but a silence before or behind it is counted to it. As
openai/whisper does (timing.py, add_word_timestamps), a word beside a pause lasts at most twice as
long as the median of the words before it. Words whose begin nobody knows last as long as people
speak so many letters, back from the latest time at which each can have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edgestream.captions.clock import Clock
from edgestream.captions.line_breaks import is_sentence_end
from edgestream.captions.shown_text import columns
from edgestream.captions.words import SpokenWord
from edgestream.captions.writing_systems import ends_clause

CHAR_MS = 70.0  # English speech runs at about 14 characters a second
MEDIAN_MS = 350.0  # of a word, while none was heard
MOST_MEDIAN_MS = 700.0
N_MEDIAN = 32  # words


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with times of the source; `lost` says that input was lost right before it."""

    text: str
    spaced: bool
    start_ms: float
    end_ms: float
    emitted_ms: float
    lost: bool = False


class WordTimes:
    """Gives the words of one stream their times."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        self._lengths: deque[float] = deque(maxlen=N_MEDIAN)
        self._ended_ms = 0.0  # in the stream: of the last word
        self._source_ended_ms = self._offset_ms = 0.0
        self._after_pause = True

    @property
    def ended_ms(self) -> float:
        """Stream time before which no word begins any more."""
        return self._ended_ms

    def start_after(self, stream_ms: float) -> None:
        """The next word begins there or later."""
        self._ended_ms = max(self._ended_ms, stream_ms)

    def pause(self) -> None:
        """Behind the last word there is silence."""
        self._after_pause = True

    def source_ms(self, stream_ms: float) -> float:
        """On the source's clock, behind the last word."""
        return max(self._source_ended_ms, self._clock.source_ms(stream_ms))

    def push(
        self, words: Sequence[SpokenWord], behind: Sequence[SpokenWord] = ()
    ) -> list[TimedWord]:
        """Words that are whole, in order, and those `behind` them that are not yet."""
        self._guess(words, behind)
        return [self._timed(word) for word in words]

    def length_limit_ms(self, text: str) -> float:
        """The longest that a word beside a pause lasts."""
        usual_ms = min(MOST_MEDIAN_MS, median(self._lengths)) if self._lengths else MEDIAN_MS
        return 2 * max(usual_ms, spoken_ms(text))

    def _timed(self, word: SpokenWord) -> TimedWord:
        assert word.begin_ms is not None
        begin_ms = max(self._ended_ms, word.begin_ms)
        end_ms = max(begin_ms, word.end_ms)
        begin_ms, end_ms = self._capped(word, begin_ms, end_ms)
        self._lengths.append(end_ms - begin_ms)
        begin_ms, end_ms = self._clock.unbroken(begin_ms, end_ms)
        offset_ms = self._clock.source_ms(begin_ms) - begin_ms
        start_ms = max(self._source_ended_ms, begin_ms + offset_ms)
        stop_ms = max(start_ms, end_ms + offset_ms)
        lost, self._offset_ms = offset_ms > self._offset_ms, offset_ms
        self._ended_ms, self._source_ended_ms = end_ms, stop_ms
        self._after_pause = _is_before_pause(word)
        return TimedWord(
            word.text, word.spaced, start_ms, stop_ms,
            max(stop_ms, self._clock.source_ms(word.shown_ms)), lost,
        )  # fmt: skip

    def _capped(self, word: SpokenWord, begin_ms: float, end_ms: float) -> tuple[float, float]:
        """Without the silence that was counted to the word."""
        limit_ms = self.length_limit_ms(word.text)
        if self._after_pause and end_ms - begin_ms > limit_ms:
            return end_ms - limit_ms, end_ms
        if _is_before_pause(word) and end_ms - begin_ms > limit_ms:
            return begin_ms, begin_ms + limit_ms
        return max(begin_ms, end_ms - 2 * limit_ms), end_ms

    def _guess(self, words: Sequence[SpokenWord], behind: Sequence[SpokenWord]) -> None:
        """Begins and ends of words that have none, squeezed into the time since the last one."""
        unknown = [word for word in words if word.begin_ms is None]
        if not unknown:
            return
        after_ms = float("inf")
        for word in reversed(behind):
            after_ms = min(word.end_ms, after_ms) - spoken_ms(word.text)
        at_latest, lengths = [], [spoken_ms(word.text) for word in unknown]
        for word, length_ms in zip(reversed(unknown), reversed(lengths), strict=True):
            latest_ms = min(word.end_ms, word.begun_ms + length_ms)
            at_latest.append(latest_ms <= after_ms)
            word.end_ms = min(latest_ms, after_ms)
            word.begin_ms = after_ms = word.end_ms - length_ms
        if after_ms < self._ended_ms:  # they spoke faster than that
            n = [*reversed(at_latest), True].index(True) + 1  # the others have the time they need
            ended_ms = unknown[:n][-1].end_ms
            scale = max(0.0, ended_ms - self._ended_ms) / sum(lengths[:n])
            at_ms = self._ended_ms
            for word, length_ms in zip(unknown[:n], lengths, strict=False):
                word.begin_ms = at_ms
                word.end_ms = at_ms = at_ms + scale * length_ms


def spoken_ms(text: str) -> float:
    """How long people take to say a word, with the space before it."""
    return CHAR_MS * (1 + columns(text))


def _is_before_pause(word: SpokenWord) -> bool:
    """Whether there may be silence behind it."""
    return word.last or is_sentence_end(word.text, "") or ends_clause(word.text[-1])
