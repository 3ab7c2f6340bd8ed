# SPDX-License-Identifier: Apache-2.0
"""What docs/serve.md and docs/serve-protocols.md show works, against a server that runs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from edgestream.data import DATA

DOCS = Path(__file__).resolve().parents[2] / "docs"
SHOWN_AT = "http://127.0.0.1:8765"
LARGE_MB = 5  # more than one message may have


def blocks(language, page="serve-protocols.md"):
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With the speech.wav of the examples."""
    found = tmp_path_factory.mktemp("shown")
    samples, rate_hz = soundfile.read(DATA / "person.flac")
    soundfile.write(found / "speech.wav", samples, rate_hz, subtype="PCM_16")
    return found


def output(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("code", blocks("py"), ids=["recording", "live"])
def test_python_hears_the_speech(code, speech_server, folder):
    code = code.replace(SHOWN_AT, speech_server.http)
    assert "fellow Americans" in output([sys.executable, "-c", code], folder)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_gets_subtitles(speech_server, folder):
    (line,) = (line for block in blocks("sh") for line in block.splitlines() if "curl" in line)
    found = output(["sh", "-c", line.replace(SHOWN_AT, speech_server.http)], folder)
    assert " --> " in found
    assert "fellow Americans" in found


def test_a_program_of_one_s_own_hears_a_file_of_any_size(speech_server, folder):
    samples, rate_hz = soundfile.read(DATA / "person.flac", dtype="int16")
    assert rate_hz == 16_000
    (folder / "large.pcm").write_bytes(samples.tobytes() + bytes(LARGE_MB * 1_000_000))
    (code,) = blocks("python", "serve.md")
    code = code.replace(SHOWN_AT.replace("http", "ws"), speech_server.ws)
    assert "fellow Americans" in output([sys.executable, "-c", code, "large.pcm"], folder)
