# SPDX-License-Identifier: Apache-2.0
"""How long an answer is waited for when everything was said, and what reading along costs before.

    python tools/bench/reading.py MODEL.gguf [--transcript FILE] [--window ROWS] [--json FILE]

Three ways to the same questions: the whole text is read when they are asked; it was read along;
it was read along with a thought beside each sentence (`--think`) and a deeper one at the end. Also
what a memory and a fork of it take, and what running notes still know of words that have left a
window of 512 rows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from edgestream.events import Final, Note
from edgestream.reader.aside import Aside
from edgestream.reader.memory import Memory
from edgestream.reader.model import WINDOW, ReaderModel, load_reader
from edgestream.reader.notes import Notes
from edgestream.reader.reader import Reader
from edgestream.reader.shared import SharedMemory
from edgestream.reader.task import PROMPT, Task
from edgestream.reader.text import TextStream
from edgestream.reader.think import Think
from edgestream.reader.units import CommittedWords

TRANSCRIPT = Path(__file__).resolve().parents[2] / "tests/data/meeting.txt"
QUESTIONS = (
    "What was decided about the bridge?", "Who writes the letter?", "When is the next meeting?",
    "What does a new pump cost?", "Who drives the van?",
)  # fmt: skip
N_FORKS = 9
NOTES_WINDOW = 512  # rows, about a third of the transcript
NOTES_EVERY_MS = 60_000
FACTS = (
    "four million", "eighty", "april", "november", "the mill", "ferry", "green", "tuesday",
    "february", "samuel", "baker", "three euros", "piano", "july", "twelve hundred", "third of may",
)  # fmt: skip


def timed_ms(act: Callable[[], object]) -> float:
    """Processor time that it takes, on one thread; of a wall clock the same where no other work
    disturbs."""
    begin_s = time.process_time()
    act()
    return 1000 * (time.process_time() - begin_s)


def lines(text: str) -> list[Final]:
    """A text's sentences, with the times of somebody who reads it aloud."""
    stream = TextStream()
    events = [*stream.take(text.encode()), *stream.finish()]
    return [event for event in events if isinstance(event, Final)]


def first_word_ms(memory: Memory) -> float:
    """From a question until the first token of its answer."""
    return median(
        timed_ms(lambda question=question: Aside(memory).ask(question, max_tokens=1))
        for question in QUESTIONS
    )


def read_first(model: ReaderModel, said: list[Final], window: int) -> dict[str, float]:
    """Nothing is computed before the question comes, but for the prompt."""
    took_ms = []
    for question in QUESTIONS[:3]:
        memory = Memory(model, PROMPT, window=window)

        def act(memory: Memory = memory, question: str = question) -> None:
            memory.read("\n".join(f" {line.text}" for line in said))
            Aside(memory).ask(question, max_tokens=1)

        took_ms.append(timed_ms(act))
    return {"first_word_ms": median(took_ms)}


def read_along(
    model: ReaderModel, said: list[Final], window: int, tasks: list[Task]
) -> dict[str, float]:
    """With tasks beside; what each line takes, and what is left to do at the end."""
    shared, words = SharedMemory(model, tasks, beside=False, window=window), CommittedWords()
    line_ms = [
        sum(timed_ms(lambda unit=unit: shared.push(unit)) for unit in words.push(line))
        for line in said
    ]
    end_ms = timed_ms(shared.finish)
    return {
        "first_word_ms": first_word_ms(shared.memory), "end_ms": end_ms,
        "line_ms": median(line_ms), "all_lines_s": sum(line_ms) / 1000,
        "memory_mb": shared.memory.n_bytes / 1e6,
    }  # fmt: skip


def forked(model: ReaderModel, said: list[Final], window: int) -> dict[str, float]:
    """What a fork of a memory that has read costs."""
    memory = Memory(model, PROMPT, window=window, regions={"notes": 224})
    words = CommittedWords()
    for unit in [unit for line in said for unit in words.push(line)]:
        memory.end_line() if unit.ends_line else memory.read(f" {unit.text}")
    took_ms = [timed_ms(memory.fork) for _ in range(N_FORKS)]
    return {"fork_ms": median(took_ms), "fork_mb": memory.n_bytes / 1e6}


def remembered(model: ReaderModel, said: list[Final]) -> dict[str, Any]:
    """Facts of the transcript that the last notes hold."""
    reader = Reader(model, [Notes("What was decided so far?", NOTES_EVERY_MS)], window=NOTES_WINDOW)
    events = [event for line in said for event in reader.push(line)] + reader.finish()
    notes = [event.text for event in events if isinstance(event, Note)]
    whole = " ".join(notes).lower()
    return {
        "notes": notes, "facts_in_last": sum(fact in notes[-1].lower() for fact in FACTS),
        "facts_in_any": sum(fact in whole for fact in FACTS), "facts": len(FACTS),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--transcript", type=Path, default=TRANSCRIPT)
    parser.add_argument("--window", type=int, default=WINDOW)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    model, said = load_reader(args.model), lines(args.transcript.read_text("utf-8"))
    figures = {
        "model": args.model.name, "window": args.window,
        "lines": len(said), "words": sum(len(line.text.split()) for line in said),
        "fork": forked(model, said, args.window),
        "read first": read_first(model, said, args.window),
        "read along": read_along(model, said, args.window, []),
        "with thoughts": read_along(model, said, args.window, [Think()]),
        "notes": remembered(model, said),
    }  # fmt: skip
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
