# SPDX-License-Identifier: Apache-2.0
"""What --help says of the options for a model that reads along."""

from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

import edgestream
from edgestream.cli import reading
from edgestream.cli.main import app
from edgestream.errors import OutputError
from edgestream.outlets import open as open_
from edgestream.reader.alert import THRESHOLD
from edgestream.reader.model import WINDOW


@pytest.mark.parametrize(
    ("option", "used"),
    [
        (reading.AlertThreshold, THRESHOLD),
        (reading.Window, WINDOW),
        (reading.ReaderWindow, WINDOW),
    ],
)
def test_the_default_that_is_shown_is_the_one_that_is_used(option, used):
    _, shown = get_args(option)
    assert shown.show_default == str(used)


@pytest.mark.parametrize("fast", [True, False])
def test_subtitles_wait_where_captions_run_ahead(fast, tmp_path, monkeypatch):
    told = {}

    def no_writer(*_, **options):
        told.update(options)
        raise OutputError("enough")

    monkeypatch.setattr(open_, "open_writer", no_writer)
    pace = ["--fast"] if fast else []
    sound = Path(edgestream.__file__).parent / "data/sample.flac"
    talk = tmp_path / "talk.srt"
    done = CliRunner().invoke(app, ["listen", str(sound), *pace, "-o", str(talk)])
    assert done.exit_code == 1
    assert told["patient"] == fast
