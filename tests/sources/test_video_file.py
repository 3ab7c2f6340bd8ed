# SPDX-License-Identifier: Apache-2.0
"""Video files: codecs, times, pace, thinning, sizes, and files that are not what they claim."""

import shutil
import struct
import time
import zlib

import cv2
import numpy as np
import pytest
from drawn_scene import write_scene
from hypothesis import given
from hypothesis import strategies as st
from tiny_matroska import delay_mp4, matroska

import edgestream as es
from edgestream.errors import SourceError, UsageError
from edgestream.events import Gap
from edgestream.sources.capture import to_rgb
from edgestream.sources.picture import Picture, Spacing
from edgestream.sources.video_file import VideoFileSource

FPS = 25
CODECS = [("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "VP80"), ("mkv", "VP90"), ("avi", "XVID"),
          ("mkv", "FFV1"), ("ts", "mp4v"), ("mpg", "MPG1")]  # fmt: skip


def shade(turn):
    """Blue, green, red of picture `turn`: red grows."""
    return 20, 60, 8 * turn


def write(path, codec="MJPG", size=(64, 48), n=30):
    """A video of plain pictures, written by OpenCV."""
    fourcc = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, FPS, size)
    assert writer.isOpened()
    for turn in range(n):
        writer.write(np.full((size[1], size[0], 3), shade(turn), np.uint8))
    writer.release()
    return path


def write_moving_png(path):
    """Two pictures of one pixel; FFmpeg knows such a file by its suffix."""
    moving = cv2.Animation()
    moving.frames = [np.full((1, 1, 3), shade(turn), np.uint8) for turn in (3, 4)]
    moving.durations = np.full(2, 40)
    cv2.imwriteanimation(str(path.with_suffix(".png")), moving)
    return path.with_suffix(".png").rename(path.with_suffix(".apng"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clip") / "clip.avi")


def read(path, **options):
    source = VideoFileSource(path, **{"pace": False, **options})
    try:
        return list(source)
    finally:
        source.close()


@pytest.mark.parametrize(("extension", "codec"), CODECS)
def test_every_picture_of_a_codec_comes_in_order_with_its_time(extension, codec, tmp_path):
    pictures = read(write(tmp_path / f"clip.{extension}", codec))
    assert len(pictures) == 30
    for turn, picture in enumerate(pictures):
        assert picture.rgb.shape == (48, 64, 3)
        blue, green, red = shade(turn)
        assert picture.rgb.mean((0, 1)) == pytest.approx((red, green, blue), abs=12)
        assert picture.time_ms == pytest.approx(1000 * turn / FPS, abs=1)


def test_the_picture_of_one_pixel_and_the_largest(tmp_path):
    # No coder of video takes a single pixel, but PNGs that move do.
    tiny = read(write_moving_png(tmp_path / "tiny"))
    assert [picture.rgb.tolist() for picture in tiny] == [[[[24, 60, 20]]], [[[32, 60, 20]]]]
    (large,) = read(write(tmp_path / "large.avi", "MJPG", (8000, 6000), n=1))
    assert large.rgb.shape == (6000, 8000, 3)


def test_a_file_has_its_own_pace(clip):
    source = VideoFileSource(clip, pace=True)
    begun_s, arrivals = None, []
    for picture in source:
        begun_s = begun_s or time.monotonic()
        arrivals.append((picture.time_ms, 1000 * (time.monotonic() - begun_s)))
    assert len(arrivals) + source.skipped == 30
    # No picture before its time; how late is up to the machine.
    assert all(arrived >= due - 1 for due, arrived in arrivals)


def test_a_late_reader_of_a_paced_file_gets_the_latest_picture(clip):
    source = VideoFileSource(clip, pace=True)
    times_ms = []
    for picture in source:
        times_ms.append(picture.time_ms)
        time.sleep(0.2)  # five pictures' time
    assert times_ms == sorted(times_ms)
    assert len(times_ms) < 10
    assert len(times_ms) + source.skipped == 30


@pytest.mark.parametrize(("fps", "n"), [(5, 6), (10, 12), (25, 30), (100, 30), (0.01, 1)])
def test_pictures_are_thinned(clip, fps, n):
    assert len(read(clip, fps=fps)) == n


@given(
    st.lists(st.floats(0.01, 500), min_size=1, max_size=60),
    st.floats(0.5, 100),
)
def test_thinning_leaves_the_first_of_each_interval(steps_ms, fps):
    times_ms = np.cumsum(steps_ms)
    spacing = Spacing(fps)
    kept = [t for t in times_ms if spacing.due(t)]
    intervals = np.floor(times_ms * fps / 1000 + 1e-6)
    assert kept == [times_ms[intervals == i][0] for i in np.unique(intervals)]


@given(st.lists(st.tuples(st.floats(0, 300), st.sampled_from([100.0, 200.0, 300.0])), max_size=60))
def test_an_interval_that_changes_counts_from_the_newest_picture_that_was_due(seen):
    spacing, time_ms, last_ms = Spacing(5), 0.0, -np.inf
    for passed_ms, spacing.interval_ms in seen:
        time_ms += passed_ms
        now, before = (np.floor(t / spacing.interval_ms + 1e-6) for t in (time_ms, last_ms))
        assert spacing.due(time_ms) == (now > before)
        last_ms = time_ms if now > before else last_ms


def test_a_file_that_ends_early_says_what_is_missing(clip, tmp_path):
    data = clip.read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(data[: len(data) // 2])
    *pictures, gap = read(cut)
    assert 0 < len(pictures) < 20
    assert gap == Gap(pictures[-1].time_ms + 40, 1200, "damaged file")


def test_damage_in_the_middle_is_survived(clip, tmp_path):
    data = bytearray(clip.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    hurt = tmp_path / "hurt.avi"
    hurt.write_bytes(data)
    events = read(hurt)
    times_ms = [event.time_ms for event in events if isinstance(event, Picture)]
    assert times_ms
    assert (np.diff(times_ms) > 0).all()


def test_stop_ends_the_wait_for_a_late_picture(tmp_path):
    slow = write(tmp_path / "slow.avi", n=50)
    source = VideoFileSource(slow, pace=True)
    pictures = iter(source)
    next(pictures)
    source.stop()
    assert list(pictures) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a directory; name one video file"),
        (lambda path: path.touch(), "the file is empty"),
        (lambda path: path.write_bytes(bytes(999)), "not video that can be read"),
        (lambda path: path.write_text("#EXTM3U\nhttp://127.0.0.1:9/x.ts\n"), "not video"),
        (lambda path: path.symlink_to("/dev/null"), "not a regular file"),
    ],
)
def test_what_is_no_video_is_one_line(make, message, tmp_path):
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(SourceError, match=message) as raised:
        VideoFileSource(path, pace=False)
    assert "\n" not in str(raised.value)


def test_a_header_that_would_take_gigabytes_is_refused(tmp_path):
    vast = write_moving_png(tmp_path / "vast")
    data = bytearray(vast.read_bytes())
    data[16:24] = struct.pack(">II", 16_000, 16_000)  # width and height in the IHDR chunk
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    vast.write_bytes(data)
    with pytest.raises(SourceError, match="pictures of 16000 x 16000; make them smaller"):
        VideoFileSource(vast, pace=False)


def test_a_name_is_never_taken_for_a_pattern_or_a_protocol(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, "1.avi")
    for name in ("%d.avi", "file:1.avi", "concat:1.avi", "subfile,,start,0,end,9,,:1.avi"):
        with pytest.raises(SourceError, match="no such file"):
            VideoFileSource(name, pace=False)
    odd = shutil.copy(clip, "concat:%d.avi")
    assert len(read(odd)) == 30


@pytest.mark.parametrize("fps", [0, -1, float("nan"), 1e9])
def test_a_wrong_rate_is_refused(clip, fps):
    with pytest.raises(UsageError, match="it must lie between"):
        VideoFileSource(clip, pace=False, fps=fps)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (np.full((2, 2), 9, np.uint8), [9, 9, 9]),
        (np.full((2, 2, 1), 9, np.uint8), [9, 9, 9]),
        (np.full((2, 2, 3), (1, 2, 3), np.uint8), [3, 2, 1]),
        (np.full((2, 2, 4), (1, 2, 3, 4), np.uint8), [3, 2, 1]),
    ],
)
def test_what_cameras_give_becomes_rgb(frame, expected):
    assert to_rgb(frame, "camera 0")[0, 0].tolist() == expected


@pytest.mark.parametrize(
    "frame",
    [np.zeros((2, 2), np.uint16), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 2), np.uint8)],
)
def test_other_formats_are_refused(frame):
    with pytest.raises(SourceError, match="camera 0: pictures of"):
        to_rgb(frame, "camera 0")


