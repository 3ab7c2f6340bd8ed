# SPDX-License-Identifier: Apache-2.0
"""Tools while reading: a call begins while the input goes on, its result is read when it comes."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgestream.errors import OperationError, UsageError
from edgestream.events import Event, ToolCall
from edgestream.reader.aside import Aside
from edgestream.reader.grammar import Grammar
from edgestream.reader.task import Arrived, EveryLine, Task
from edgestream.reader.tool import NO_CALL, Call, Tool, call_grammar, describe, read_call
from edgestream.reader.tool_run import MAX_RUNNING, Running, ToolRunner
from edgestream.reader.units import Unit

CALL_TOKENS = 192
MAX_READ = 600  # characters of a result that the model reads
MAX_LINE = 400  # characters of a line that are repeated in the question
ASKED = "Does a tool help with what was said last? Write its call, or none. Said last: "


@dataclass(frozen=True, slots=True)
class _Begun:
    running: Running
    start_ms: float


class Tools(Task):
    """After each line the model is asked, in a fork, whether a tool should be called. A grammar
    bounds what it writes: a call of a declared tool with arguments that fit, or none.

    The call runs on a thread. Its result is read at the end of a line: of the first one after it
    came, where answers are written beside; else of the next one, which waits for it. The same call
    is not made twice in a row.
    """

    policy = EveryLine()
    max_tokens = CALL_TOKENS
    region = "results"
    region_rows = 512

    def __init__(self, tools: Sequence[Tool]) -> None:
        """Raises UsageError where there is no tool, or their parameters make no grammar."""
        if not tools:
            raise UsageError("tools: none was given")
        self._tools = list(tools)
        self.told = describe(self._tools)
        self._gbnf = call_grammar(self._tools)
        self._grammar: Grammar | None = None  # made where the tokenizer is known
        self._runner = ToolRunner()
        self._begun: deque[_Begun] = deque()
        self._last = ""

    def on_unit(self, unit: Unit) -> str | None:
        """Whether a tool helps with the line; nothing while as many run as may."""
        if len(self._begun) >= MAX_RUNNING:
            return None
        return f"{ASKED}{unit.line[:MAX_LINE]}"

    def write(self, aside: Aside, question: str) -> str:
        """A call or `none`, by the grammar; `none` too where a call would not end."""
        if self._grammar is None:
            self._grammar = Grammar(aside.tokenizer, self._gbnf)
        self._grammar.reset()
        try:
            return aside.ask_within(self._grammar, question, max_tokens=self.max_tokens)
        except OperationError:
            return NO_CALL

    def on_text(self, text: str, unit: Unit) -> Iterable[Event]:
        """The call begins; its event comes with its result."""
        call = read_call(text, self._tools)
        if call is None:
            self._last = ""
        elif call.text != self._last and len(self._begun) < MAX_RUNNING:
            self._last = call.text
            self._begun.append(_Begun(self._runner.start(call), unit.end_ms))
        return []

    def kept(self, text: str) -> str:
        """Of a call nothing is kept, but of its result."""
        return ""

    def arrived(self, unit: Unit, *, wait: bool) -> Iterable[Arrived]:
        """The results that came, in the order in which their calls began."""
        came = []
        for _ in range(len(self._begun)):
            begun = self._begun.popleft()
            if wait or begun.running.done:
                came.append(_arrived(begun, unit.end_ms))
            else:
                self._begun.append(begun)
        return came

    def close(self) -> None:
        """Ends the calls that run."""
        self._runner.close()


def _arrived(begun: _Begun, end_ms: float) -> Arrived:
    result = begun.running.result()
    assert result is not None, "a wait without a limit"
    call: Call = begun.running.call
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    said = result.problem or " ".join(result.text.split())
    what = "failed" if result.problem else "says"
    read = f"[{call.tool.name} {arguments} {what}: {said[:MAX_READ]}]\n"
    return Arrived(read, ToolCall(
        tool=call.tool.name, arguments=arguments, result=result.problem or result.text,
        failed=bool(result.problem), start_ms=begun.start_ms, end_ms=end_ms,
    ))  # fmt: skip
