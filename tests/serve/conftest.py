# SPDX-License-Identifier: Apache-2.0
"""A server with the usual model; for the page a scripted one, a browser, and watched pages."""

import numpy as np
import pytest
import soundfile
from chromium import Watched, chromium, hearing
from page_visits import ELSEWHERE
from scripted_server import Script, ScriptedServer
from serve_server import running_server


@pytest.fixture(scope="module")
def server():
    server = ScriptedServer()
    server.address = server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    wav = tmp_path_factory.mktemp("sound") / "silence.wav"
    soundfile.write(wav, np.zeros(16_000, np.int16), 16_000)
    flags = [*hearing(wav), f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]
    with chromium(*flags) as browser:
        yield browser


@pytest.fixture
def watched(browser, server):
    """Opens pages; afterwards none of them had a fault."""
    server.script = Script()
    server.sessions.clear()
    watched = Watched(browser, server.address)
    yield watched
    for context in browser.contexts:
        context.close()
    assert watched.faults == []


@pytest.fixture(scope="session")
def speech_server():
    """One for all tests that do not change its settings."""
    with running_server() as running:
        yield running
