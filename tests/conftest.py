# SPDX-License-Identifier: Apache-2.0
"""For all tests: an empty folder to work in, and property tests that may take their time."""

import os
import signal

import hypothesis
import pytest

import edgestream as es

# No timed assertions: a busy machine must not fail a test.
hypothesis.settings.register_profile("edgestream", deadline=None)
hypothesis.settings.load_profile("edgestream")

# A job in the background ignores Ctrl-C, and so would the commands that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _elsewhere(tmp_path_factory):
    """Python puts the current folder first: in the checkout, processes that tests start would
    import the sources, which have no native module, instead of the package under test."""
    os.chdir(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="session")
def tiny():
    """The files of the built-in model by name, its card left out."""
    folder = es.load("synthetic-en").folder
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "README.md"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where pulled models go, in this process."""
    monkeypatch.setenv("EDGESTREAM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
