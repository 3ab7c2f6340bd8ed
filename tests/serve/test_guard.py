# SPDX-License-Identifier: Apache-2.0
"""Who may ask the server, header by header, over real connections; and what every answer says."""

from __future__ import annotations

import json
import socket
from dataclasses import replace

import pytest
from serve_server import running_server

from edgestream.serve.limits import Limits

TOKEN = "0123456789abcdef0123"
RIGHT = f"Authorization: Bearer {TOKEN}"
UPGRADE = [
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]  # fmt: skip
SHORT = replace(Limits(), body_gap_s=0.5, body_s=1.0)


@pytest.fixture(scope="module")
def server():
    with running_server(["synthetic-en"], token=TOKEN, limits=SHORT) as running:
        yield running


def ask(server, *headers, path="/v1/server", host=True, method="GET", body=b""):
    """The status, headers and body of the answer to a request that is written by hand."""
    lines = [f"{method} {path} HTTP/1.1", *headers]
    if host:
        lines.insert(1, f"Host: 127.0.0.1:{server.port}")
    with socket.create_connection(("127.0.0.1", server.port), 60) as raw:
        raw.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
        data = b""
        while b"\r\n\r\n" not in data and (more := raw.recv(65_536)):
            data += more
        head, _, answer = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head.decode().splitlines()[1:])
        n_bytes = int(fields.get("content-length", 0))
        while len(answer) < n_bytes and (more := raw.recv(65_536)):
            answer += more
    return int(head.split()[1]), fields, answer


def status(server, *headers, **how):
    return ask(server, *headers, **how)[0]


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST:{port}", 200),
        ("[::1]:{port}", 200),
        ("localhost", 403),
        ("127.0.0.1", 403),
        ("127.0.0.1:1", 403),
        ("localhost.evil.com:{port}", 403),
        ("evil.com:{port}", 403),
        ("evil-localhost:{port}", 403),
        ("localhost:{port}.evil.com", 403),
        ("localhost.:{port}", 403),
        ("user@localhost:{port}", 403),
        ("", 403),
    ],
)
def test_host_must_be_one_of_the_servers_names(server, host, wanted):
    header = f"Host: {host.format(port=server.port)}"
    assert status(server, header, RIGHT, host=False) == wanted


def test_host_must_be_there_once(server):
    assert status(server, RIGHT, host=False) == 400  # says the library
    assert status(server, f"Host: 127.0.0.1:{server.port}", RIGHT) in (400, 403)
    assert status(server, "Host: evil.com", RIGHT) in (400, 403)


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        ("http://127.0.0.1:{port}", 200),
        ("http://localhost:{port}", 200),
        ("https://localhost:{port}", 200),
        ("HTTP://LOCALHOST:{port}", 200),
        ("http://evil.com", 403),
        ("http://localhost.evil.com:{port}", 403),
        ("http://localhost:1", 403),
        ("http://localhost", 403),
        ("file://localhost:{port}", 403),
        ("chrome-extension://localhost:{port}", 403),
        ("null", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("kind", ["http", "socket"])
def test_origin_must_be_one_of_the_servers_own(server, kind, origin, wanted):
    header = f"Origin: {origin.format(port=server.port)}"
    if kind == "http":
        assert status(server, header, RIGHT) == wanted
    else:
        wanted = 101 if wanted == 200 else wanted
        assert status(server, header, RIGHT, *UPGRADE, path="/v1/stream") == wanted


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"], 403),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], 403),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: websocket"], 403),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], 200),  # a link was followed
        (["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"], 200),
        (["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"], 200),
    ],
)
def test_pages_of_others_may_not_ask(server, headers, wanted):
    assert status(server, *headers, RIGHT) == wanted


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (RIGHT, 200),
        (f"authorization: bearer {TOKEN}", 200),
        ("X: none", 401),
        ("Authorization: Bearer", 401),
        ("Authorization: Bearer ", 401),
        (f"Authorization: Bearer {TOKEN}x", 401),
        (f"Authorization: Bearer {TOKEN[:-1]}", 401),
        (f"Authorization: Bearer {TOKEN.upper()}", 401),
        (f"Authorization: Basic {TOKEN}", 401),
        (f"Authorization: {TOKEN}", 401),
        ("Authorization: Bearer \xff\xfe", 401),
    ],
)
def test_the_token_must_be_right(server, header, wanted):
    assert status(server, header) == wanted


def test_the_token_in_the_address_is_for_web_sockets_alone(server):
    right, wrong = f"?token={TOKEN}", "?token=wrong"
    assert status(server, path="/v1/server" + right) == 401
    assert status(server, *UPGRADE, path="/v1/stream" + right) == 101
    assert status(server, *UPGRADE, path="/v1/stream" + wrong) == 401
    assert status(server, *UPGRADE, path="/v1/stream") == 401
    assert status(server, "Authorization: Bearer wrong", *UPGRADE, path="/v1/stream" + right) == 401


def test_the_page_needs_no_token_and_what_it_asks_does(server):
    assert status(server, path="/") == 200
    assert status(server, path="/healthz") == 200
    for path in ("/metrics", "/v1/live", "/v1/picture.jpg", "/nothing", "//", "/healthz/"):
        assert status(server, path=path) == 401


@pytest.mark.parametrize(
    ("headers", "how", "wanted"),
    [
        ([RIGHT], {}, 200),
        ([RIGHT], {"path": "/"}, 200),
        ([RIGHT], {"path": "/nothing"}, 404),
        ([RIGHT], {"path": "/v1/live"}, 404),
        ([RIGHT], {"method": "DELETE"}, 405),
        ([], {}, 401),
        (["Origin: http://evil.com", RIGHT], {}, 403),
        ([*UPGRADE], {"path": "/v1/stream"}, 401),
    ],
)
def test_every_answer_tells_browsers_to_take_nothing_else(server, headers, how, wanted):
    got, fields, body = ask(server, *headers, **how)
    assert got == wanted
    assert "default-src 'none'" in fields["content-security-policy"]
    assert fields["x-content-type-options"] == "nosniff"
    assert fields["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in fields
    if wanted >= 400:
        error = json.loads(body)["error"]
        assert error["message"]
        assert "\n" not in error["message"]
