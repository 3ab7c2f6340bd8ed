# SPDX-License-Identifier: Apache-2.0
"""Comments to a command and to a server: in order, never in the way, failures told once."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from drawn_scene import write_scene
from test_cli import COMMAND, run

from edgestream.errors import UsageError
from edgestream.events import Comment, Gap, Happening
from edgestream.outlets import delivery, receivers
from edgestream.outlets.delivery import MAX_WAITING, Delivery
from edgestream.outlets.receivers import CommandReceiver, PostReceiver
from edgestream.outlets.records import json_line

PATIENCE_S = 60
COMMENTS = [
    Comment.of(f"Person {n} enters.", 1000.0 * n, Happening("enters", track=n)) for n in range(5)
]


class Listener:
    """A receiver that keeps records, and fails or blocks when it is told to."""

    name = "test"

    def __init__(self):
        self.texts, self.trouble = [], ""
        self.stopped = False
        self.free = threading.Event()
        self.free.set()

    def call(self, record):
        self.free.wait(PATIENCE_S)
        if not self.trouble:
            self.texts.append(json.loads(record)["text"])
        return self.trouble

    def stop(self):
        self.stopped = True


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(delivery, "MIN_INTERVAL_S", 0.0)


def wait_until(holds):
    begun_s = time.monotonic()
    while not holds():
        assert time.monotonic() < begun_s + PATIENCE_S
        time.sleep(0.01)


def test_each_comment_arrives_once_and_in_order(capsys):
    listener = Listener()
    sent = Delivery(listener)
    sent.push([COMMENTS[0], Gap(0.0, 1.0, "camera lost"), COMMENTS[1]])
    sent.push(COMMENTS[2:])
    sent.finish()
    sent.finish()
    assert listener.texts == [comment.text for comment in COMMENTS]
    assert capsys.readouterr() == ("", "")


def test_what_is_too_much_is_dropped_from_the_oldest_on_and_counted(capsys):
    listener = Listener()
    listener.free.clear()
    sent = Delivery(listener)
    sent.push(COMMENTS[:1])
    wait_until(lambda: not sent._waiting)  # it is being delivered
    flood = [Comment.of(f"{n}", 1.0) for n in range(MAX_WAITING + 7)]
    sent.push(flood)
    listener.free.set()
    sent.finish()
    assert listener.texts == [COMMENTS[0].text, *(comment.text for comment in flood[7:])]
    assert capsys.readouterr().err == f"test: 7 of {MAX_WAITING + 8} comments did not arrive\n"


def test_failures_are_told_once_and_so_is_the_first_success_after_them(capsys):
    listener = Listener()
    sent = Delivery(listener)
    listener.trouble = "out of order"
    sent.push(COMMENTS[:3])
    wait_until(lambda: sent._failing and not sent._waiting)
    sent.push([])
    time.sleep(0.05)
    listener.trouble = ""
    sent.push(COMMENTS[3:])
    sent.finish()
    assert capsys.readouterr().err.splitlines() == [
        "test: out of order", "test: works again", "test: 3 of 5 comments did not arrive",
    ]  # fmt: skip


def test_the_end_does_not_wait_for_ever(monkeypatch, capsys):
    monkeypatch.setattr(delivery, "QUIET_WAIT_S", 0.05)
    monkeypatch.setattr(delivery, "END_WAIT_S", 0.05)
    listener = Listener()
    listener.free.clear()
    sent = Delivery(listener)
    sent.push(COMMENTS)
    sent.finish()
    assert listener.stopped
    listener.free.set()
    assert capsys.readouterr().err.splitlines() == [
        "test: comments wait to be handed on; Ctrl-C ends that",
        "test: 5 of 5 comments did not arrive",
    ]


def test_calls_are_spaced(monkeypatch):
    monkeypatch.setattr(delivery, "MIN_INTERVAL_S", 0.05)
    begun_s, listener = time.monotonic(), Listener()
    sent = Delivery(listener)
    sent.push(COMMENTS)
    sent.finish()
    assert time.monotonic() - begun_s >= 0.05 * (len(COMMENTS) - 1)  # never faster


# A command.


def python(code):
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def test_a_command_gets_the_record_on_stdin_and_no_shell_reads_its_words(tmp_path):
    path = tmp_path / "a file; with $HOME"
    code = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read()); print('nobody hears this')"
    receiver = CommandReceiver(f"{python(code)} {shlex.quote(str(path))}")
    assert [receiver.call(json_line(comment)) for comment in COMMENTS] == [""] * 5
    lines = path.read_text().splitlines()
    assert lines == [json_line(comment) for comment in COMMENTS]
    assert json.loads(lines[1])["track"] == 1


def test_a_command_that_fails_says_why():
    code = "import sys; sys.stderr.write('first\\nno such room\\n\\n'); sys.exit(3)"
    assert CommandReceiver(python(code)).call("{}") == "exit code 3: no such room"


def test_a_command_that_reads_nothing_is_none_that_failed():
    assert CommandReceiver(python("pass")).call("x" * 1_000_000) == ""


def test_a_command_that_hangs_is_ended_with_all_that_it_started(monkeypatch, tmp_path):
    monkeypatch.setattr(receivers, "CALL_LIMIT_S", 3.0)
    path = tmp_path / "pid"
    code = (
        "import subprocess, sys, time; child = subprocess.Popen(['sleep', '1000']);"
        f"open({str(path)!r}, 'w').write(str(child.pid)); time.sleep(1000)"
    )
    assert CommandReceiver(python(code)).call("{}") == "took longer than 3 s and was ended"
    wait_until(lambda: not alive(int(path.read_text())))


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_command_whose_child_stays_is_not_waited_for(tmp_path):
    code = "import subprocess; subprocess.Popen(['sleep', '5'])"
    begun_s = time.monotonic()
    assert CommandReceiver(python(code)).call("{}") == ""
    assert time.monotonic() - begun_s < PATIENCE_S


def test_a_command_that_vanishes_is_a_failure(tmp_path):
    script = tmp_path / "notify"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    receiver = CommandReceiver(str(script))
    script.unlink()
    assert receiver.call("{}") == "No such file or directory"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("nobody-has-this-command -x", "nobody-has-this-command: there is no such command"),
        ("/etc/passwd", "may not be run"),
        ("say 'so", "no closing quotation; mind the quotes"),
        (" ", "no command"),
    ],
)
def test_what_is_no_command_is_refused(command, reason):
    with pytest.raises(UsageError, match=reason):
        CommandReceiver(command)


# A server.


@contextmanager
def server(status=200, headers=()):
    """An http server; its address, and what it was sent: (path, headers, body)."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, dict(self.headers), body))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self):
            got.append((self.path, dict(self.headers), None))
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{http.server_port}", got
        http.shutdown()


