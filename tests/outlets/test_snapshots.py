# SPDX-License-Identifier: Apache-2.0
"""Snapshots: the comment's own picture, whole, by name in the order of time; never too many."""

import dataclasses
import os
import re

import cv2
import numpy as np
import pytest
from drawn_scene import write_scene
from test_cli import run

from edgestream.errors import UsageError
from edgestream.events import Comment, Happening
from edgestream.outlets import snapshots
from edgestream.outlets.boxes import colour_of
from edgestream.outlets.snapshots import KEPT_BYTES, OURS, Snapshots, boxed, stem
from edgestream.sources.picture import Picture

ENTERS = Happening("enters", label="person", colour="red", track=3, box=(20, 30, 60, 90))


def picture(grey, time_ms, size=(160, 120)):
    return Picture(np.full((size[1], size[0], 3), grey, np.uint8), time_ms)


def comment(time_ms, what=None, picture_ms=None):
    return Comment.of("So.", time_ms if picture_ms is None else picture_ms, what, time_ms)


def read(path):
    return cv2.imread(str(path))[..., ::-1]


def names(folder):
    return sorted(os.listdir(folder))


def test_each_comment_is_a_picture_of_full_size_named_by_time_and_kind(tmp_path):
    folder = tmp_path / "made" / "pictures"
    taken = Snapshots(folder)
    live = dataclasses.replace(comment(9.0, ENTERS), time="2026-05-04T14:03:22.500+02:00")
    plain = dataclasses.replace(comment(9.0), time="2026-05-04T14:03:22.500+02:00")
    taken.push([live, live, plain], picture(90, 9.0, (640, 480)))
    taken.push([comment(3_723_400.0, Happening("light-off"))], picture(90, 3_723_400.0))
    taken.finish()
    assert names(folder) == [
        "watch_001-02-03.400_light-off.jpg",
        "watch_2026-05-04_14-03-22.500_comment.jpg",
        "watch_2026-05-04_14-03-22.500_enters_person.jpg",
        "watch_2026-05-04_14-03-22.500_enters_person_2.jpg",
    ]
    assert read(folder / names(folder)[1]).shape == (480, 640, 3)


def test_the_picture_is_the_one_that_the_comment_is_about(tmp_path):
    taken = Snapshots(tmp_path)
    for grey in (40, 80, 120):
        taken.push([], picture(grey, 100.0 * grey))
    taken.push([comment(1_000.0, picture_ms=8_000.0)], picture(160, 16_000.0))
    (name,) = names(tmp_path)
    assert read(tmp_path / name).mean() == pytest.approx(80, abs=2)


def test_few_pictures_are_kept_in_memory(tmp_path):
    taken = Snapshots(tmp_path)
    for turn in range(100):
        taken.push([], picture(turn, float(turn), (1920, 1080)))
        assert sum(kept.rgb.nbytes for kept in taken._newest) <= KEPT_BYTES
    assert len(taken._newest) > 2


def test_a_box_and_a_name_are_drawn_and_the_source_s_picture_stays(tmp_path):
    rgb = picture(128, 0.0).rgb
    drawn = boxed(rgb, ENTERS)
    assert (rgb == 128).all()
    assert (drawn[60, 20] == colour_of(3)).all()
    assert (drawn[50:80, 30:50] == 128).all()  # inside
    name = drawn[18:30, 20:60].reshape(-1, 3)
    assert (name == colour_of(3)).all(axis=1).any()
    assert (name < 60).all(axis=1).any()  # letters
    assert boxed(rgb, Happening("cut")) is rgb


def test_boxes_at_the_edges_of_any_picture_can_be_drawn():
    for size in [(1, 1), (3, 200), (160, 120)]:
        for box in [(0, 0, *size), (-9, -9, 2000, 2000), (size[0] - 1, size[1] - 1, *size)]:
            rgb = picture(0, 0.0, size).rgb
            assert boxed(rgb, dataclasses.replace(ENTERS, box=box)).shape == rgb.shape


def test_the_oldest_make_way_and_files_of_others_stay(tmp_path, monkeypatch):
    others = ["holiday.jpg", "watch_me.jpg", "watch_001-02-03.400_comment.jpg.bak", "watch.txt"]
    for name in others:
        (tmp_path / name).write_text("mine")
    (tmp_path / "watch_001-02-03.400_folder.jpg").mkdir()
    taken = Snapshots(tmp_path, 3)
    for turn in range(8):
        taken.push([comment(1000.0 * turn)], picture(turn, 1000.0 * turn))
        os.utime(tmp_path / f"watch_000-00-{turn:02}.000_comment.jpg", (turn, turn))
    ours = [name for name in names(tmp_path) if OURS.fullmatch(name) and "folder" not in name]
    assert ours == [f"watch_000-00-{turn:02}.000_comment.jpg" for turn in (5, 6, 7)]
    assert all((tmp_path / name).read_text() == "mine" for name in others)
    n_bytes = (tmp_path / ours[-1]).stat().st_size
    monkeypatch.setattr(snapshots, "MAX_BYTES", 2 * n_bytes + n_bytes // 2)
    taken.push([comment(8_000.0)], picture(8, 8_000.0))
    assert len([name for name in names(tmp_path) if name.endswith("_comment.jpg")]) == 2


def test_a_disk_that_is_full_is_told_once_and_leaves_nothing_half(tmp_path, monkeypatch, capsys):
    taken = Snapshots(tmp_path)
    write = type(tmp_path).write_bytes

    def full(path, data):
        write(path, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "write_bytes", full)
    for turn in range(3):
        taken.push([comment(float(turn))], picture(turn, float(turn)))
    assert names(tmp_path) == []
    monkeypatch.undo()
    taken.push([comment(5_000.0)], picture(5, 5_000.0))
    taken.push([comment(6_000.0)], picture(5, 6_000.0))
    assert len(names(tmp_path)) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"--snapshots {tmp_path}: cannot be written: No space left on device",
        f"--snapshots {tmp_path}: can be written again",
    ]


def test_names_are_plain_whatever_a_model_calls_things():
    odd = Happening("../enters\n", label="Pérson/7")
    assert re.fullmatch(r"watch_000-00-00\.000_enters_prson", stem(comment(-5.0, odd)))
    assert stem(comment(0.0, Happening("7"))) == "watch_000-00-00.000_comment"


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no folder"):
        Snapshots(tmp_path / "file")
    with pytest.raises(UsageError, match="it must be 1 or more"):
        Snapshots(tmp_path, 0)


def test_watch_writes_a_picture_for_each_comment(tmp_path):
    clip = write_scene(tmp_path / "scene.avi")
    plain = run("watch", clip, "--fast")
    done = run("watch", clip, "--fast", "--snapshots", tmp_path / "seen", "--snapshots-max", 3)
    assert (done.returncode, done.stdout, done.stderr) == (0, plain.stdout, "")
    times = [line.split()[0].replace(":", "-").zfill(9) for line in plain.stdout.splitlines()]
    assert [name[6:15] for name in names(tmp_path / "seen")] == times[-3:]
    done = run("watch", clip, "--snapshots-max", 3)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
