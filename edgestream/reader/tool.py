# SPDX-License-Identifier: Apache-2.0
"""Tools: the commands that a model may call while it reads, as TOML files declare them.

    name = "weather"
    description = "The weather of a city"
    command = ["python3", "./weather.py"]      # what is in the file's folder begins with ./
    timeout_s = 10                             # 10 where nothing is said, 600 at most
    folder = "."                               # where it runs; otherwise in a new, empty folder

    [parameters]                               # JSON Schema (edgestream.reader.schema)
    type = "object"
    required = ["city"]
    properties.city = {type = "string", maxLength = 60}

The command finds the arguments as JSON on its stdin, and its stdout is what the model reads.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgestream.errors import UsageError
from edgestream.library.toml_file import build, parse_toml
from edgestream.reader.schema import MAX_ALTERNATIVES, expect_schema, misfit, schema_grammar

WAY_OUT = "a tool is a TOML file with name, description, command and parameters"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
NO_CALL = "none"
MAX_CALL = 1 << 16  # characters
MAX_DESCRIPTION = 1000  # characters
LONGEST_S = 600.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A command that may be called. `parameters`: a JSON schema of what it takes; `folder`: where
    it runs, empty: in a new folder of its own."""

    name: str
    description: str
    command: tuple[str, ...]
    timeout_s: float = 10.0
    folder: str = ""
    parameters: Any = None


@dataclass(frozen=True, slots=True)
class Call:
    """What a model asked for: arguments fit the tool's parameters."""

    tool: Tool
    arguments: dict[str, Any]

    @property
    def text(self) -> str:
        """As the model would write it."""
        return json.dumps({"tool": self.tool.name, "arguments": self.arguments}, ensure_ascii=False)


def read_tools(paths: Sequence[Path | str]) -> list[Tool]:
    """The tools that files declare, one each.

    Raises:
        UsageError: a file is none of a tool, its command is not there, two have one name, or there
            are too many.
    """
    if len(paths) > MAX_ALTERNATIVES:
        raise UsageError(f"{len(paths)} tools; at most {MAX_ALTERNATIVES} can be chosen from")
    tools = [read_tool(Path(path)) for path in paths]
    names = [tool.name.lower() for tool in tools]
    for path, name in zip(paths, names, strict=True):
        if names.count(name) > 1:
            raise UsageError(f"{path}: two tools are called {name}; rename one of them")
    return tools


def read_tool(path: Path) -> Tool:
    """The tool that a file declares; raises UsageError as `read_tools()`."""
    table = parse_toml(path, WAY_OUT)
    if "parameters" not in table:
        raise UsageError(f"{path}: key 'parameters' is missing; {WAY_OUT}")
    parameters = table.pop("parameters")
    tool = build(Tool, table, str(path))
    if not NAME.fullmatch(tool.name) or tool.name.lower() == NO_CALL:
        raise UsageError(f"{path}: name: a word of letters, digits, _ and -, and not {NO_CALL}")
    if not tool.description.strip() or len(tool.description) > MAX_DESCRIPTION:
        raise UsageError(f"{path}: description: say what it does, in {MAX_DESCRIPTION} characters")
    if not 0 < tool.timeout_s <= LONGEST_S or math.isnan(tool.timeout_s):
        raise UsageError(f"{path}: timeout_s: above 0 and at most {LONGEST_S:g}")
    # Two levels deep in a call, beside the other tools.
    expect_schema(parameters, f"{path}: parameters", deep=2, ways=MAX_ALTERNATIVES)
    if parameters.get("type") != "object":
        raise UsageError(f"{path}: parameters.type: must be object; arguments have names")
    home = path.parent.resolve()
    folder = home / tool.folder
    if tool.folder and not folder.is_dir():
        raise UsageError(f"{path}: folder: {tool.folder} is no folder")
    return replace(
        tool,
        command=_command(tool.command, home, path),
        folder=str(folder) if tool.folder else "",
        parameters=parameters,
    )


def _command(words: tuple[str, ...], home: Path, path: Path) -> tuple[str, ...]:
    """With the full paths of what begins with `./`, wherever it runs."""
    if any("\0" in word for word in words) or not words or not words[0]:
        raise UsageError(f"{path}: command: a list, the program and its arguments")
    words = tuple(str(home / word) if word.startswith("./") else word for word in words)
    if shutil.which(words[0]) is None:
        raise UsageError(
            f"{path}: command: there is no program {words[0]}, or it may not be run; what is in the"
            " file's folder begins with ./"
        )
    return words


def call_grammar(tools: Sequence[Tool]) -> str:
    """A GBNF grammar of one call, `{"tool": name, "arguments": {...}}`, or the word `none`."""
    call = schema_grammar({"anyOf": [_call_schema(tool) for tool in tools]}, "tools")
    rules = (
        f'{rule} | "{NO_CALL}"' if rule.startswith("root ::= ") else rule
        for rule in call.split("\n")
    )
    return "\n".join(rules)


def describe(tools: Sequence[Tool]) -> str:
    """What a model is told of its tools, as a part of its prompt."""
    lines = [
        "You may call a tool. To call one, write only JSON such as"
        f' {{"tool": name, "arguments": {{...}}}}. If none helps, write {NO_CALL}.'
    ]
    for tool in tools:
        schema = json.dumps(tool.parameters, ensure_ascii=False)
        lines.append(f"- {tool.name}: {' '.join(tool.description.split())} Arguments: {schema}")
    return "\n".join(lines)


def read_call(text: str, tools: Sequence[Tool]) -> Call | None:
    """What a model wrote, as a call of one of these tools; None where it wrote `none`.

    Raises:
        UsageError: the text is neither, or its arguments do not fit.
    """
    text = text.strip()
    if text == NO_CALL:
        return None
    value = _json(text)
    if not isinstance(value, dict) or set(value) != {"tool", "arguments"}:
        raise UsageError("call: an object with tool and arguments is wanted")
    tool = next((tool for tool in tools if tool.name == value["tool"]), None)
    if tool is None:
        known = ", ".join(tool.name for tool in tools)
        raise UsageError(f"call: no tool {str(value['tool'])[:64]!r}; there are: {known}")
    if reason := misfit(value["arguments"], tool.parameters):
        raise UsageError(f"call: {tool.name}: {reason}")
    return Call(tool, value["arguments"])


def _call_schema(tool: Tool) -> dict[str, Any]:
    name = {"type": "string", "const": tool.name}
    return {
        "type": "object",
        "properties": {"tool": name, "arguments": tool.parameters},
        "required": ["tool", "arguments"],
    }


def _json(text: str) -> Any:
    """A value of strict JSON: no name twice, no Infinity."""
    if len(text) > MAX_CALL:
        raise UsageError(f"call: {len(text)} characters; at most {MAX_CALL} are read")
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"call: not JSON ({str(error) or 'nested too deep'})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no number")
