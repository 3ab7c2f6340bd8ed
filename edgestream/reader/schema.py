# SPDX-License-Identifier: Apache-2.0
"""The part of JSON Schema that a grammar can hold a model to.

A grammar says which letter may follow, so it can keep a number of letters, but not that a number is
below 10. What it cannot keep is refused, and so is what llama-cpp-python's `json_schema_to_gbnf()`
(0.3.36) makes a wrong grammar of: quotes and backslashes in names and values, a property `*`,
`type` as a list beside other rules, objects and lists of anything.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from llama_cpp.llama_grammar import PRIMITIVE_RULES, json_schema_to_gbnf

from edgestream.errors import UsageError

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
}
RULES = {
    "string": {"enum", "const", "minLength", "maxLength", "format"},
    "integer": {"enum", "const"},
    "number": {"enum", "const"},
    "boolean": {"const"},
    "null": set(),
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
}
NOTES = {"title", "description", "default", "examples", "$schema", "$comment"}  # rule nothing
FORMATS = {
    "date": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])",
    "time": r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{3})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)",
    "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
}
FORMATS["date-time"] = f"{FORMATS['date']}T{FORMATS['time']}"
LENGTHS = {
    "array": ("minItems", "maxItems"),
    "string": ("minLength", "maxLength"),
}
MOST = 256  # items, letters, properties, values
MAX_GRAMMAR = 1 << 18  # characters
MAX_WAYS = 256  # in which a text may be begun: each is tried at each token
MAX_ALTERNATIVES = 16  # of one anyOf
DEEPEST = 8
# As JSON has it: no control characters. And no \u: half a character can be written with it.
CHAR = r'[^"\\\x00-\x1F\x7F] | "\\" ["\\/bfnrt]'
NUMBER = '("-"? integral-part) ("." decimal-part)? space'  # 1e999 is no number in most programs


def schema_grammar(schema: Any, where: str) -> str:
    """A GBNF grammar for what fits a schema; names in it are those of `json_schema_to_gbnf()`.

    Raises:
        UsageError: the schema says something that the grammar cannot keep; `where` and the place.
    """
    expect_schema(schema, where)
    grammar: str = json_schema_to_gbnf(json.dumps(schema))
    for name, content in (("char", CHAR), ("number", NUMBER)):
        grammar = grammar.replace(PRIMITIVE_RULES[name].content, content)
    if len(grammar) > MAX_GRAMMAR:
        raise UsageError(f"{where}: too large for a grammar; fewer names or shorter lengths fit")
    return grammar


def expect_schema(schema: Any, where: str, deep: int = 0, ways: int = 1) -> None:
    """Raises UsageError on what `schema_grammar()` could not keep. `ways`: how many alternatives
    there are around it."""
    if not isinstance(schema, dict):
        raise UsageError(f"{where}: a schema is an object, as {{'type': 'string'}}")
    if deep > DEEPEST:
        raise UsageError(f"{where}: nested too deep; at most {DEEPEST} levels are kept")
    if "anyOf" in schema:
        _expect_keys(schema, {"anyOf"}, where)
        _expect_list(schema["anyOf"], f"{where}.anyOf", MAX_ALTERNATIVES)
        ways *= len(schema["anyOf"])
        if ways > MAX_WAYS:
            raise UsageError(f"{where}.anyOf: {ways} ways to begin; at most {MAX_WAYS} are kept")
        for i, each in enumerate(schema["anyOf"]):
            expect_schema(each, f"{where}.anyOf.{i}", deep + 1, ways)
        return
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise UsageError(f"{where}.type: {kind!r}; one of {', '.join(TYPES)}, or anyOf")
    _expect_keys(schema, {"type", *RULES[kind]}, where)
    if kind == "object":
        _expect_object(schema, where, deep, ways)
    elif kind == "array":
        expect_schema(schema.get("items"), f"{where}.items", deep + 1, ways)
    else:
        _expect_scalar(schema, kind, where)
    _expect_lengths(schema, kind, where)


def misfit(value: Any, schema: dict[str, Any], where: str = "arguments") -> str:
    """Why a value does not fit a schema that `expect_schema()` let through; `""` if it does."""
    if "anyOf" in schema:
        reasons = [misfit(value, each, where) for each in schema["anyOf"]]
        return "" if "" in reasons else reasons[0]
    kind = schema["type"]
    if not _is(value, kind):
        return f"{where}: not {'an' if kind[0] in 'aio' else 'a'} {kind}"
    if "const" in schema or "enum" in schema:
        known = schema.get("enum", [schema.get("const")])
        if not any(_same(value, each) for each in known):
            return f"{where}: not one of {json.dumps(known)}"
    if kind in LENGTHS:
        least, most = (schema.get(key) for key in LENGTHS[kind])
        if len(value) < (least or 0) or (most is not None and len(value) > most):
            return f"{where}: its length is {len(value)}"
    form = FORMATS.get(schema.get("format", ""))
    if form is not None and not re.fullmatch(form, value):
        return f"{where}: not a {schema['format']}"
    return _inner_misfit(value, schema, where)


def _inner_misfit(value: Any, schema: dict[str, Any], where: str) -> str:
    if isinstance(value, list):
        found = (misfit(each, schema["items"], f"{where}.{i}") for i, each in enumerate(value))
        return next(filter(None, found), "")
    if not isinstance(value, dict):
        return ""
    known = schema["properties"]
    for name in schema.get("required", []):
        if name not in value:
            return f"{where}.{name}: missing"
    for name, each in value.items():
        if name not in known:
            return f"{where}.{name}: not known"
        if reason := misfit(each, known[name], f"{where}.{name}"):
            return reason
    return ""


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, TYPES[kind]) and (kind == "boolean") == isinstance(value, bool)


def _same(a: Any, b: Any) -> bool:
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _expect_keys(schema: dict[str, Any], known: set[str], where: str) -> None:
    for key in schema:
        if key not in known and key not in NOTES:
            raise UsageError(f"{where}.{key}: a grammar cannot keep this; leave it out")


def _expect_list(values: Any, where: str, most: int) -> None:
    if not isinstance(values, list) or not 1 <= len(values) <= most:
        raise UsageError(f"{where}: a list of 1 to {most} is wanted")


def _expect_object(schema: dict[str, Any], where: str, deep: int, ways: int) -> None:
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, dict) or len(properties) > MOST:
        raise UsageError(f"{where}.properties: an object of at most {MOST} names is wanted")
    for name, each in properties.items():
        _expect_plain(name, f"{where}.properties")
        if name == "*":
            raise UsageError(f"{where}.properties: '*' is no name that a grammar can keep")
        expect_schema(each, f"{where}.{name}", deep + 1, ways)
    if not isinstance(required, list) or any(
        not isinstance(name, str) or name not in properties for name in required
    ):
        raise UsageError(f"{where}.required: a list of names of its properties is wanted")
    if schema.get("additionalProperties", False) is not False:
        raise UsageError(f"{where}.additionalProperties: name the properties instead")


def _expect_scalar(schema: dict[str, Any], kind: str, where: str) -> None:
    if "enum" in schema:
        _expect_list(schema["enum"], f"{where}.enum", MOST)
    if "enum" in schema and "const" in schema:
        raise UsageError(f"{where}.const: beside an enum; leave one of them out")
    for value in [*schema.get("enum", []), *([schema["const"]] if "const" in schema else [])]:
        if not _is(value, kind):
            raise UsageError(f"{where}: the value {value!r} is not of the type {kind}")
        _expect_plain(value, where)
        if reason := misfit(value, {k: schema[k] for k in schema if k not in ("enum", "const")}):
            raise UsageError(f"{where}: the value {value!r} does not fit ({reason})")
    if "format" in schema and schema["format"] not in FORMATS:
        raise UsageError(f"{where}.format: {schema['format']!r}; one of {', '.join(FORMATS)}")


def _expect_plain(value: Any, where: str) -> None:
    """Names and values stand in the grammar as JSON writes them, without a backslash."""
    text = json.dumps(value, ensure_ascii=False)
    if "\\" in text or '"' in text[1:-1] or not text.isprintable() or max(text) > "\uffff":
        raise UsageError(f"{where}: {value!r} has a letter that a grammar cannot keep")


def _expect_lengths(schema: dict[str, Any], kind: str, where: str) -> None:
    least, most = (schema.get(key) for key in LENGTHS.get(kind, ("", "")))
    for number in (least, most):
        if number is not None and (type(number) is not int or not 0 <= number <= MOST):
            raise UsageError(f"{where}: lengths are 0 to {MOST}, not {number!r}")
    if least is not None and most is not None and least > most:
        raise UsageError(f"{where}: its least length is above its greatest")
    if "format" in schema and (least, most) != (None, None):
        raise UsageError(f"{where}: a format has a length of its own; leave one of them out")
