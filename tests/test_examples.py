# SPDX-License-Identifier: Apache-2.0
"""The programs in docs/examples, run as a reader runs them."""

import ast
import asyncio
import ctypes.util
import http.server
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import soundfile
from drawn_scene import write_scene
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import edgestream as es
from edgestream.sources.resample import resampled

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
PERSON = Path(es.__file__).parent / "data" / "person.flac"
SPOKEN = "what your country can do for you"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, *args, **options):
    command = [sys.executable, EXAMPLES / f"{name}.py", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_each_is_small_says_how_to_run_it_and_uses_public_names_alone(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    tree = ast.parse(text)
    assert re.search(rf"{path.name}|{path.stem}:app", ast.get_docstring(tree))
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name.startswith("edgestream")
    }
    assert imported == {"edgestream"}
    assert not any(
        isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgestream")
        for node in ast.walk(tree)
    )
    used = set(re.findall(r"\bes\.(\w+)", text))
    assert used <= set(es.__all__)


def test_the_page_lists_them():
    page = (EXAMPLES.parent / "embedding.md").read_text(encoding="utf-8")
    assert len(PROGRAMS) == 5
    for path in PROGRAMS:
        assert f"(examples/{path.name})" in page


@pytest.mark.parametrize("name", ["meeting_recorder", "discord_captions", "camera_webhook"])
def test_without_arguments_it_says_how_to_run_it(name):
    if name == "discord_captions":
        pytest.importorskip("opuslib", exc_type=Exception)
    done = run(name)
    assert done.returncode == 1
    assert f"python {name}.py" in done.stderr
    assert "Traceback" not in done.stderr


# A meeting on the disk


def cues(text):
    return re.findall(r"(\d+)\n([\d:,]{12}) --> ([\d:,]{12})\n(.+)\n\n", text)


def test_a_meeting_is_written_as_subtitles(tmp_path):
    done = run("meeting_recorder", "notes.srt", PERSON, cwd=tmp_path)
    found = cues((tmp_path / "notes.srt").read_text("utf-8"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"notes.srt: {len(found)} subtitles\n"
    assert [number for number, *_ in found] == [str(1 + i) for i in range(len(found))]
    assert SPOKEN in " ".join(text.lower() for *_, text in found)
    again = run("meeting_recorder", "notes.srt", PERSON, cwd=tmp_path)
    assert again.returncode == 1
    assert again.stderr.startswith("meeting_recorder: ")
    assert len(again.stderr.splitlines()) == 1
    assert cues((tmp_path / "notes.srt").read_text("utf-8")) == found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_was_said_before_a_recorder_is_ended_is_there(number, tmp_path):
    path = tmp_path / "notes.srt"
    program = [sys.executable, EXAMPLES / "meeting_recorder.py", path, PERSON]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as recorder:
        while not path.exists() or not path.read_bytes():
            assert recorder.poll() is None
            time.sleep(0.05)
        recorder.send_signal(number)
        _, printed = recorder.communicate(timeout=60)
    text = path.read_text("utf-8")
    assert printed == b""
    assert recorder.returncode == (0 if number == signal.SIGINT else -number)
    assert "".join(f"{n}\n{a} --> {b}\n{line}\n\n" for n, a, b, line in cues(text)) == text != ""


# A web service


def test_a_web_service_captions_its_clients():
    samples, rate_hz = soundfile.read(PERSON, dtype="int16")
    events = []
    with (
        TestClient(example("web_captions").app) as client,
        client.websocket_connect(f"/captions?rate_hz={rate_hz}") as socket,
    ):
        for at in range(0, len(samples), 5000):
            socket.send_bytes(samples[at : at + 5000].tobytes())
        socket.send_text("end")
        while (message := socket.receive())["type"] == "websocket.send":
            events.append(json.loads(message["text"]))
    finals = [event for event in events if event["type"] == "Final"]
    assert SPOKEN in " ".join(final["text"].lower() for final in finals)
    assert finals[0]["words"][0]["start_ms"] < finals[-1]["end_ms"]


def test_a_web_service_minds_wrong_clients_and_lets_go_of_lost_ones():
    web = example("web_captions")
    web.MAX_STREAMS = 1
    with TestClient(web.app) as client:
        with client.websocket_connect("/captions?rate_hz=3") as socket:
            closed = socket.receive()
            assert (closed["type"], closed["code"]) == ("websocket.close", web.WRONG_DATA)
        with client.websocket_connect("/captions") as socket:
            socket.send_bytes(b"\0")
            assert socket.receive()["code"] == web.WRONG_DATA
        with client.websocket_connect("/captions") as socket:
            socket.send_bytes(b"\0" * 32000)
            with client.websocket_connect("/captions") as other:
                assert other.receive()["code"] == web.TOO_BUSY
        while True:  # once the first is gone, there is room again
            with client.websocket_connect("/captions") as socket:
                try:
                    socket.send_text("end")
                    if socket.receive()["code"] != web.TOO_BUSY:
                        return
                except WebSocketDisconnect:
                    continue


# A voice channel


def test_a_channel_of_opus_frames_is_captioned_though_some_are_lost(tmp_path):
    pytest.importorskip("opuslib", exc_type=Exception)  # without libopus it fails in its own way
    assert ctypes.util.find_library("opus")
    mono, rate_hz = soundfile.read(PERSON, dtype="float32")
    path = tmp_path / "talk.wav"
    at_48 = resampled(mono, rate_hz, 48000)
    soundfile.write(path, np.stack([at_48, at_48], axis=1), 48000)
    done = run("discord_captions", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.startswith("somebody: ") for line in done.stdout.splitlines())
    assert SPOKEN in done.stdout.lower().replace("somebody: ", "").replace("\n", " ")


@pytest.mark.parametrize("first", [0, 65533])  # numbers have 16 bits: 0 follows 65535
def test_a_channel_tells_of_lost_frames_and_passes_over_late_ones(first, tmp_path):
    pytest.importorskip("opuslib", exc_type=Exception)
    discord = example("discord_captions")
    path = tmp_path / "noise.wav"
    noise = np.random.default_rng(0).normal(0, 0.01, (48000, 2))
    soundfile.write(path, noise, 48000)
    channel = discord.Channel(say=print, model=es.load("synthetic-en"))
    encoded = dict(discord.frames(path))
    pushed = []
    for number in (0, 1, 5, 3, 6):
        channel.frame("a", (first + number) % 65536, encoded[number])
        speaker = channel.speakers["a"]
        if not pushed:
            speaker.stream.push = lambda mono, **lost: pushed.append((len(mono), lost))
    channel.leave("a")
    lost = [of["lost_samples"] for _, of in pushed]
    assert lost == [0, 3 * 960, 0]  # frame 3 came too late
    assert {n for n, _ in pushed} == {960}


# A window


def test_a_window_shows_lines_and_closes(tmp_path):
    pytest.importorskip("tkinter")
    if not shutil.which("Xvfb"):
        pytest.skip("needs Xvfb")
    code = f"""
        import sys
        sys.path.insert(0, {str(EXAMPLES)!r})
        from caption_window import CaptionWindow
        window = CaptionWindow({str(PERSON)!r}, fast=True)
        def look():
            shown = window.text.get("1.0", "end")
            if not window.thread.is_alive() and window.events.empty():
                print(shown)
                window.close()
            else:
                window.root.after(50, look)
        window.root.after(50, look)
        window.root.mainloop()
    """
    done = on_a_display(textwrap.dedent(code))
    assert (done.returncode, done.stderr) == (0, "")
    assert SPOKEN in done.stdout.lower().replace("\n", " ")


def test_a_window_closes_while_somebody_speaks():
    pytest.importorskip("tkinter")
    if not shutil.which("Xvfb"):
        pytest.skip("needs Xvfb")
    code = f"""
        import sys
        sys.path.insert(0, {str(EXAMPLES)!r})
        from caption_window import CaptionWindow
        window = CaptionWindow({str(PERSON)!r})
        window.root.after(1500, window.close)
        window.root.mainloop()
    """
    done = on_a_display(textwrap.dedent(code))
    assert (done.returncode, done.stderr) == (0, "")


def on_a_display(code):
    """The program, with a screen in memory."""
    reading, writing = os.pipe()
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            display = f":{told.readline().strip()}"
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
            env={**os.environ, "DISPLAY": display},
        )  # fmt: skip
    finally:
        screen.terminate()
        screen.wait()


# A camera


@pytest.fixture
def hook():
    """A webhook; `seen` is what it was sent, `answers` what it says to the next ones."""

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # as http.server calls it
            body = self.rfile.read(int(self.headers["Content-Length"]))
            code = server.answers.pop(0) if server.answers else 200
            if code == 200:
                server.seen.append(json.loads(body))
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.seen, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_a_camera_sees_is_posted_and_tried_again(hook, tmp_path, capfd):
    clip = write_scene(tmp_path / "scene.avi")
    hook.answers += [500]
    url = f"http://127.0.0.1:{hook.server_port}/hook"
    camera = example("camera_webhook")
    asyncio.run(camera.main(url, clip, wanted=lambda _: True, fast=True))
    texts = [comment.text for comment in es.watch(clip, fast=True)]
    assert [body["text"] for body in hook.seen] == texts
    assert len(texts) >= 2
    assert hook.seen[0]["time_ms"] > 1000
    assert "500" in capfd.readouterr().err


def test_a_webhook_that_answers_rubbish_is_passed_over(capfd):
    camera = example("camera_webhook")
    camera.TRIES = 1
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"rubbish\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()

        async def deliver():
            arrived, done = asyncio.Event(), asyncio.Event()
            arrived.set()
            done.set()
            url = f"http://127.0.0.1:{server.getsockname()[1]}/hook"
            comment = es.Comment.of("A person enters.", 0.0)
            await camera.deliver(url, deque([comment]), arrived, done)

        asyncio.run(deliver())
        answering.join()
    assert "rubbish" in capfd.readouterr().err


def test_only_what_is_wanted_is_posted_and_a_wrong_file_is_one_line(hook, tmp_path):
    clip = write_scene(tmp_path / "scene.avi", seconds=3)
    url = f"http://127.0.0.1:{hook.server_port}/hook"
    done = run("camera_webhook", url, clip)
    assert (done.returncode, done.stderr, hook.seen) == (0, "", [])  # nobody is in it
    for args in ((url, tmp_path / "none.mp4"), ("hook", clip)):
        wrong = run("camera_webhook", *args)
        assert wrong.returncode == 1
        assert wrong.stderr.startswith("camera_webhook: ")
        assert len(wrong.stderr.splitlines()) == 1
