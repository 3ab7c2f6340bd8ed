# SPDX-License-Identifier: Apache-2.0
"""Any schemas of those that a grammar can keep, and values that fit them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

# Names that the converter uses for rules of its own are among them.
NAMES = st.sampled_from(
    ["a", "a_b", "a-b", "city", "string", "char", "space", "root", "kv", "a-kv", "item", "é",
     "integral-part", "b c", "object", "none", "additional", "[", "a-rest", "0"]
)  # fmt: skip
TEXTS = st.text(
    st.characters(exclude_categories=["C"], exclude_characters='"\\', max_codepoint=0xFFFF),
    max_size=6,
)
KEPT_TEXTS = TEXTS.filter(str.isprintable)
FORMATTED = {
    "date": "2026-02-28",
    "time": "23:59:01Z",
    "date-time": "2026-02-28T23:59:01.123+01:00",
    "uuid": "0123abcd-0123-ABCD-0123-0123456789ab",
}
NUMBERS = st.one_of(st.integers(-999, 999), st.sampled_from([0.5, -2.25, 1e10]))


@st.composite
def _bounds(draw: Any, least: str, most: str) -> dict[str, int]:
    low, extra = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    bounds = {least: low, most: low + extra}
    return {key: bounds[key] for key in draw(st.sets(st.sampled_from(list(bounds))))}


@st.composite
def _strings(draw: Any) -> dict[str, Any]:
    kind = draw(st.sampled_from(["free", "bounded", "enum", "const", "format"]))
    if kind == "bounded":
        return {"type": "string", **draw(_bounds("minLength", "maxLength"))}
    if kind == "enum":
        return {"type": "string", "enum": draw(st.lists(KEPT_TEXTS, min_size=1, max_size=3))}
    if kind == "const":
        return {"type": "string", "const": draw(KEPT_TEXTS)}
    if kind == "format":
        return {
            "type": "string",
            "format": draw(st.sampled_from(sorted(FORMATTED))),
        }
    return {"type": "string"}


@st.composite
def _objects(draw: Any, inner: Any) -> dict[str, Any]:
    properties = draw(st.dictionaries(NAMES, inner, max_size=4))
    required = draw(st.sets(st.sampled_from(sorted(properties)))) if properties else set()
    schema = {"type": "object", "properties": properties, "required": sorted(required)}
    return {**schema, "additionalProperties": False}


@st.composite
def _arrays(draw: Any, inner: Any) -> dict[str, Any]:
    return {"type": "array", "items": draw(inner), **draw(_bounds("minItems", "maxItems"))}


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Schemas, nested a few levels deep."""
    simple = st.one_of(
        _strings(),
        st.sampled_from([{"type": kind} for kind in ("integer", "number", "boolean", "null")]),
        st.builds(lambda n: {"type": "number", "enum": [n]}, NUMBERS),
        st.builds(lambda b: {"type": "boolean", "const": b}, st.booleans()),
    )
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            _objects(inner),
            _arrays(inner),
            st.builds(lambda each: {"anyOf": each}, st.lists(inner, min_size=1, max_size=3)),
        ),
        max_leaves=5,
    )


@st.composite
def values(draw: Any, schema: dict[str, Any]) -> Any:
    """A value that fits, unless a text happens to be of a format."""
    if "anyOf" in schema:
        return draw(values(draw(st.sampled_from(schema["anyOf"]))))
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    kind = schema["type"]
    if kind == "object":
        names = {*schema["required"], *draw(st.sets(st.sampled_from([*schema["properties"], ""])))}
        return {name: draw(values(schema["properties"][name])) for name in names - {""}}
    if kind == "array":
        low, high = schema.get("minItems", 0), schema.get("maxItems", 6)
        return draw(st.lists(values(schema["items"]), min_size=low, max_size=max(low, high)))
    if kind == "string":
        if "format" in schema:
            return FORMATTED[schema["format"]]
        low, high = schema.get("minLength", 0), schema.get("maxLength", 6)
        return draw(st.text(min_size=low, max_size=max(low, high)))
    return draw(
        {"integer": st.integers(), "number": NUMBERS, "boolean": st.booleans(), "null": st.none()}[
            kind
        ]
    )
