# SPDX-License-Identifier: Apache-2.0
"""Zones and masks from a file: which zone is around a point, what is masked; wrong files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cli import run

import edgestream as es
from edgestream.errors import UsageError
from edgestream.vision.labels import LABELS, parse_labels
from edgestream.vision.zones import Zones, read_zones

YARD = """
[[zone]]
name = "yard"
polygon = [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]

[[zone]]
name = "door"
polygon = [[0.4, 0.4], [0.6, 0.4], [0.6, 0.8], [0.4, 0.8]]

[[mask]]
polygon = [[0, 0], [0.5, 0], [0, 0.5]]
"""
IN_PIXELS = """
pixels = [200, 100]
zone = [
  {name = "yard", polygon = [[0, 50], [200, 50], [200, 100], [0, 100]]},
  {name = "door", polygon = [[80, 40], [120, 40], [120, 80], [80, 80]]},
]
mask = [{polygon = [[0, 0], [100, 0], [0, 50]]}]
"""


@pytest.fixture(params=[YARD, IN_PIXELS], ids=["shares", "pixels"])
def zones(request, tmp_path):
    path = tmp_path / "zones.toml"
    path.write_text(request.param)
    return read_zones(path)


def test_the_smallest_zone_around_a_point_is_told(zones):
    assert zones.names == ("door", "yard")
    assert zones.zone_at(0.5, 0.6) == "door"
    assert zones.zone_at(0.5, 0.45) == "door"  # outside of the yard
    assert zones.zone_at(0.5, 0.9) == "yard"
    assert zones.zone_at(0.9, 0.6) == "yard"
    assert zones.zone_at(0.9, 0.1) is None
    assert zones.zone_at(-3.0, 0.6) is None


def test_a_mask_is_the_same_by_points_and_by_pixels(zones):
    assert zones.masked(0.1, 0.1)
    assert not zones.masked(0.3, 0.3)
    mask = zones.mask(80, 60)
    assert mask.shape == (60, 80)
    assert mask.dtype == np.bool_
    assert mask.mean() == pytest.approx(1 / 8, abs=0.01)
    for row in range(0, 60, 7):
        for column in range(80):
            x, y = (column + 0.5) / 80, (row + 0.5) / 60
            assert mask[row, column] == zones.masked(x, y)


def test_without_a_mask_all_is_looked_at():
    zones = Zones([("all", np.array([[0, 0], [1, 0], [1, 1.0]]))], [])
    assert zones.mask(8, 6) is None
    assert not zones.masked(0.5, 0.2)


@given(st.floats(0, 1), st.floats(0, 1))
def test_zones_that_share_an_edge_leave_no_point_between_them(x, y):
    left = np.array([[0, 0], [0.3, 0], [0.7, 1], [0, 1.0]])
    right = np.array([[0.3, 0], [1, 0], [1, 1], [0.7, 1.0]])
    zones = Zones([("left", left), ("right", right)], [])
    if x < 1 and y < 1:
        assert zones.zone_at(x, y) in ("left", "right")


def test_a_polygon_that_bends_inwards_has_only_its_inside():
    bent = np.array([[0, 0], [1, 0], [1, 1], [0.5, 0.2], [0, 1.0]])
    zones = Zones([("bent", bent)], [])
    assert zones.zone_at(0.5, 0.1) == "bent"
    assert zones.zone_at(0.5, 0.5) is None


ZONE = '[[zone]]\nname = "yard"\npolygon = {}\n'
WRONG = {
    "": "neither a zone nor a mask",
    "zone = [": "not valid TOML",
    "[[zones]]\n": "unknown key 'zones'; known are zone, mask, pixels",
    '[[zone]]\nname = "yard"\n': "key 'polygon' is missing",
    ZONE.format("[[0, 0], [1, 1]]"): "zone 'yard': a polygon of 2 points; give three or more",
    ZONE.format('"all"'): "is not of type",
    ZONE.format("[[0, 0], [1, 0, 1], [1, 1]]"): r"a point is \[1.0, 0.0, 1.0\]; give x and y",
    ZONE.format("[[0, 0], [1, 0], [300, 200]]"): r"the point \[300, 200\] is outside of",
    ZONE.format("[[0, 0], [1, 0], [nan, 1]]"): "is outside of the picture",
    ZONE.format("[[0, 0], [0.5, 0.5], [1, 1]]"): "its points enclose nothing",
    "pixels = [200, 100]\n" + ZONE.format("[[0, 0], [9, 9], [200, 101]]"): "x goes from 0 to 200",
    "pixels = [200]\n" + ZONE.format("[[0, 0], [9, 9], [9, 0]]"): r"pixels is \[200\]; give width",
    2 * ZONE.format("[[0, 0], [1, 0], [1, 1]]"): "two zones are called 'yard'",
    ZONE.replace("yard", " ").format("[[0, 0], [1, 0], [1, 1]]"): "zone 1: the name ' ' cannot",
    "[[mask]]\npolygon = []\n": "mask 1: a polygon of 0 points",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_one_line_that_says_what_and_where(text, tmp_path):
    path = tmp_path / "zones.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=WRONG[text]) as raised:
        read_zones(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"No such file or directory; give a TOML file with a"):
        read_zones(tmp_path / "zones.toml")


def test_classes_are_chosen_by_name():
    assert parse_labels("person, Vehicle,person") == ("person", "vehicle")
    assert parse_labels(",".join(LABELS)) == LABELS
    for wrong in ("people", "", ",", "person;vehicle"):
        with pytest.raises(UsageError, match="person, bicycle, vehicle, animal, something"):
            parse_labels(wrong)


def test_a_family_that_knows_neither_says_so(tmp_path):
    model = es.load_watcher("tiny-watch")
    with pytest.raises(UsageError, match="tiny-watch: takes no zones; leave it out"):
        model.stream(zones=Zones([], []))
    with pytest.raises(UsageError, match="tiny-watch: takes no only; leave it out"):
        model.stream(only=("person",))
    with pytest.raises(UsageError, match="only is 'person'; give some of"):
        model.stream(only="person")


def test_the_command_reads_both_before_it_opens_anything(tmp_path):
    path = tmp_path / "zones.toml"
    path.write_text("zone = [")
    for options, reason in [
        (["--zones", path], f"{path}: not valid TOML"),
        (["--only", "people"], "only: 'people' is no class of things"),
    ]:
        done = run("watch", tmp_path / "nothing.mp4", *options)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert reason in done.stderr
