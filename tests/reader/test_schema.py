# SPDX-License-Identifier: Apache-2.0
"""Schemas that a grammar can keep, and those that are refused."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_schemas import schemas, values

from edgestream.errors import UsageError
from edgestream.reader.schema import expect_schema, misfit, schema_grammar

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 1, "maxLength": 40},
        "days": {"type": "integer", "enum": [1, 2, 7]},
        "on": {"type": "string", "format": "date"},
    },
    "required": ["city"],
}


def test_a_schema_becomes_a_grammar_without_control_characters():
    grammar = schema_grammar(WEATHER, "weather")
    assert "root ::=" in grammar
    assert r"[^\"\\\x00-\x1F\x7F]".replace(r"\"", '"') in grammar
    assert '"u" [0-9a-fA-F]' not in grammar


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (7, "s: a schema is an object"),
        ({}, "s.type: None; one of string, integer"),
        ({"type": "text"}, "s.type: 'text'; one of"),
        ({"type": ["string", "null"]}, "s.type: ['string', 'null']; one of"),
        ({"type": "object"}, "s.properties: an object of at most 256 names"),
        ({"type": "array"}, "s.items: a schema is an object"),
        ({"type": "integer", "minimum": 3}, "s.minimum: a grammar cannot keep this; leave it out"),
        ({"type": "string", "pattern": "^(a?){99}$"}, "s.pattern: a grammar cannot keep this"),
        ({"$ref": "https://example.org/a.json"}, "s.type: None"),
        ({"type": "string", "format": "email"}, "s.format: 'email'; one of date, time, uuid"),
        ({"type": "string", "enum": []}, "s.enum: a list of 1 to 256 is wanted"),
        ({"type": "string", "enum": ['a"b']}, "has a letter that a grammar cannot keep"),
        ({"type": "string", "const": "a\\"}, "has a letter that a grammar cannot keep"),
        ({"type": "string", "const": "😀"}, "has a letter that a grammar cannot keep"),
        ({"type": "string", "const": "a\n"}, "has a letter that a grammar cannot keep"),
        ({"type": "integer", "enum": [1, "2"]}, "the value '2' is not of the type integer"),
        ({"type": "integer", "enum": [True]}, "the value True is not of the type integer"),
        ({"type": "number", "const": float("nan")}, "is not of the type number"),
        ({"type": "string", "const": "ab", "maxLength": 1}, "does not fit"),
        ({"type": "string", "minLength": 10**9}, "s: lengths are 0 to 256, not 1000000000"),
        ({"type": "string", "minLength": True}, "s: lengths are 0 to 256, not True"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "least length is above its greatest"),
        ({"type": "string", "minLength": 3, "format": "date"}, "a format has a length of its own"),
        ({"type": "object", "properties": {'"': {"type": "null"}}}, "has a letter that a grammar"),
        ({"type": "object", "properties": {}, "required": ["a"]}, "s.required: a list of names"),
        ({"type": "object", "properties": {}, "additionalProperties": True}, "name the properties"),
        ({"type": "object", "properties": {"a": {"type": "x"}}}, "s.a.type: 'x'"),
        ({"anyOf": []}, "s.anyOf: a list of 1 to 16"),
        (
            {"anyOf": [{"anyOf": [{"anyOf": [{"type": "null"}] * 3}] * 9}] * 10},
            "s.anyOf.0.anyOf.0.anyOf: 270 ways to begin; at most 256 are kept",
        ),
        ({"anyOf": [{"type": "null"}], "type": "null"}, "s.type: a grammar cannot keep this"),
    ],
)
def test_what_a_grammar_cannot_keep_is_refused(schema, reason):
    with pytest.raises(UsageError) as caught:
        schema_grammar(schema, "s")
    assert reason in str(caught.value)


def test_a_schema_may_not_be_nested_without_end():
    schema = {"type": "null"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}
    with pytest.raises(UsageError, match="nested too deep; at most 8"):
        schema_grammar(schema, "s")


@given(st.data())
def test_what_does_not_fit_is_what_a_validator_finds(data):
    schema = data.draw(schemas())
    expect_schema(schema, "s")
    value = data.draw(st.one_of(values(schema), values(data.draw(schemas()))))
    known = jsonschema.Draft202012Validator(schema, format_checker=None).is_valid(
        json.loads(json.dumps(value))
    )
    assert (misfit(value, schema) == "") == known


def test_a_schema_may_be_too_large():
    text = {"type": "string", "maxLength": 256}
    schema = {"type": "object", "properties": {f"p{i}": text for i in range(256)}}
    with pytest.raises(UsageError, match="s: too large for a grammar; fewer names or shorter"):
        schema_grammar(schema, "s")


def test_what_does_not_fit_is_told_with_its_place():
    assert misfit({"city": "Bern", "days": 7, "on": "2026-11-30"}, WEATHER) == ""
    assert misfit({}, WEATHER) == "arguments.city: missing"
    assert misfit({"city": "Bern", "days": 3}, WEATHER) == "arguments.days: not one of [1, 2, 7]"
    assert misfit({"city": 3}, WEATHER) == "arguments.city: not a string"
    assert misfit({"city": ""}, WEATHER) == "arguments.city: its length is 0"
    assert misfit({"city": "B", "on": "soon"}, WEATHER) == "arguments.on: not a date"
    assert misfit({"city": "B", "by": 1}, WEATHER) == "arguments.by: not known"
    assert misfit([], WEATHER) == "arguments: not an object"
