# SPDX-License-Identifier: Apache-2.0
"""Files that declare tools, and what a model writes to call them."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_chat import opened, write_chat

from edgestream.errors import UsageError
from edgestream.reader.grammar import Grammar
from edgestream.reader.tool import call_grammar, describe, read_call, read_tool, read_tools

WEATHER = """
name = "weather"
description = "The weather of a city."
command = ["sh", "./weather.sh"]

[parameters]
type = "object"
required = ["city"]
properties.city = {type = "string", minLength = 1, maxLength = 30}
properties.days = {type = "integer", enum = [1, 2, 7]}
"""
CLOCK = """
name = "clock"
description = "What time it is."
command = ["date"]
parameters = {type = "object", properties = {}}
"""


def write(folder, text, name="tool.toml"):
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    return read_tools([write(folder, WEATHER, "weather.toml"), write(folder, CLOCK, "clock.toml")])


def test_a_file_declares_a_tool(tmp_path):
    tool = read_tool(write(tmp_path, WEATHER))
    assert (tool.name, tool.timeout_s, tool.folder) == ("weather", 10.0, "")
    assert tool.command == ("sh", str(tmp_path / "weather.sh"))
    assert tool.parameters["required"] == ["city"]


def test_a_tool_may_run_in_a_folder(tmp_path):
    text = 'folder = "."\ntimeout_s = 3\n' + CLOCK.replace('"date"', json.dumps(sys.executable))
    tool = read_tool(write(tmp_path, text))
    assert (tool.command, tool.timeout_s) == ((sys.executable,), 3.0)
    assert Path(tool.folder) == tmp_path


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('name = "weather"', "", "key 'name' is missing"),
        ('name = "weather"', 'name = "none"', "name: a word of letters"),
        ('name = "weather"', 'name = "a b"', "name: a word of letters"),
        ('name = "weather"', "name = 7", "name: 7 is not of type str"),
        ("The weather of a city.", " ", "description: say what it does"),
        ("The weather of a city.", "x" * 1001, "description: say what it does, in 1000 characters"),
        ('["sh", "./weather.sh"]', "[]", "command: a list, the program and its arguments"),
        ('["sh", "./weather.sh"]', '[""]', "command: a list, the program and its arguments"),
        ('["sh", "./weather.sh"]', r'["sh", "\u0000"]', "command: a list"),
        ('["sh", "./weather.sh"]', '"sh -c x"', "command: 'sh -c x' is not of type"),
        ('["sh", "./weather.sh"]', '["./no"]', "command: there is no program"),
        ('["sh", "./weather.sh"]', '["no-such-program"]', "there is no program no-such-program"),
        ("[parameters]", "timeout_s = 0\n[parameters]", "timeout_s: above 0 and at most 600"),
        ("[parameters]", "timeout_s = nan\n[parameters]", "timeout_s: above 0 and at most 600"),
        ("[parameters]", "timeout_s = 601\n[parameters]", "timeout_s: above 0 and at most 600"),
        ("[parameters]", 'folder = "no"\n[parameters]', "folder: no is no folder"),
        ("[parameters]", "shell = true\n[parameters]", "unknown key 'shell'"),
        ("[parameters]", "[parameter]", "key 'parameters' is missing; a tool is a TOML file with"),
        ('type = "object"', 'type = "any"', "parameters.type: 'any'; one of"),
        ("maxLength = 30", "pattern = '^a$'", "parameters.city.pattern: a grammar cannot keep"),
        ('name = "weather"', "name =", "not valid TOML"),
    ],
)
def test_what_declares_no_tool_is_one_line(tmp_path, old, new, reason):
    assert old in WEATHER
    path = write(tmp_path, WEATHER.replace(old, new))
    with pytest.raises(UsageError) as caught:
        read_tool(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)


def test_arguments_have_names(tmp_path):
    text = CLOCK.replace('{type = "object", properties = {}}', '{type = "null"}')
    with pytest.raises(UsageError, match="must be object; arguments have names"):
        read_tool(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="a tool is a TOML file with name"):
        read_tools([tmp_path / "no.toml"])


def test_two_tools_of_one_name(tmp_path):
    paths = [write(tmp_path, CLOCK, "a.toml"), write(tmp_path, CLOCK, "b.toml")]
    with pytest.raises(UsageError, match="two tools are called clock; rename one of them"):
        read_tools(paths)


def test_a_model_chooses_from_some_tools(tmp_path):
    paths = [write(tmp_path, CLOCK.replace("clock", f"clock{i}"), f"{i}.toml") for i in range(17)]
    with pytest.raises(UsageError, match="17 tools; at most 16 can be chosen from"):
        read_tools(paths)
    assert "clock15" in call_grammar(read_tools(paths[:16]))


def test_what_a_model_is_told_of_its_tools(tools):
    text = describe(tools)
    assert "- weather: The weather of a city. Arguments: {" in text
    assert "write none." in text


def test_a_call_is_read(tools):
    call = read_call(' {"tool": "weather", "arguments": {"city": "Zürich", "days": 2}} ', tools)
    assert call.tool is tools[0]
    assert call.arguments == {"city": "Zürich", "days": 2}
    assert read_call(call.text, tools) == call
    assert read_call("none\n", tools) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("None", "not JSON"),
        ("[" * 50000, "not JSON"),
        ("x" * 70000, "70000 characters; at most 65536"),
        ("[]", "an object with tool and arguments is wanted"),
        ('{"tool": "clock"}', "an object with tool and arguments is wanted"),
        ('{"tool": "clock", "arguments": {}, "x": 1}', "an object with tool and arguments"),
        ('{"tool": "rm", "arguments": {}}', "no tool 'rm'; there are: weather, clock"),
        ('{"tool": ["clock"], "arguments": {}}', "no tool"),
        ('{"tool": "clock", "arguments": {"a": 1}}', "clock: arguments.a: not known"),
        ('{"tool": "weather", "arguments": {}}', "weather: arguments.city: missing"),
        ('{"tool": "weather", "arguments": {"city": "B", "city": "C"}}', "stands there twice"),
        ('{"tool": "weather", "arguments": {"city": "B", "days": NaN}}', "NaN is no number"),
    ],
    ids=range(13),
)
def test_what_is_no_call_is_one_line(tools, text, reason):
    with pytest.raises(UsageError) as caught:
        read_call(text, tools)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("call: ")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return opened(write_chat(tmp_path_factory.mktemp("calls") / "m.gguf"))[1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), calls=st.booleans())
def test_whatever_the_scores_are_a_call_or_none_is_written(tokenizer, tools, seed, calls):
    rng = np.random.default_rng(seed)
    grammar, tokens = Grammar(tokenizer, call_grammar(tools)), []
    begin = tokenizer.encode("{" if calls else "n", add_special=False)[-1]
    while not grammar.may_end:
        logits = rng.normal(size=tokenizer.n_tokens).astype(np.float32)
        logits[begin] += 0 if tokens else 99
        tokens.append(grammar.allowed(logits))
        grammar.accept(tokens[-1])
    call = read_call(tokenizer.decode(tokens), tools)
    assert (call is not None) == calls
