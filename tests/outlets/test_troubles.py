# SPDX-License-Identifier: Apache-2.0
"""Lines on stderr where no status line shows what went wrong."""

from pathlib import Path

from edgestream.events import Gap, Lag, Notice
from edgestream.outlets.open import Outlets
from edgestream.outlets.troubles import Troubles


def test_each_trouble_is_a_line():
    said = []
    events = [
        Lag(9000.0, "reading along left out 12 lines"),
        Gap(500.0, 900.0, "overflow"),
        Notice(3000.0, "reading along failed"),
    ]
    Troubles(said.append).push(events, None)
    assert said == [
        "9.0 s behind: reading along left out 12 lines",
        "lost: 0.5 s to 0.9 s, overflow",
        "3.0 s: reading along failed",
    ]


def test_what_is_left_out_is_told_beside_a_file_of_captions(tmp_path: Path, capsys):
    outlets = Outlets("srt", tmp_path / "talk.srt", drafts=False)
    outlets.push([Lag(9000.0, "reading along left out 12 lines")])
    outlets.finish(failed=False)
    assert "reading along left out 12 lines" in capsys.readouterr().err
