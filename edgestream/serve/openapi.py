# SPDX-License-Identifier: Apache-2.0
"""`/openapi.json`: the HTTP routes in a form that programs read (OpenAPI 3.1).

Web sockets have no place in it; they are described in docs/serve.md.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import edgestream
from edgestream.serve.openai.upload import FORM, FORMATS, GRANULARITIES

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}


async def described(_: Request) -> Response:
    """The description of this server."""
    return JSONResponse(openapi())


def openapi() -> Schema:
    """All of it."""
    name = {"name": "name", "in": "path", "required": True, "schema": TEXT}
    return {
        "openapi": "3.1.0",
        "info": {"title": "edgestream serve", "version": edgestream.__version__},
        "security": [{"token": []}, {}],
        "paths": {
            "/v1/audio/transcriptions": {"post": _upload("What is said", FORMATS)},
            "/v1/audio/translations": {"post": _upload("What is said, in English", FORMATS)},
            "/v1/models": {"get": _get("All models", _list_of("Model"))},
            "/v1/models/{name}": {
                "get": _get("One model", {"$ref": "#/components/schemas/Model"}, 404)
                | {"parameters": [name]}
            },
            "/v1/server": {"get": _get("What the server is and offers", {"type": "object"})},
            "/healthz": {"get": _plain("That it is there")},
            "/metrics": {"get": _plain("What it counted, as Prometheus reads it")},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": _object(error=_object(message=TEXT, type=TEXT, code=TEXT, param={})),
                "Model": _object(id=TEXT, object={"const": "model"}, created=COUNT, owned_by=TEXT),
                "Transcription": {
                    **_object(text=TEXT),
                    "properties": {
                        "text": TEXT,
                        "language": TEXT,
                        "duration": NUMBER,
                        "segments": {"type": "array", "items": _segment()},
                        "words": {
                            "type": "array",
                            "items": _object(word=TEXT, start=NUMBER, end=NUMBER),
                        },
                        "usage": _object(type={"const": "duration"}, seconds=NUMBER),
                    },
                },
            },
        },
    }


def _segment() -> Schema:
    times = dict.fromkeys(
        ("start", "end", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"),
        NUMBER,
    )
    return _object(
        id=COUNT, seek=COUNT, text=TEXT, tokens={"type": "array", "items": COUNT}, **times
    )


def _upload(summary: str, formats: tuple[str, ...]) -> Schema:
    fields: Schema = {
        "file": {"type": "string", "format": "binary"},
        "model": TEXT,
        "language": TEXT,
        "prompt": TEXT,
        "response_format": {"enum": list(formats)},
        "temperature": NUMBER,
        "stream": {"type": "boolean"},
        "timestamp_granularities[]": {"type": "array", "items": {"enum": list(GRANULARITIES)}},
    }
    body = {"schema": {"type": "object", "properties": fields, "required": ["file"]}}
    found = {"schema": {"$ref": "#/components/schemas/Transcription"}}
    text = {"schema": TEXT}
    answers = {"application/json": found, "text/plain": text, "text/event-stream": text}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {FORM: body}},
        "responses": {
            "200": {"description": "The text", "content": answers},
            **_errors(400, 404, 408, 413, 503),
        },
    }


def _get(summary: str, schema: Schema, *errors: int) -> Schema:
    content = {"application/json": {"schema": schema}}
    found = {"description": summary, "content": content}
    return {"summary": summary, "responses": {"200": found, **_errors(*errors)}}


def _plain(summary: str) -> Schema:
    found = {"description": summary, "content": {"text/plain": {"schema": TEXT}}}
    return {"summary": summary, "responses": {"200": found, **_errors()}}


def _errors(*statuses: int) -> Schema:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    found = {"description": "One line that says what is wrong", "content": content}
    return {str(status): found for status in (*statuses, 401, 403, 405)}


def _object(**fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _list_of(name: str) -> Schema:
    each = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
    return _object(object={"const": "list"}, data=each)
