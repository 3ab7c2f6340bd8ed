# SPDX-License-Identifier: Apache-2.0
"""Tasks for a reader in a process of its own: they are looked up by name there, so they stand in a
module that it can import."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from edgestream.errors import UsageError
from edgestream.events import Final, Note, TranslationDraft
from edgestream.reader.apart import ApartReader
from edgestream.reader.apart_worker import Recipe
from edgestream.reader.tool import Call, Tool
from edgestream.reader.tool_run import ToolRunner
from edgestream.reader.translation.stage import TranslationStage


@dataclass
class Lines:
    """A task that needs no model: a note for each line; in odd ways at a line that says how."""

    slow_s: float = 0.0

    def stage(self, model, *, beside, n_threads):
        return LinesStage(self.slow_s)


class LinesStage:
    def __init__(self, slow_s):
        self._slow_s = slow_s
        self._n_units = 0

    def push(self, unit):
        time.sleep(self._slow_s)
        self._n_units += 1
        if not unit.ends_line:
            return []
        if unit.line == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if unit.line == "memory":
            raise MemoryError
        if unit.line == "error":
            raise ValueError("odd")
        return [Note("", unit.line, unit.start_ms, unit.end_ms)]

    def poll(self):
        return []

    def finish(self):
        return [Note("end", str(self._n_units), 0.0, 0.0)]

    def close(self):
        pass


def lines():
    return [Lines()]


class NoTranslator:
    """Takes its time for each word."""

    def read(self, words, *, last):
        time.sleep(0.02 * len(words))

    def texts(self):
        return "", ""

    def end(self):
        return "done"


@dataclass
class SlowTranslation(Lines):
    def stage(self, model, *, beside, n_threads):
        return TranslationStage(NoTranslator(), "de", beside=True)


def slow_translation():
    return [SlowTranslation()]


@dataclass
class Closed(Lines):
    """Leaves a file when it is closed."""

    path: Path = Path()

    def stage(self, model, *, beside, n_threads):
        stage = LinesStage(0.0)
        stage.close = self.path.touch
        return stage


def closed_into(path):
    return [Closed(path=path)]


@dataclass
class Waits(Lines):
    """Waits at a line for a command that says its number in a file and does not end."""

    folder: str = ""

    def stage(self, model, *, beside, n_threads):
        runner, stage = ToolRunner(), LinesStage(0.0)
        code = "echo $$ > part; mv part pid; exec sleep 3600"
        tool = Tool("wait", "Waits.", ("/bin/sh", "-c", code), 3600.0, self.folder, {})

        def push(unit):
            if unit.ends_line:
                runner.start(Call(tool, {})).result()
            return []

        stage.push, stage.close = push, runner.close
        return stage


def waits_in(folder):
    return [Waits(folder=folder)]


def slow_lines():
    return [Lines(0.01)]


def endless():
    return [Lines(3600.0)]


def never():
    threading.Event().wait()


def no_tasks():
    return []


class Drafts(Lines):
    """Translates the first word, and is killed by the line's end."""

    def stage(self, model, *, beside, n_threads):
        stage = LinesStage(0.0)
        stage.push = self.draft
        return stage

    def draft(self, unit):
        if unit.ends_line:
            os.kill(os.getpid(), signal.SIGKILL)
        return [TranslationDraft(unit.text.upper(), "fr", unit.start_ms, unit.end_ms, 2)]


def drafts():
    return [Drafts()]


def unusable():
    raise UsageError("such a task there is not")


def odd():
    raise ZeroDivisionError("none")


def short():
    raise MemoryError


def dead():
    os.kill(os.getpid(), signal.SIGKILL)


def captioning(pipe):
    """A program whose reader is at work; tells the reader's number and goes on for ever."""
    reader = ApartReader(Recipe(None, endless))
    reader.push(Final("a line that takes an hour", (), 0.0, 1000.0))
    pipe.send(reader.pid)
    threading.Event().wait()
