# SPDX-License-Identifier: Apache-2.0
"""The speaker: takes text while it comes, and speaks it on a thread of its own.

    mute = Mute()
    speaker = Speaker(open_engine(), LoudspeakerOutput(mute=mute), language="fr", told=print)
    with speaker:
        for words in written:       # final words, in any pieces
            speaker.push(words)     # comes back at once
        speaker.finish()            # waits until all was heard

`open_engine(voice, speed)` (open.py) is espeak-ng, or Piper for a voice's path. The output is a
`LoudspeakerOutput(device, mute)` (loudspeaker.py), or a `WavOutput(path)` or
`FunctionOutput(function)` (outputs.py). A newline in the text ends a clause: push one where a line
or an answer ends. A microphone that must not hear it is wrapped with the same `mute`:
`HalfDuplex(MicrophoneSource(device), mute)` (sources/half_duplex.py).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from edgestream.errors import EdgestreamError, shown
from edgestream.sources.block import Samples
from edgestream.sources.resample import Resampler
from edgestream.speaking.clauses import ClauseCutter
from edgestream.speaking.engine import Chunk, Engine
from edgestream.speaking.outputs import Output
from edgestream.speaking.pace import Pace
from edgestream.system.native_work import native_work

BEHIND_S = 8.0  # of speech that may wait; beyond it older clauses are skipped
SETTLE_S = 0.1  # "It works." without a space behind it is spoken when so long nothing more came
IDLE_S = 5.0  # without speech, then a device is let go of
INF = float("inf")


@dataclass(frozen=True, slots=True)
class Clause:
    """What is spoken in one go."""

    text: str
    language: str


def _ignore(_: str) -> None:
    """For who does not want to be told."""


class Speaker:
    """Speaks what is pushed, clause by clause, in order.

    On an output that plays at the world's pace, clauses that would begin more than `behind_s` after
    their text are skipped, whole, the oldest first. `told` gets a line for that and for what fails
    in engine or output, on any thread; speech goes on with the next clause. `settle_s`: infinite
    where the clauses must depend on the text alone. It closes engine and output.

    Raises UsageError for a language that the engine cannot speak.
    """

    def __init__(
        self,
        engine: Engine,
        output: Output,
        *,
        language: str = "en",
        behind_s: float = BEHIND_S,
        told: Callable[[str], object] = _ignore,
        settle_s: float = SETTLE_S,
    ) -> None:
        try:
            engine.expect(language)
        except Exception:
            output.close()
            raise
        self._engine = engine
        self._output = output
        self._language = self._held_language = language
        self._behind_s = behind_s
        self._settle_s = settle_s
        self._told = told
        self._last_told = ""  # a failure that goes on is told once
        self._cutter = ClauseCutter()
        self._waiting: deque[Clause] = deque()
        self._pace = Pace()
        self._pushed_s = 0.0
        self._finishing = self._stopped = self._ended = False
        # Its lock is reentrant: a signal handler may stop what it has interrupted.
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="speaker", daemon=True)
        self._thread.start()

    def push(self, text: str, language: str | None = None) -> None:
        """Takes final text in `language` (the speaker's if None); never waits."""
        language = language or self._language
        with self._changed:
            if self._finishing or self._stopped or self._ended:
                return
            clauses = self._cutter.finish() if language != self._held_language else []
            found = [Clause(clause, self._held_language) for clause in clauses]
            self._held_language = language
            found += [Clause(clause, language) for clause in self._cutter.push(text)]
            self._pushed_s = time.monotonic()
            self._waiting += found
            skipped = self._skip()
            self._changed.notify_all()
        if skipped:
            self._told(f"speech fell behind: skipped {len(skipped)} of its clauses")

    def finish(self) -> None:
        """Speaks the rest and waits for its end."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()
            while not self._ended:
                self._changed.wait()

    def stop(self) -> None:
        """Silence now: what was not spoken is dropped. From any thread or signal handler."""
        self._stopped = True
        self._output.abort()
        self._engine.stop()
        with self._changed:
            self._changed.notify_all()

    def __enter__(self) -> Speaker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()
        self._thread.join()

    def _skip(self) -> list[Clause]:
        """Takes the oldest clauses out that are too late; the newest is always spoken."""
        skipped: list[Clause] = []
        if self._output.live:
            while len(self._waiting) > 1 and self._late_s() > self._behind_s:
                skipped.append(self._waiting.popleft())
        return skipped

    def _late_s(self) -> float:
        """How long until the newest clause begins."""
        before = sum(self._pace.seconds(clause.text) for clause in list(self._waiting)[:-1])
        return before + self._pace.left_s + self._output.ahead_s

    def _run(self) -> None:
        idle_s = IDLE_S
        with ExitStack() as at_the_end:  # whatever fails, the last one first
            at_the_end.callback(self._end)
            at_the_end.callback(self._guarded, self._engine.close)
            at_the_end.callback(self._guarded, self._output.close)
            while not self._is_over():
                if (clause := self._next(idle_s)) is not None:
                    idle_s = IDLE_S
                    self._guarded(self._speak, clause)
                elif self._output.live and not self._finishing:
                    idle_s = INF
                    self._guarded(self._output.close)
            self._guarded(self._output.drain)

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify_all()

    def _is_over(self) -> bool:
        with self._changed:
            rest = self._waiting or not self._cutter.is_empty
            return self._stopped or (self._finishing and not rest)

    def _guarded(self, step: Callable[..., None], *arguments: object) -> None:
        """Does a step; what goes wrong is told, also where a library or a user's function does."""
        try:
            step(*arguments)
        except Exception as error:
            known = isinstance(error, EdgestreamError)
            line = str(error) if known else shown(f"speech: {error!r:.200}")
            if not self._stopped and line != self._last_told:
                self._last_told = line
                with suppress(Exception):  # a pipe that nobody reads any more
                    self._told(line)

    def _next(self, idle_s: float) -> Clause | None:
        """Waits for a clause; None at the end, and where none came for so long."""
        until_s = time.monotonic() + idle_s
        with self._changed:
            while not (self._stopped or self._waiting):
                now_s = time.monotonic()
                settled_s = INF if self._cutter.is_empty else self._pushed_s + self._settle_s
                if self._finishing or now_s >= settled_s:
                    rest = self._cutter.finish() if self._finishing else self._cutter.settle()
                    self._waiting += [Clause(clause, self._held_language) for clause in rest]
                    self._pushed_s = INF  # asked once is enough
                if self._finishing or now_s >= until_s:
                    break
                if not self._waiting:
                    wake_s = min(settled_s, until_s)
                    self._changed.wait(None if wake_s == INF else max(0.0, wake_s - now_s))
            return self._waiting.popleft() if self._waiting and not self._stopped else None

    def _speak(self, clause: Clause) -> None:
        self._engine.expect(clause.language)
        self._output.begin()
        self._pace.begin(clause.text)
        try:
            self._write(self._engine.speak(clause.text, clause.language))
            self._pace.end(clause.text)
            self._last_told = ""
        finally:
            self._pace.drop()

    def _write(self, chunks: Generator[Chunk, None, None]) -> None:
        """All chunks of one clause, at the output's rate."""
        resampler: Resampler | None = None
        with closing(chunks):
            while not self._stopped and (chunk := _next_of(chunks)) is not None:
                self._pace.made(len(chunk.samples) / chunk.rate_hz)
                resampler = resampler or Resampler(chunk.rate_hz, self._output.rate_hz)
                self._write_some(resampler.push(chunk.samples))
        if resampler is not None and not self._stopped:
            self._write_some(resampler.finish())

    def _write_some(self, samples: Samples) -> None:
        if len(samples):
            # A peak of a voice in full swing grows beyond 1 where its rate is changed.
            self._output.write(np.clip(samples, -1.0, 1.0))


def _next_of(chunks: Generator[Chunk, None, None]) -> Chunk | None:
    """The next one, made by native code; None at the end."""
    with native_work():
        return next(chunks, None)