# Times of the container.


@pytest.mark.parametrize("kind", ["mkv", "mp4"])
def test_pictures_that_begin_after_the_sound_have_the_containers_times(kind, tmp_path):
    if kind == "mkv":
        path = matroska(tmp_path / "late.mkv", picture_from_s=5, n_pictures=20, sound_s=7)
    else:
        path = delay_mp4(write(tmp_path / "late.mp4", "mp4v", n=20), 5)
    events = read(path)
    assert [event for event in events if isinstance(event, Gap)] == []
    step_ms = 100 if kind == "mkv" else 40
    assert [picture.time_ms for picture in events] == pytest.approx(
        [5000 + step_ms * n for n in range(20)], abs=1
    )


def test_a_container_whose_clock_begins_later_is_counted_from_there(tmp_path):
    path = matroska(
        tmp_path / "shift.mkv", picture_from_s=7, n_pictures=20, sound_s=4, sound_from_s=5
    )
    assert read(path)[0].time_ms == pytest.approx(2000, abs=1)


@pytest.mark.parametrize("n_pictures", [1, 20])
def test_sound_that_outlasts_the_pictures_is_no_gap(n_pictures, tmp_path):
    path = matroska(tmp_path / "short.mkv", picture_from_s=0, n_pictures=n_pictures, sound_s=9)
    events = read(path)
    assert len(events) == n_pictures
    assert isinstance(events[-1], Picture)


def test_a_cut_matroska_says_what_is_missing(tmp_path):
    path = matroska(tmp_path / "cut.mkv", picture_from_s=0, n_pictures=60, sound_s=6)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *pictures, gap = read(path)
    assert 10 < len(pictures) < 40
    assert gap == Gap(pictures[-1].time_ms + 100, 6000, "damaged file")


def test_subtitles_of_late_pictures_are_at_their_place(tmp_path):
    clip = write_scene(tmp_path / "scene.mp4", codec="mp4v")
    plain = list(es.watch(clip, fast=True))
    late = list(es.watch(delay_mp4(clip, 5), fast=True))
    assert len(plain) == len(late) > 0
    for one, other in zip(plain, late, strict=True):
        assert other.text == one.text
        assert other.start_ms - one.start_ms == pytest.approx(5000, abs=1)
