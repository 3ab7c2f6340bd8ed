# SPDX-License-Identifier: Apache-2.0
"""What a reader beside costs captions: the time from a block of sound to the events of it.

    python tools/bench/reading_latency.py MODEL.gguf [RECORDING] --rounds 6

The recording is captioned at its own pace, alone and with all tasks running in the other process,
in turn, so that both see the same machine. Of each round: the time that a block takes which brings
words or decodes (median, 95th percentile), how long after its end a word was final, and how much
was computed. The figures at the end are medians of the rounds'. Where other programs use
the cores, --real-time takes them out of it.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path

import edgestream as es
from edgestream.data import DATA
from edgestream.reader.apart import ApartReader
from edgestream.reader.apart_worker import Recipe
from edgestream.reader.read import ReadSession
from edgestream.reader.wanted import Wanted

LEAST_MS = 5.0  # a block that takes less was not decoded: it waits in a buffer


def tasks_of(names: list[str]) -> Wanted:
    """All tasks that a reader knows, or those named."""
    known = {
        "translate": {"translate_to": "fr"},
        "note": {"note": "What was said so far?", "every_ms": 5000.0},
        "alert": {"alerts": ("somebody asks a question", "a country is named")},
        "wake": {"wake": ("your country",)},
        "think": {"think": True},
    }
    options: dict[str, object] = {}
    for name in names or list(known):
        options |= known[name]
    return Wanted(**options)  # type: ignore[arg-type]


def percentile(values: list[float], share: float) -> float:
    """The value that so large a share is below."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Timed:
    """A stream that keeps how long each block took."""

    def __init__(self, stream: object) -> None:
        self._stream = stream
        self.took_ms: list[float] = []
        self.final_ms: list[float] = []  # from a word's end until it was final

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def take(self, item: object) -> list[object]:
        start_s = time.perf_counter()
        events = self._stream.take(item)
        self.took_ms.append(1000 * (time.perf_counter() - start_s))
        self._count(events)
        return events

    def finish(self) -> list[object]:
        events = self._stream.finish()
        self._count(events)
        return events

    def _count(self, events: Iterable[object]) -> None:
        for event in events:
            if isinstance(event, es.Final):
                self.final_ms += [word.emitted_ms - word.end_ms for word in event.words]


def round_of(model: object, recording: Path, recipe: Recipe | None) -> tuple[list[float], str, str]:
    """One time through the recording: how long blocks took, the text, and a line of figures."""
    session = es.listen(recording, model=model)
    timed = session.reading.stream = session.stream = Timed(session.stream)
    if recipe is None:
        events = list(session)
    else:
        with closing(ApartReader(recipe)) as reader:
            events = list(ReadSession(session, reader))
    text = " ".join(event.text for event in events if isinstance(event, es.Final))
    n_said = sum(not isinstance(event, (es.Draft, es.Final)) for event in events)
    took = [each for each in timed.took_ms if each >= LEAST_MS]
    line = (
        f"{statistics.median(took):8.1f} {percentile(took, 0.95):8.1f}"
        f" {statistics.median(timed.final_ms):9.0f} {session.meter.compute_ms:9.0f} {n_said:7d}"
    )
    return took, text, line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", help="GGUF file of the model that reads along")
    parser.add_argument("recording", nargs="?", type=Path, default=DATA / "person.flac")
    parser.add_argument("--rounds", type=int, default=6, help="of each kind")
    parser.add_argument("--task", action="append", default=[], help="some tasks only, by name")
    parser.add_argument(
        "--real-time", action="store_true", help="captions before all other programs (Linux, root)"
    )
    wanted = parser.parse_args()
    if wanted.real_time:  # this thread alone, and not the reader's process
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(10))
    model = es.load()
    recipe = Recipe(wanted.reader, partial(Wanted.tasks, tasks_of(wanted.task)))
    took: dict[str, list[list[float]]] = {"alone": [], "beside": []}
    texts = set()
    print(f"{'':8} {'median':>8} {'p95 ms':>8} {'final ms':>9} {'work ms':>9} {'said':>7}")
    for _ in range(wanted.rounds):
        for kind, how in (("alone", None), ("beside", recipe)):
            values, text, line = round_of(model, wanted.recording, how)
            took[kind].append(values)
            texts.add(text)
            print(f"{kind:8} {line}", flush=True)
    for name, of in (("median", statistics.median), ("p95", partial(percentile, share=0.95))):
        alone, beside = (statistics.median(map(of, took[kind])) for kind in took)
        print(f"{name}: {alone:.1f} ms alone, {beside:.1f} beside: {beside / alone:.3f}")
    print("captions are the same" if len(texts) == 1 else "CAPTIONS DIFFER")


if __name__ == "__main__":
    main()
