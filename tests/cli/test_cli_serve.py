# SPDX-License-Identifier: Apache-2.0
"""`edgestream serve` as a user runs it: real processes, wrong input, its end."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile
from test_video_file import write as write_video
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

import edgestream

COMMAND = [sys.executable, "-m", "edgestream", "serve"]
DATA = Path(edgestream.__file__).parent / "data"
PERSON = DATA / "person.flac"
SPOKEN = Path(__file__).parents[1] / "data" / "umbrella_slt.flac"
FAST = ["-m", "synthetic-en"]
SMALL_MODEL = Path(__file__).parents[2] / "models" / "synthetic-en"


@contextmanager
def served(*options):
    """A server as a process, and its port."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *map(str, options)], stderr=subprocess.PIPE, text=True
    )
    lines = []
    try:
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"edgestream serves https?://\S+?:(\d+)/", line):
                break
        else:
            raise AssertionError("".join(lines))
        threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True).start()
        yield process, int(found[1]), lines
    finally:
        process.kill()
        process.wait()


def asked(port, path, method="GET", **headers):
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode("latin-1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "--token-file FILE"),
        (["--host", "no.such.host.invalid"], "--token-file FILE"),
        (["--host", "no.such.host.invalid", "--token-file", "{tmp}/t"], "no address"),
        (["--token-file", "{tmp}/short"], "16 letters or more"),
        (["--token-file", "{tmp}"], "cannot be used"),
        (["--max-sessions", "0"], "must be 1 or more"),
        (["--source", "{tmp}/none.wav"], "no such file"),
        (["--source", "{tmp}/short"], "not audio"),
        (["--watch", "{tmp}/none.mp4"], "none.mp4"),
        (["--watch", "0", "--source", "mic"], "give one of them"),
        (["--device", "x"], "--source mic only"),
        (["--source", "mic", "--device", "no such microphone"], "microphone"),
        (["-m", "no-such-model"], "no-such-model"),
        ([*FAST, "-m", "{tmp}/synthetic-en"], "synthetic-en was given already"),
        (["--transcripts", "{tmp}/short/x"], "cannot be made"),
        (["--tls-key", "{tmp}/short"], "give both"),
        (["--tls-key", "{tmp}/short", "--tls-certificate", "{tmp}/short"], "cannot be used"),
    ],
)
def test_wrong_input_is_one_line(options, said, tmp_path):
    (tmp_path / "short").write_text("secret\n")
    (tmp_path / "synthetic-en").symlink_to(SMALL_MODEL)
    given = [word.format(tmp=tmp_path) for word in options]
    done = subprocess.run(
        [*COMMAND, "--port", "0", *given], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 2
    assert "choose another --port" in done.stderr


def test_what_is_not_installed_is_named(monkeypatch):
    missing = "import sys; sys.modules['starlette'] = None; from edgestream.cli.main import app; "
    done = subprocess.run(
        [sys.executable, "-c", missing + "app(['serve'])"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "pip install 'edgestream[serve]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_token_is_made_and_asked_for(tmp_path):
    file = tmp_path / "token"
    with served(*FAST, "--token-file", file) as (_, port, lines):
        token = file.read_text().strip()
        assert file.stat().st_mode & 0o77 == 0
        assert len(token) >= 16
        assert token not in "".join(lines)  # the log may be kept
        assert asked(port, "/v1/server")[0] == 401
        assert asked(port, "/")[0] == 200
        status, _, body = asked(port, "/v1/server", Authorization=f"Bearer {token}")
        assert status == 200
        assert json.loads(body)["models"][0]["name"] == "synthetic-en"


def test_readers_of_the_own_source_get_its_captions():
    with served(*FAST, "--source", SPOKEN) as (_, port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/v1/live")
        answer = connection.getresponse()
        told = answer.read().decode()  # a file ends, and so does what is told of it
        late = asked(port, "/v1/live")[2]
    finals = re.findall(r"^id: (\w+-\d+)\nevent: final\ndata: (.*)$", told, re.M)
    texts = " ".join(json.loads(data)["text"] for _, data in finals).lower()
    assert "i left my umbrella on the bus this morning" in texts
    assert "event: status" in told
    assert re.findall(r"^id: (\w+-\d+)\nevent: final", late, re.M) == [seq for seq, _ in finals]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_its_end_loses_no_word(how, tmp_path):
    kept = tmp_path / "kept"
    with served("--transcripts", kept) as (process, port, lines):
        samples, rate_hz = soundfile.read(PERSON, dtype="int16")
        with connect(f"ws://127.0.0.1:{port}/v1/stream") as socket:
            socket.send(json.dumps({"type": "hello", "rate_hz": rate_hz, "live": False}))
            socket.send(samples.tobytes())
            messages = [json.loads(socket.recv())]
            while messages[-1]["type"] != "draft":
                messages.append(json.loads(socket.recv()))
            process.send_signal(how)
            with pytest.raises(ConnectionClosedError) as closed:
                messages.extend(json.loads(message) for message in iter(socket.recv, None))
        code = process.wait(60)
    finals = [each["text"] for each in messages if each["type"] == "final"]
    assert "what you can do for your country" in " ".join(finals)
    assert messages[-1]["code"] == "shutting-down"
    assert messages[-2] | {"type": "heard", "bytes": samples.nbytes} == messages[-2]
    assert closed.value.rcvd.code == 1012
    assert code == 0
    (path,) = kept.iterdir()
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["text"] for each in written if each["type"] == "final"] == finals
    log = "".join(lines)
    assert '"event": "session ended"' in log
    assert "country" not in log


def test_the_log_tells_words_only_if_it_is_asked_to():
    with served("--log-text", "--source", "none") as (process, port, lines):
        samples, rate_hz = soundfile.read(PERSON, dtype="int16")
        with connect(f"ws://127.0.0.1:{port}/v1/stream") as socket:
            socket.send(json.dumps({"type": "hello", "rate_hz": rate_hz, "live": False}))
            socket.send(samples.tobytes())
            socket.send('{"type": "end"}')
            list(socket)
        process.terminate()
        process.wait(30)
    assert any('"event": "final"' in line and "country" in line for line in lines)
    for line in lines[1:]:
        json.loads(line)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_https(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    with served(*FAST, "--tls-certificate", certificate, "--tls-key", key) as (_, port, _):
        trusted = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection("localhost", port, context=trusted, timeout=20)
        connection.request("GET", "/healthz", headers={"Origin": f"https://localhost:{port}"})
        assert connection.getresponse().read() == b"ok\n"


def test_it_goes_on_when_the_terminal_of_its_log_is_gone():
    read_end, write_end = os.pipe()
    process = subprocess.Popen([*COMMAND, *FAST, "--port", "0"], stderr=write_end)
    os.close(write_end)
    try:
        said = b""
        while not (found := re.search(rb"http://\S+?:(\d+)/", said)):
            said += os.read(read_end, 1000)
        os.close(read_end)
        with connect(f"ws://127.0.0.1:{int(found[1])}/v1/stream") as socket:
            socket.send('{"type": "hello", "rate_hz": 16000}')
            assert json.loads(socket.recv())["type"] == "ready"
        assert asked(int(found[1]), "/healthz")[0] == 200
    finally:
        process.kill()
        process.wait()


def test_a_video_is_watched_with_its_picture(tmp_path):
    clip = tmp_path / "clip.avi"
    write_video(clip, n=90)
    with served(*FAST, "--watch", clip) as (_, port, _):
        assert json.loads(asked(port, "/v1/server")[2])["live"] == {
            "kind": "camera",
            "name": "clip.avi",
        }
        while (found := asked(port, "/v1/picture.jpg"))[0] == 404:
            time.sleep(0.1)
        assert found[1]["content-type"] == "image/jpeg"
        told = asked(port, "/v1/live")[2]
    assert "event: status" in told


def test_without_a_source_readers_are_told_so():
    with served(*FAST) as (_, port, _):
        status, headers, body = asked(port, "/v1/live")
    assert status == 404
    assert "--source mic" in json.loads(body)["error"]["message"]
    assert "default-src 'none'" in headers["content-security-policy"]
