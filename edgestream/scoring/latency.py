# SPDX-License-Identifier: Apache-2.0
"""How late a translation comes: average lagging of sentences, and of a stream without borders.

A *delay* says how much of the source had been read when a word was written: a number of words, or
milliseconds. A word-by-word translation that is never late has the delays 1, 2, 3, ...
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from edgestream.captions.writing_systems import is_mark
from edgestream.events import Translation, TranslationDraft
from edgestream.scoring.words import align

Timed = tuple[float, TranslationDraft | Translation]  # when it came, and what


def average_lagging(delays: Sequence[float], source: float, n_target: int) -> float:
    """AL (Ma et al. 2019, "STACL"): how far the words lie behind those of a translation that keeps
    pace with its source, on average over the words up to the first that needed all of it.

    Args:
        delays: of each written word, one at least.
        source: the length of the source, as the delays count.
        n_target: words that such a translation writes; of the reference, as SimulEval takes it.

    Raises:
        ValueError: nothing was written, or a length is not above 0.
    """
    if not delays or source <= 0 or n_target <= 0:
        raise ValueError("latency: needs a word or more, and lengths above 0")
    behind = 0.0
    for at, delay in enumerate(delays):
        behind += delay - at * source / n_target
        if delay >= source:
            break
    return behind / (at + 1)


def length_adaptive_lagging(delays: Sequence[float], source: float, n_reference: int) -> float:
    """LAAL (Papi et al. 2022, "Over-Generation Cannot Be Rewarded"): as average_lagging, of the
    longer of translation and reference, so that words too many do not seem early."""
    return average_lagging(delays, source, max(len(delays), n_reference))


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence of the reference; where its source begins and how long it is, in the units of the
    delays."""

    reference: str
    start: float
    length: float


def stream_lagging(
    words: Sequence[str], delays: Sequence[float], segments: Sequence[Segment]
) -> float:
    """StreamLAAL (Papi et al. 2024, "Direct Streaming Speech-to-Text Translation with
    Attention-based Audio History Selection"): the mean of LAAL over the sentences for which
    anything was written.

    The stream's words are shared out to sentences so that the fewest word errors are left (Matusov
    et al. 2005, mwerSegmenter), and a sentence's delays count from its beginning, from 0 on.

    Raises:
        ValueError: nothing was written.
    """
    behind = []
    for segment, of_words in zip(segments, shared_out(words, segments), strict=True):
        own = [max(0.0, delays[i] - segment.start) for i in of_words]
        if own:
            n_reference = len(segment.reference.split())
            behind.append(length_adaptive_lagging(own, segment.length, n_reference))
    if not behind:
        raise ValueError("latency: nothing was written")
    return fmean(behind)


def shared_out(words: Sequence[str], segments: Sequence[Segment]) -> list[range]:
    """Which of a stream's words belong to each sentence. A word that belongs to none goes with the
    one before it; letters alone are compared."""
    reference = [(word, i) for i, s in enumerate(segments) for word in s.reference.split()]
    pairs = align([_letters(word) for word, _ in reference], [_letters(word) for word in words])
    counts = [0] * len(segments)
    at = 0
    for i, j in pairs:
        at = at if i is None else reference[i][1]
        counts[at] += j is not None
    ends = [sum(counts[: i + 1]) for i in range(len(counts))]
    return [range(end - count, end) for end, count in zip(ends, counts, strict=True)]


def commit_times(events: Iterable[Timed]) -> tuple[list[str], list[float]]:
    """The words of a stream of translations, and when each was committed."""
    words: list[str] = []
    times: list[float] = []
    n_before = 0  # words of the translations before
    for time, event in events:
        whole = isinstance(event, Translation)
        n_final = len(event.text) if isinstance(event, Translation) else event.n_final
        committed = event.text[:n_final].split()
        words[n_before:] = committed
        del times[len(words) :]  # of what was taken back, which nobody should
        times += [time] * (len(words) - len(times))
        n_before = len(words) if whole else n_before
    return words, times


def _letters(word: str) -> str:
    return "".join(letter for letter in word.casefold() if not is_mark(letter)) or word
