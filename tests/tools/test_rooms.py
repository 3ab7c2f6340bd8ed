# SPDX-License-Identifier: Apache-2.0
"""The drawing of the rooms in CONTRIBUTING.md shows the imports as they are."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

from test_structure import ROOMS as ROOMS_IN_ORDER

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "pictures" / "rooms.py"


def test_the_drawing_shows_the_imports_as_they_are():
    done = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_drawing_of_other_imports_is_told(tmp_path, monkeypatch, capsys):
    tool = runpy.run_path(str(TOOL))
    page = tmp_path / "CONTRIBUTING.md"
    page.write_text((ROOT / "CONTRIBUTING.md").read_text("utf-8").replace("cli --> ", "hub --> "))
    monkeypatch.setitem(tool["main"].__globals__, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["rooms.py", "--check"])
    assert tool["main"]() == 1
    assert "tools/pictures/rooms.py" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["rooms.py"])
    assert tool["main"]() == 0
    assert page.read_text("utf-8") == (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_an_arrow_that_follows_from_others_is_left_out():
    tool = runpy.run_path(str(TOOL))
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert tool["reduced"](graph) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_the_table_lists_the_rooms_in_their_order():
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = page.partition("| room |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == ROOMS_IN_ORDER
