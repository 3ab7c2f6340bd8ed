# SPDX-License-Identifier: Apache-2.0
"""Live pictures: a camera on loopback that is stopped, frozen and changed; a slow reader."""

import itertools
import time

import cv2
import numpy as np
import pytest
from loopback_camera import NetworkCamera
from test_video_file import write

import edgestream.sources.camera
from edgestream.errors import DeviceError, SourceError, UsageError
from edgestream.events import Gap, Notice
from edgestream.sources.camera import LOST, RECONNECTING, CameraSource
from edgestream.sources.open_pictures import open_pictures
from edgestream.sources.picture import SIZE_CHANGED, Picture, Waiting
from edgestream.sources.video_file import VideoFileSource

PATIENCE_S = 60


@pytest.fixture
def camera():
    with NetworkCamera() as found:
        yield found


@pytest.fixture
def impatient(monkeypatch):
    """Losses are seen, and reads given up, sooner."""
    monkeypatch.setattr(edgestream.sources.camera, "LOST_AFTER_S", 0.6)
    monkeypatch.setattr("edgestream.sources.capture.READ_TIMEOUT_MS", 1000)


def until(events, wanted, n=1):
    """All that comes of an iterator until `n` of it were `wanted`."""
    seen, begun_s, found = [], time.monotonic(), 0
    for event in events:
        seen.append(event)
        found += wanted(event)
        if found == n:
            return seen
        assert time.monotonic() < begun_s + PATIENCE_S, seen
    raise AssertionError(f"ended after {seen}")


def is_picture(event):
    return isinstance(event, Picture)


def is_gap(event):
    return isinstance(event, Gap)


def is_notice(event):
    return isinstance(event, Notice)


def is_waiting(event):
    return isinstance(event, Waiting)


def check_clock(events):
    """Times rise, and no Gap overlaps a picture or another Gap."""
    at_ms = 0.0
    for event in (each for each in events if is_picture(each) or is_gap(each)):
        start_ms, end_ms = (
            (event.start_ms, event.end_ms) if is_gap(event) else (event.time_ms, event.time_ms)
        )
        assert at_ms <= start_ms <= end_ms
        at_ms = end_ms


def test_pictures_come_with_rising_times_and_their_age(camera):
    source = CameraSource(camera.url)
    coming = iter(source)
    begun_s = time.monotonic()
    pictures = until(coming, is_picture, 10)
    source.close()
    check_clock(pictures)
    assert all(picture.rgb.shape == (48, 64, 3) for picture in pictures)
    assert 0 <= source.behind_ms <= 1000 * (time.monotonic() - begun_s)


def test_a_slow_reader_gets_the_latest_and_nothing_queues(camera):
    source = CameraSource(camera.url)
    coming = iter(source)
    greys = []
    for picture in itertools.islice(coming, 6):
        greys.append(int(picture.rgb.mean()))
        assert source._slot.waiting <= 1
        time.sleep(0.4)  # ten pictures' time
    source.close()
    # Had they queued, the greys would rise by one.
    assert min(np.diff(greys)) > 1
    assert source.skipped >= sum(np.diff(greys) - 2)


def test_a_server_that_stops_and_comes_back_is_one_gap(impatient):
    with NetworkCamera() as first:
        source = CameraSource(first.url)
        coming = iter(source)
        events = until(coming, is_picture, 3)
    events += until(coming, is_waiting, 4)
    with NetworkCamera(port=first.server_port):
        events += until(coming, is_picture, 3)
        source.close()
    check_clock(events)
    (gap,) = (event for event in events if is_gap(event))
    before, after = (
        [event for event in events[part] if is_picture(event)]
        for part in (slice(events.index(gap)), slice(events.index(gap) + 1, None))
    )
    assert gap == Gap(before[-1].time_ms, after[0].time_ms, LOST)  # all that was lost
    waits = [event for event in events if is_waiting(event)]
    assert [event.since_ms for event in waits] == [gap.start_ms] * len(waits)
    times_ms = [event.time_ms for event in waits]
    assert times_ms == sorted(times_ms)  # the clock goes on
    (notice,) = (event for event in events if is_notice(event))
    assert notice == Notice(gap.start_ms, RECONNECTING)
    assert events.index(notice) < events.index(waits[0])


def test_a_frozen_camera_is_opened_again(camera, impatient):
    source = CameraSource(camera.url)
    coming = iter(source)
    events = until(coming, is_picture, 2)
    camera.frozen = True
    events += until(coming, is_waiting)
    while camera.connections < 2:
        time.sleep(0.05)
    camera.frozen = False
    events += until(coming, is_picture, 2)
    source.close()
    check_clock(events)
    assert {event.reason for event in events if is_gap(event)} == {LOST}


def test_a_break_too_short_to_be_noticed_is_a_gap_all_the_same(impatient, monkeypatch):
    monkeypatch.setattr(edgestream.sources.camera, "LOST_AFTER_S", PATIENCE_S)
    with NetworkCamera() as first:
        source = CameraSource(first.url)
        coming = iter(source)
        events = until(coming, is_picture, 2)
    with NetworkCamera(port=first.server_port):
        events += until(coming, is_gap) + until(coming, is_picture)
        source.close()
    check_clock(events)
    assert events[-2].reason == LOST


