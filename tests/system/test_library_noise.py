# SPDX-License-Identifier: Apache-2.0
"""What C libraries print never reaches the user, and what others print is not lost."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from test_cli import run
from test_video_file import write as write_video

ALSA = "ALSA lib pcm.c:2664:(snd_pcm_open_noupdate) Unknown PCM cards.pcm.rear"
JACK = "Cannot connect to server socket err = No such file or directory\njack server is not running"


def python(code, *args):
    """A fresh interpreter that can import these tests."""
    command = [sys.executable, "-c", textwrap.dedent(code), *args]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "support")}
    return subprocess.run(command, env=env, text=True, capture_output=True, timeout=120)


def test_lines_of_libraries_are_caught_and_others_come_through():
    code = f"""
        import os, sys
        from edgestream.system.noise import caught
        with caught() as found:
            os.write(2, {ALSA!r}.encode() + b"\\n")
            os.write(2, {JACK!r}.encode() + b"\\n")
            print("a program's own line", file=sys.stderr, flush=True)
            with caught() as inner:
                os.write(2, b"Note: Illegal Audio-MPEG-Header 0x00000000 at offset 2032.\\n")
        print(len(found.lines), len(inner.lines))
        os.write(2, b"afterwards\\n")
    """
    done = python(code)
    assert (done.stdout, done.stderr) == ("3 1\n", "a program's own line\nafterwards\n")


def test_without_a_stderr_nothing_fails():
    code = """
        import os
        os.close(2)
        from edgestream.system.noise import caught
        with caught():
            print("fine")
    """
    assert python(code).stdout == "fine\n"


def test_looking_for_microphones_prints_nothing():
    """PortAudio's ALSA and JACK tell of each device that they do not find, when it starts."""
    code = f"""
        import os, sys, types
        from fake_sounddevice import FakeSoundDevice
        class Loud(FakeSoundDevice):
            def _initialize(self):
                os.write(2, {ALSA!r}.encode() + b"\\n")
                super()._initialize()
            def InputStream(self, **options):
                os.write(2, {JACK!r}.encode() + b"\\n")
                return super().InputStream(**options)
        from edgestream.system.noise import caught
        with caught():
            sys.modules["sounddevice"] = Loud()
        from edgestream.sources.microphones import list_devices
        from edgestream.sources.sound_devices import MICROPHONE, portaudio, refresh
        from edgestream.sources.microphone import MicrophoneSource
        refresh(portaudio(MICROPHONE))
        source = MicrophoneSource()
        source.close()
        print(len(list_devices()))
    """
    done = python(code)
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize(("extension", "codec"), [("avi", "MJPG"), ("mkv", "VP80"), ("ts", "mp4v")])
def test_a_damaged_video_prints_nothing_but_our_lines(extension, codec, tmp_path):
    path = write_video(tmp_path / f"clip.{extension}", codec, n=100)
    data = bytearray(path.read_bytes())
    for at in range(2000, len(data) - 100, 500):
        data[at : at + 20] = os.urandom(20)
    path.write_bytes(data)
    done = run("watch", path, "--fast")
    assert "Traceback" not in done.stderr
    ours = ("lost: ", "edgestream: ")
    assert all(line.startswith(ours) for line in done.stderr.splitlines())
    assert len(done.stderr.splitlines()) <= 1


def test_the_command_drops_whatever_a_library_prints(tmp_path):
    code = """
        import os, sys
        import edgestream.cli.main
        from edgestream.cli import start
        edgestream.cli.main.app = lambda standalone_mode: os.write(2, b"noise of a library") and 3
        print("ours", file=sys.stderr)
        start.main()
    """
    done = python(code)
    assert (done.returncode, done.stderr) == (3, "ours\n")
