# SPDX-License-Identifier: Apache-2.0
"""What the server counts, as Prometheus reads it. No word of what was said is among it."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)

from edgestream.session import Meter

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double what is read, and say little


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counted: dict[str, tuple[float, ...]] = {}  # of open sessions, by id

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(f"edgestream_{name}", help, labels, registry=self._registry)

        def gauge(name: str, help: str) -> Gauge:
            return Gauge(f"edgestream_{name}", help, registry=self._registry)

        self._begun = counter("sessions_begun", "Sessions that were opened", "model")
        self._failed = counter("sessions_failed", "Sessions that ended by a fault")
        self._refused = counter("refused", "Requests that were refused", "code")
        self._heard = counter("heard_seconds", "Sound that was computed")
        self._computed = counter("computed_seconds", "Time that it took")
        self._lost = counter("lost_seconds", "Sound that clients or devices lost")
        self._lines = counter("lines", "Lines made final")
        self._words = counter("words", "Words made final")
        self._drops = counter("dropped_readers", "Clients that were too slow to be told all")
        self._open = gauge("sessions", "Sessions that are open")
        self._behind = gauge("behind_seconds", "Sound that waits, of the session with the most")
        self._factor = gauge("real_time_factor", "Computing time for each second of sound")
        self._taken = gauge("cores_taken", "Cores that the open sessions are reckoned at")

    def gauges(
        self,
        *,
        n_sessions: Callable[[], float],
        behind_s: Callable[[], float],
        real_time_factor: Callable[[], float],
        cores_taken: Callable[[], float],
    ) -> None:
        """These are asked each time that somebody wants to know."""
        self._open.set_function(n_sessions)
        self._behind.set_function(behind_s)
        self._factor.set_function(real_time_factor)
        self._taken.set_function(cores_taken)

    def begun(self, model_name: str) -> None:
        """A session was opened."""
        self._begun.labels(model_name).inc()

    def settle(self, session_id: str, meter: Meter) -> None:
        """Adds what an open session did since this was called last."""
        sums = (
            meter.heard_ms / 1000, meter.compute_ms / 1000, meter.lost_ms / 1000,
            meter.n_lines, meter.n_words,
        )  # fmt: skip
        counted = self._counted.get(session_id, (0.0,) * len(sums))
        self._counted[session_id] = sums
        counters = (self._heard, self._computed, self._lost, self._lines, self._words)
        for each, now, before in zip(counters, sums, counted, strict=True):
            each.inc(max(0.0, now - before))

    def ended(self, session_id: str, meter: Meter, *, failed: bool) -> None:
        """A session ended."""
        self.settle(session_id, meter)
        del self._counted[session_id]
        self._failed.inc(failed)

    def refused(self, code: str) -> None:
        """A request was refused."""
        self._refused.labels(code).inc()

    def dropped_reader(self) -> None:
        """A client was closed because it did not read."""
        self._drops.inc()

    def text(self) -> bytes:
        """All of it, in Prometheus's text form."""
        return generate_latest(self._registry)
