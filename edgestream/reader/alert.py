# SPDX-License-Identifier: Apache-2.0
"""Alerts: something that is waited for, told once when it comes up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import UsageError
from edgestream.events import Alert, Event
from edgestream.reader.alert_probe import AlertProbe
from edgestream.reader.model import ReaderModel
from edgestream.reader.units import Unit
from edgestream.reader.writer import Writer

THRESHOLD = 0.45
OVER = 0.5  # of the threshold: what falls below that is over
AGAIN_MS = 60_000.0  # nothing is told twice within that time
MAX_LATE = 8  # lines that wait; those that come meanwhile are not asked about


class Alerts:
    """Waits for several things at once, each in the words of the user: "somebody asks for me".

    After each line a model is asked how well it fits each of them (see `AlertProbe`), in a memory
    that holds no other lines. What fits is told once, with the line that caused it; it is told
    again when it was over and AGAIN_MS have passed.
    """

    def __init__(self, alerts: Sequence[str], *, threshold: float = THRESHOLD) -> None:
        """`threshold`: what score is told, 0 to 1; lower tells more, and more that is wrong.

        Raises UsageError on a threshold out of range, or no alerts.
        """
        if not 0 < threshold < 1:
            raise UsageError(f"an alert's threshold of {threshold:g}; give one between 0 and 1")
        if not alerts:
            raise UsageError("no alerts; say what to wait for, as a short sentence")
        self.alerts, self.threshold = tuple(alerts), threshold

    def stage(self, model: ReaderModel | None, *, beside: bool, n_threads: int) -> AlertStage:
        """Its stage; raises UsageError where an alert is too long, or there is no model."""
        if model is None:
            raise UsageError("alerts need a model; for phrases as they are said, use Wake")
        probe = AlertProbe(model, self.alerts, n_threads=n_threads)
        return AlertStage(probe, self.alerts, self.threshold, Writer(beside=beside))


class AlertStage:
    """Alerts over one stream."""

    def __init__(
        self, probe: AlertProbe, alerts: Sequence[str], threshold: float, writer: Writer
    ) -> None:
        self._probe, self._writer = probe, writer
        self._told = [_Told(alert, threshold) for alert in alerts]
        self._writer.submit(probe.prepare, lambda _: [])  # before the first line

    def push(self, unit: Unit) -> list[Event]:
        """A line is asked about when it ends."""
        events = self._writer.done()
        if unit.ends_line and self._writer.n_waiting < MAX_LATE:
            events += self._writer.submit(
                lambda: self._probe.scores(unit.line), lambda scores: self._tell(scores, unit)
            )
        return events

    def poll(self) -> list[Event]:
        """What is known by now."""
        return self._writer.done()

    def finish(self) -> list[Event]:
        """The last lines."""
        return self._writer.finish()

    def close(self) -> None:
        """Lets go of the thread."""
        self._writer.close()

    def _tell(self, scores: NDArray[np.float64], unit: Unit) -> list[Event]:
        return [
            Alert(told.alert, unit.line, round(score, 3), unit.start_ms, unit.end_ms)
            for told, score in zip(self._told, scores.tolist(), strict=True)
            if told.now(score, unit.end_ms)
        ]


class _Told:
    """When an alert is to be told."""

    def __init__(self, alert: str, threshold: float) -> None:
        self.alert = alert
        self._threshold = threshold
        self._told_ms: float | None = None
        self._over = True

    def now(self, score: float, time_ms: float) -> bool:
        """Whether a line with this score, at this time, is to be told."""
        if score < OVER * self._threshold:
            self._over = True
        waited = self._told_ms is None or time_ms - self._told_ms >= AGAIN_MS
        if score < self._threshold or not (self._over and waited):
            return False
        self._told_ms, self._over = time_ms, False
        return True
