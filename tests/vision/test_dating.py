# SPDX-License-Identifier: Apache-2.0
"""When a comment happened by the clock on the wall, which may be set while a stream runs."""

from datetime import datetime, timedelta, timezone

import pytest
from drawn_scene import scene
from loopback_camera import NetworkCamera

import edgestream as es
from edgestream.events import Comment
from edgestream.sources.picture import Picture
from edgestream.vision.stages import Counts
from edgestream.vision.stream import PictureStream

ZONE = timezone(timedelta(hours=2))
NOON = datetime(2026, 5, 4, 12, 0, 0, tzinfo=ZONE)


class LateCommentator:
    """Says of each picture what happened half a second before it."""

    counts = Counts()

    def reset(self):
        pass

    def push(self, picture):
        return [Comment.of("So.", picture.time_ms, None, picture.time_ms - 500.0)]

    def finish(self):
        return [Comment.of("The end.", 9_000.0, None, 8_000.0)]


class Clocks:
    """The clock of the pictures and that on the wall."""

    now_ms, wall = 0.0, NOON

    def pass_ms(self, passed_ms):
        self.now_ms += passed_ms
        self.wall += timedelta(milliseconds=passed_ms)


@pytest.fixture
def clocks():
    return Clocks()


def stream_by(clocks, **options):
    return PictureStream(LateCommentator(), fps=5.0, now_ms=lambda: clocks.now_ms, **options)


RGB = next(scene(None, seconds=1)).rgb


def test_a_comment_has_the_time_when_it_happened_not_when_it_was_said(clocks):
    stream = stream_by(clocks, wall_clock=lambda: clocks.wall)
    clocks.pass_ms(3_200.0)  # the picture is 200 ms old
    (comment,) = stream.push(Picture(RGB, 3_000.0))
    assert comment.time == "2026-05-04T12:00:02.500+02:00"
    assert (comment.start_ms, comment.picture_ms, comment.staleness_ms) == (2_500.0, 3_000.0, 200.0)
    clocks.pass_ms(6_800.0)
    assert stream.finish()[0].time == "2026-05-04T12:00:08.000+02:00"


def test_a_wall_clock_that_is_set_back_changes_no_other_time(clocks):
    stream = stream_by(clocks, wall_clock=lambda: clocks.wall)
    comments = []
    for turn in range(4):
        comments += stream.push(Picture(RGB, clocks.now_ms))
        clocks.pass_ms(1_000.0)
        if turn == 1:
            clocks.wall -= timedelta(hours=1)
    starts_ms = [comment.start_ms for comment in comments]
    assert starts_ms == sorted(starts_ms)
    assert [comment.time[11:19] for comment in comments] == [
        "11:59:59", "12:00:00", "11:00:01", "11:00:02",
    ]  # fmt: skip


def test_without_a_wall_clock_there_is_no_time(clocks):
    assert stream_by(clocks).push(Picture(RGB, 0.0))[0].time is None


def test_watch_dates_what_a_camera_shows_and_not_what_a_file_shows(tmp_path):
    visit = [picture.rgb for picture in scene()]
    before = datetime.now().astimezone()
    with NetworkCamera(pictures=visit) as camera:
        session = es.watch(camera.url)
        comment = next(event for event in session if isinstance(event, Comment))
        session.close()
    happened = datetime.fromisoformat(comment.time)
    assert happened.utcoffset() == before.utcoffset()
    assert before + timedelta(milliseconds=comment.start_ms) <= happened + timedelta(seconds=1)
    assert happened <= datetime.now().astimezone()
