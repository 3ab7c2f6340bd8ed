# SPDX-License-Identifier: Apache-2.0
"""Tools while reading: when a call begins, when its result is read, and what it cannot do."""

import json
import sys
import time

import numpy as np
import pytest
from tiny_reader import TALK, real_reader, tiny_reader

from edgestream.decoder.rows import token_rows
from edgestream.errors import OperationError, UsageError
from edgestream.events import Final, ToolCall
from edgestream.reader.reader import Reader
from edgestream.reader.tool import NO_CALL, read_call, read_tools
from edgestream.reader.tool_run import MAX_RUNNING
from edgestream.reader.tooling import Tools

LINES = [Final(f"{line}.", (), 1e3 * i, 1e3 * (i + 1)) for i, line in enumerate(TALK.split(". "))]
ADD = """
import json, sys
given = json.load(sys.stdin)
if given["a"] == 13: sys.exit("13 is not added")
print(given["a"] + given["b"])
"""
WAIT = """
import json, os, sys, time
given = json.load(sys.stdin)
while not os.path.exists(given["path"]): time.sleep(0.01)
print("here")
"""
NUMBERS = 'required = ["a", "b"]\nproperties.a.type = "integer"\nproperties.b.type = "integer"'
PATH = 'required = ["path"]\nproperties.path.type = "string"'
WAIT_S = 60.0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_reader(tmp_path_factory.mktemp("reader"))


@pytest.fixture
def tools(tmp_path):
    for name, program, parameters in (("add", ADD, NUMBERS), ("wait", WAIT, PATH)):
        (tmp_path / f"{name}.toml").write_text(
            f"name = '{name}'\ndescription = 'What {name} does.'\n"
            f"command = [{sys.executable!r}, '-c', '''{program}''']\ntimeout_s = 50\n"
            f"[parameters]\ntype = 'object'\n{parameters}\n"
        )
    return read_tools([tmp_path / "add.toml", tmp_path / "wait.toml"])


class Told(Tools):
    """Calls what it is told to."""

    def __init__(self, tools, calls):
        super().__init__(tools)
        self.calls = iter(calls)

    def write(self, aside, question):
        return next(self.calls, NO_CALL)


def call(tool, **arguments):
    return json.dumps({"tool": tool, "arguments": arguments})


def told(reader, lines=LINES):
    return [event for line in lines for event in reader.push(line)] + reader.finish()


def test_a_result_is_read_at_the_end_of_the_next_line(model, tools):
    reader = Reader(model, [Told(tools, [NO_CALL, call("add", a=2, b=3)])])
    assert [reader.push(line) for line in LINES[:3]] == [
        [], [], [ToolCall("add", '{"a": 2, "b": 3}', "5", False, 2e3, 3e3)],
    ]  # fmt: skip
    reader.close()


def test_the_result_of_the_last_lines_call_comes_too(model, tools):
    reader = Reader(model, [Told(tools, [call("add", a=13, b=3)])])
    assert told(reader, LINES[:1]) == [
        ToolCall("add", '{"a": 13, "b": 3}', "exit code 1: 13 is not added", True, 1e3, 1e3)
    ]
    reader.close()


def test_the_same_call_is_not_made_twice_in_a_row(model, tools):
    one, two = call("add", a=1, b=1), call("add", a=1, b=2)
    reader = Reader(model, [Told(tools, [one, one, two, one, NO_CALL, one])])
    assert [event.result for event in told(reader)] == ["2", "3", "2", "2"]
    reader.close()


def test_later_questions_see_the_result(model, tools):
    seen = []
    for a in (1, 2):
        reader = Reader(model, [Told(tools, [call("add", a=a, b=3)])], window=64)
        told(reader)
        row = token_rows(model.weights, [70])
        seen.append(reader._shared[0].memory.fork().step_groups([(0, row)])[0])
        reader.close()
    assert np.abs(seen[0] - seen[1]).max() > 1e-4


def test_reading_goes_on_while_a_call_runs(model, tools, tmp_path):
    path = tmp_path / "flag"
    reader = Reader(model, [Told(tools, [call("wait", path=str(path))])], beside=True)
    for line in LINES:
        assert reader.push(line) == []
    path.touch()
    said, deadline_s = [], time.monotonic() + WAIT_S
    while not said and time.monotonic() < deadline_s:
        said = reader.push(Final("And on.", (), 8e3, 9e3))
    assert said == [ToolCall("wait", json.dumps({"path": str(path)}), "here", False, 1e3, 9e3)]
    reader.close()


def test_no_more_calls_than_may_run_are_begun_and_closing_ends_them(model, tools, tmp_path):
    calls = [call("wait", path=str(tmp_path / f"{i}")) for i in range(2 * MAX_RUNNING)]
    task = Told(tools, calls)
    reader = Reader(model, [task], beside=True)
    for _ in range(4):
        for line in LINES:
            reader.push(line)
            reader._shared[0]._writer.finish()
            time.sleep(0.01)
    running = [begun.running for begun in task._begun]
    assert 0 < len(running) <= MAX_RUNNING
    reader.close()
    assert all(each.result(WAIT_S).problem == "was stopped" for each in running)


@pytest.mark.parametrize("plain", [False, True])
def test_whatever_a_model_writes_is_a_call_or_none(tools, tmp_path, plain):
    """Random weights, so what is written is the grammar's doing."""
    written = []

    class Watched(Tools):
        def write(self, aside, question):
            written.append(super().write(aside, question))
            return NO_CALL

    reader = Reader(tiny_reader(tmp_path, plain=plain), [Watched(tools)])
    assert told(reader) == []
    assert len(written) == len(LINES)
    for text in written:
        read_call(text, tools)
    reader.close()


@pytest.mark.parametrize("name", ["smollm2", "gemma"])
def test_a_real_model_writes_calls_that_can_be_read(name, tools):
    reader = Reader(real_reader(name), [Tools(tools[:1])])
    for event in told(reader, [*LINES[:2], Final("How much is two and three?", (), 7e3, 8e3)]):
        assert set(json.loads(event.arguments)) == {"a", "b"}
    reader.close()


def test_a_call_that_does_not_end_is_none(tools):
    class Aside:
        tokenizer = None

        def ask_within(self, grammar, question, max_tokens):
            raise OperationError("the text is not whole")

    task = Tools(tools)
    task._grammar = type("Grammar", (), {"reset": lambda self: None})()
    assert task.write(Aside(), "?") == NO_CALL
    task.close()


def test_without_a_tool_there_is_nothing_to_call():
    with pytest.raises(UsageError, match="none was given"):
        Tools([])
