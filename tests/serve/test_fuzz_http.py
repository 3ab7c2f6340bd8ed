# SPDX-License-Identifier: Apache-2.0
"""Requests that nobody thought of: no 500, no hang, no growth; answers are as described."""

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serve_server import no_faults, running_server

from edgestream.serve.openapi import openapi

CHECKS = [
    not_a_server_error, content_type_conformance, response_schema_conformance,
    status_code_conformance,
]  # fmt: skip
ROUTE = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def server():
    with no_faults(), running_server(["synthetic-en"]) as running:
        yield running


OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(openapi()).get_all_operations()
}


@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_any_request_is_answered_as_it_is_described(server, label, mode):
    @given(OPERATIONS[label].as_strategy(generation_mode=mode))
    @hypothesis.settings(max_examples=30, suppress_health_check=list(hypothesis.HealthCheck))
    def ask(case):
        got = case.call(base_url=server.http, timeout=60)
        case.validate_response(got, checks=CHECKS)

    try:
        ask()
    except hypothesis.errors.Unsatisfiable:  # nothing can be wrong in a request without a field
        assert mode == GenerationMode.NEGATIVE


PARTS = st.lists(
    st.one_of(
        st.sampled_from([b"--x\r\n", b"--x--\r\n", b"\r\n", b"\r\n\r\n", b"--", b"x"]),
        st.sampled_from(
            [
                b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
                b'Content-Disposition: form-data; name="stream"\r\n\r\ntrue',
                b"Content-Disposition: form-data; name*=utf-8''f; filename*=x''%ff\r\n\r\n",
                b"Content-Type: text/plain; charset=none\r\n",
            ]
        ),
        st.binary(max_size=30),
    ),
    max_size=12,
)


@given(PARTS, st.sampled_from(["x", "y", '"x"', "", "\u00ff"]))
@hypothesis.settings(max_examples=150)
def test_any_form_is_read_or_refused(server, parts, boundary):
    kind = f"multipart/form-data; boundary={boundary}".encode("latin-1")
    with httpx.Client(timeout=60) as client:
        got = client.post(
            server.http + ROUTE, content=b"".join(parts), headers={"content-type": kind}
        )
    assert got.status_code in (200, 400)
    if got.status_code == 400:
        assert "\n" not in got.json()["error"]["message"]


def test_nothing_is_left_of_all_this(server):
    server.wait_until_empty()
    assert not server.pool.sessions
