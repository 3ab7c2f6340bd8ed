# SPDX-License-Identifier: Apache-2.0
"""The governor at work: a live stream gives things up where it is slow, a fast one never."""

import itertools

import pytest
from drawn_scene import scene, write_scene

import edgestream as es
from edgestream.events import Comment, Lag
from edgestream.sources.picture import Picture
from edgestream.vision.governor import Cost, Governor, Levers, intervals
from edgestream.vision.stages import Counts
from edgestream.vision.stream import PictureStream

MINUTE_MS = 60_000.0
FPS = 5.0
CAMERA_MS = 40.0


class SlowCommentator:
    """Says ten words of every picture, on a clock that it moves itself."""

    def __init__(self, token_ms):
        self.now_ms = 0.0
        self.token_ms = token_ms
        self.counts, self.cost = Counts(), Cost()
        self.limits = None

    def reset(self):
        pass

    def limit(self, pace, left_ms):
        self.limits = pace.max_tokens, left_ms

    def push(self, picture):
        began_ms, token_ms = self.now_ms, self.token_ms(self.now_ms)
        max_tokens, left_ms = self.limits or (10, float("inf"))
        self.now_ms += token_ms
        n_tokens = 1
        while n_tokens < min(10, max_tokens):
            if self.now_ms - began_ms + token_ms > left_ms:
                break
            self.now_ms += token_ms
            n_tokens += 1
        write_ms = self.now_ms - began_ms - token_ms
        self.cost = Cost(0.0, token_ms, write_ms, n_tokens, n_tokens < 10)
        return [Comment.of("word " * n_tokens, picture.time_ms)]

    def interrupt(self):
        return []

    def finish(self):
        return []


def run(token_ms, minutes, governed=True):
    commentator = SlowCommentator(token_ms)
    governor = Governor(Levers((10,), intervals(FPS))) if governed else None
    stream = PictureStream(
        commentator, fps=FPS, now_ms=lambda: commentator.now_ms, governor=governor
    )
    picture = next(scene(None, seconds=1))
    events = []
    for taken in latest_times(commentator, minutes):
        events += stream.push(Picture(picture.rgb, taken))
    return events


def latest_times(commentator, minutes):
    """Of the pictures that a slot of the latest one hands over."""
    taken = -1
    while commentator.now_ms < minutes * MINUTE_MS:
        newest = int(commentator.now_ms / CAMERA_MS + 1e-6)
        if newest > taken:
            taken = newest
            yield newest * CAMERA_MS
        else:
            commentator.now_ms = (newest + 1) * CAMERA_MS


def tired(now_ms):
    """Milliseconds a token: fast, ten minutes of half a second, fast again."""
    return 500.0 if 10 <= now_ms / MINUTE_MS < 20 else 5.0


def staleness_ms(events):
    return [event.staleness_ms for event in events if isinstance(event, Comment)]


def test_comments_stay_young_for_half_an_hour_of_a_slow_decoder():
    events = run(tired, 30)
    assert max(staleness_ms(events)) < 2000
    assert max(staleness_ms(run(tired, 30, governed=False))) > 4500
    actions = [event.action for event in events if isinstance(event, Lag)]
    assert actions[:3] == [
        "comment cut off", "a picture every 400 ms", "a picture every 800 ms"
    ]  # fmt: skip
    back = [action for action in actions if "no longer" in action]
    assert len(back) == 2
    assert isinstance(events[-1], Comment)
    assert len(events[-1].text.split()) == 10  # and all is as before


def slow_clock(step_s):
    """A time.perf_counter that moves with each look at it."""
    ticks = itertools.count()
    return lambda: next(ticks) * step_s


@pytest.fixture
def whole():
    stream = es.load_watcher("tiny-watch").stream()
    return stream.push(scene()) + stream.finish()


def test_where_there_is_time_a_live_stream_says_what_a_fast_one_does(whole, monkeypatch):
    monkeypatch.setattr("edgestream.vision.stages.time.perf_counter", slow_clock(0.0))
    now_ms = 0.0
    stream = es.load_watcher("tiny-watch").stream(now_ms=lambda: now_ms, keep_up=True)
    events = []
    for picture in scene():
        now_ms = picture.time_ms
        events += stream.push(picture)
    assert events + stream.finish() == whole


def test_a_slow_live_stream_gives_up_pictures_and_says_so(monkeypatch):
    monkeypatch.setattr("edgestream.vision.stages.time.perf_counter", slow_clock(0.5))
    stream = es.load_watcher("tiny-watch").stream(now_ms=lambda: 0.0, keep_up=True)
    events = stream.push(scene())
    assert "a picture every 800 ms" in [e.action for e in events if isinstance(e, Lag)]
    assert stream.counts.pictures < 0.6 * 48  # of five a second


def test_a_file_that_is_read_fast_gives_nothing_up(tmp_path, monkeypatch):
    video = write_scene(tmp_path / "scene.avi")
    expected = list(es.watch(video, fast=True))
    assert len(expected) >= 3
    monkeypatch.setattr("edgestream.vision.stages.time.perf_counter", slow_clock(0.5))
    assert list(es.watch(video, fast=True)) == expected


def test_a_comment_that_a_limit_ended_shows_it(monkeypatch):
    stream = es.load_watcher("tiny-watch").stream(now_ms=lambda: 0.0, keep_up=True)
    monkeypatch.setattr("edgestream.vision.stream.Governor.left_ms", lambda self, age_ms: 0.0)
    comments = [e for e in stream.push(scene()) if isinstance(e, Comment)]
    assert comments
    assert all(c.text.endswith("…") and len(c.text.split()) == 1 for c in comments)