def test_a_server_gets_the_record_as_json():
    with server() as (where, got):
        receiver = PostReceiver(f"http://door:s%20cret@{where}/hook?room=7#part")
        assert receiver.call(json_line(COMMENTS[0])) == ""
    ((path, headers, body),) = got
    assert path == "/hook?room=7"
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Basic ZG9vcjpzIGNyZXQ="
    assert json.loads(body)["text"] == COMMENTS[0].text


@pytest.mark.parametrize(
    ("status", "headers", "trouble"),
    [
        (500, [], "the server answers 500 Internal Server Error"),
        (302, [("Location", "file:///etc/passwd")], "302 Found; it sends to file:///etc/passwd"),
        (307, [("Location", "/other")], "it sends to /other, give that address"),
    ],
)
def test_a_server_that_refuses_or_sends_elsewhere_is_a_failure(status, headers, trouble):
    with server(status, headers) as (where, got):
        assert trouble in PostReceiver(f"http://{where}/").call("{}")
    assert len(got) == 1


def test_a_server_that_is_not_there_or_says_nothing_is_a_failure(monkeypatch):
    assert "cannot be reached" in PostReceiver("http://127.0.0.1:9/").call("{}")
    monkeypatch.setattr(receivers, "CALL_LIMIT_S", 0.2)
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = PostReceiver(f"http://127.0.0.1:{silent.getsockname()[1]}/").call("{}")
    assert said == "no answer within 0.2 s"


NO_ADDRESSES = [
    "http://a..b/x",
    f"http://{70 * 'a'}.com/",
    "camera",
    "ftp://host/x",
    "file:///etc",
    "http://",
    "http://host:x/",
    "http:// x",
]


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(UsageError, match="not an address"):
        PostReceiver(url)


# The command line.


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("clip") / "scene.avi")


def told(done):
    """What stands on stderr; that something still waits hangs on the machine's speed."""
    return [line for line in done.stderr.splitlines() if "comments wait" not in line]


def test_watch_hands_on_what_it_writes(clip, tmp_path):
    path, output = tmp_path / "got.jsonl", tmp_path / "out.jsonl"
    code = f"import sys; open({str(path)!r}, 'a').write(sys.stdin.read())"
    with server() as (where, got):
        done = run(
            "watch", clip, "--fast", "-o", output, "--exec", python(code), "--post",
            f"http://{where}/",
        )  # fmt: skip
    assert (done.returncode, done.stdout, told(done)) == (0, "", [])
    written = output.read_text()
    assert len(written.splitlines()) > 2
    assert path.read_text() == written
    assert [body.decode() for _, _, body in got] == written.splitlines()


def test_watch_goes_on_where_nobody_takes_it(clip):
    expected = run("watch", clip, "--fast").stdout
    done = run("watch", clip, "--fast", "--post", "http://127.0.0.1:9/x")
    assert (done.returncode, done.stdout) == (0, expected)
    trouble, count = told(done)
    assert trouble == "--post 127.0.0.1: cannot be reached: [Errno 111] Connection refused"
    n = len(expected.splitlines())
    assert count == f"--post 127.0.0.1: {n} of {n} comments did not arrive"


def test_a_second_ctrl_c_ends_what_is_waited_for(clip, tmp_path):
    path = tmp_path / "pid"
    code = f"import os, time; open({str(path)!r}, 'w').write(str(os.getpid())); time.sleep(1000)"
    running = subprocess.Popen(
        [*COMMAND, "watch", str(clip), "--fast", "--exec", python(code)], cwd="/",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: path.exists() and path.read_text())
    assert "enters" in running.stdout.readline()
    while running.poll() is None:  # as somebody does who wants it to end
        running.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, stderr = running.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in stderr
    wait_until(lambda: not alive(int(path.read_text())))


@pytest.mark.parametrize(
    ("option", "value"), [("--exec", "nobody-has-this-command"), ("--post", "ftp://host/x")]
)
def test_a_wrong_receiver_opens_no_camera(option, value, tmp_path):
    done = run("watch", tmp_path / "nothing.mp4", option, value)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"{option} {value}" in done.stderr
    assert os.listdir(tmp_path) == []