def test_a_stream_that_changes_its_size_goes_on(camera):
    source = CameraSource(camera.url)
    coming = iter(source)
    until(coming, is_picture, 3)
    camera.size = (128, 96)
    pictures = until(coming, is_picture, 20)
    source.close()
    # FFmpeg scales to the size in which the stream began.
    assert {event.rgb.shape for event in pictures} == {(48, 64, 3)}


class ScriptedCapture:
    """What OpenCV gives of a camera: pictures of these shapes, and where one is None an error."""

    def __init__(self, shapes):
        self.shapes = iter(shapes)
        self.properties = {}

    def set(self, name, value):
        self.properties[name] = value

    def grab(self):
        time.sleep(0.05)
        self.shape = next(self.shapes, ())
        if self.shape is None:
            raise cv2.error("a driver's mistake")
        return self.shape != ()

    def retrieve(self):
        return True, np.zeros(self.shape, np.uint8)

    def release(self):
        pass


def test_a_camera_that_changes_its_size_is_a_gap(monkeypatch):
    shapes = [(48, 64, 3)] * 30 + [(96, 128, 3)] * 30
    capture = ScriptedCapture(shapes)
    monkeypatch.setattr(edgestream.sources.camera, "open_capture", lambda where: capture)
    source = CameraSource(0, size=(64, 48), fps=1000)
    coming = iter(source)
    events = until(coming, is_gap) + until(coming, is_picture)
    source.close()
    check_clock(events)
    assert events[-2].reason == SIZE_CHANGED
    assert events[-3].rgb.shape == (48, 64, 3)
    assert events[-1].rgb.shape == (96, 128, 3)
    assert sorted(capture.properties.values()) == [48, 64]


def test_an_error_of_opencv_is_a_loss_and_the_camera_is_opened_again(monkeypatch):
    captures = iter([ScriptedCapture([(4, 4, 3)] * 5 + [None]), ScriptedCapture([(4, 4, 3)] * 99)])
    monkeypatch.setattr(edgestream.sources.camera, "open_capture", lambda where: next(captures))
    source = CameraSource(0)
    coming = iter(source)
    events = until(coming, is_gap) + until(coming, is_picture)
    source.close()
    check_clock(events)
    assert events[-2].reason == LOST


def test_a_camera_of_which_little_is_wanted_is_not_lost(camera, impatient):
    source = CameraSource(camera.url, fps=0.4)  # a picture in a longer time than a loss is seen in
    events = until(iter(source), is_picture, 2)
    source.close()
    assert all(is_picture(event) for event in events)


def test_a_camera_is_thinned_before_the_slot(camera):
    source = CameraSource(camera.url, fps=5)
    coming = iter(source)
    pictures = until(coming, is_picture, 5)
    source.close()
    slots = [int(picture.time_ms // 200) for picture in pictures]
    assert len(set(slots)) == len(slots)


def test_stop_ends_it_also_while_the_camera_is_away(impatient):
    with NetworkCamera() as gone:
        source = CameraSource(gone.url)
        coming = iter(source)
        events = until(coming, is_picture)
    events += until(coming, is_waiting)
    source.stop()
    rest = list(coming)
    source.close()
    assert [gap.reason for gap in rest] == [LOST]  # it never came back
    check_clock(events + rest)


@pytest.mark.parametrize("where", ["http://127.0.0.1:9/x.mjpg", "rtsp://127.0.0.1:9/x"])
def test_an_address_that_does_not_answer_is_one_line(where):
    with pytest.raises(DeviceError, match="check the address") as raised:
        open_pictures(where)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("where", [63, "63", "/dev/video63"])
def test_a_camera_that_is_not_there_is_one_line(where, capfd):
    with pytest.raises(DeviceError, match="plugged in"):
        open_pictures(where)
    assert capfd.readouterr() == ("", "")


def test_a_pipeline_needs_gstreamer():
    with pytest.raises(SourceError, match="built without GStreamer"):
        open_pictures("videotestsrc ! videoconvert ! appsink")


def test_what_is_named_decides_the_source(camera, tmp_path):
    clip = write(tmp_path / "clip.avi")
    with_file, with_address = open_pictures(str(clip), fast=True), open_pictures(camera.url)
    assert isinstance(with_file, VideoFileSource)
    assert isinstance(with_address, CameraSource)
    for source in (with_file, with_address):
        source.close()


def test_a_file_behind_an_address_is_a_file(tmp_path):
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    write(tmp_path / "clip.mp4", "mp4v")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        source = open_pictures(f"http://127.0.0.1:{server.server_port}/clip.mp4", fast=True)
        pictures = list(source)
        source.close()
        server.shutdown()
    assert isinstance(source, VideoFileSource)
    assert len(pictures) == 30


def test_options_without_effect_are_refused(tmp_path, camera):
    with pytest.raises(UsageError, match="a size can only be asked of a camera"):
        open_pictures("clip.mp4", size=(64, 48))
    with pytest.raises(UsageError, match="goes at the world's pace"):
        open_pictures(camera.url, fast=True)
    with pytest.raises(UsageError, match="it must lie between"):
        open_pictures(camera.url, fps=0)
