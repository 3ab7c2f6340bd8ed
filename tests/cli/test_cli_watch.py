# SPDX-License-Identifier: Apache-2.0
"""`edgestream watch` as a user runs it: real processes, video files, a camera on loopback."""

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from datetime import datetime

import pytest
from drawn_scene import BLUE, VISIT_S, scene, write_scene
from loopback_camera import NetworkCamera
from subtitle_parsers import parse_srt, parse_vtt
from test_cli import COMMAND, on_a_terminal, run
from test_outlets import all_shown, with_a_terminal
from test_watch import STORY

from edgestream.sources import cameras
from edgestream.sources.cameras import CAPABILITY, CAPTURES, OF_THE_DEVICE, camera_name

PATIENCE_S = 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("clip") / "scene.mp4", codec="mp4v")


@pytest.fixture(scope="module")
def expected(clip):
    return run("watch", clip, "--fast").stdout


def deed(line):
    """What a thing did, without what it is called."""
    return re.fullmatch(r"(?:Something red|The red thing) (.+)\.", line)[1]


def said(lines):
    """What lines of text tell, without the time before each."""
    return [re.fullmatch(r"\d:\d\d:\d\d  (.+)", line)[1] for line in lines.splitlines()]


def test_text_is_a_line_for_each_comment_on_stdout_alone(clip, expected):
    done = run("watch", clip, "--fast", "--stats")
    assert (done.returncode, done.stdout) == (0, expected)
    lines = said(expected)
    assert [deed(line) for line in lines] == STORY
    found = re.search(r"before the encoder (\d+) %, after it (\d+) %;", done.stderr)
    assert 0 <= int(found[1]) < 100
    assert f"{len(lines)} comments" in done.stderr
    rate = re.search(r"pictures \(([\d.]+) a second", done.stderr)[1]
    assert float(rate) == pytest.approx(5, abs=0.2)
    assert "staleness" in done.stderr


def test_jsonl_has_picture_time_and_staleness(clip, expected):
    done = run("watch", clip, "--fast", "--format", "jsonl")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["text"] for event in events] == said(expected)
    assert {event["type"] for event in events} == {"final"}
    assert all(0 < event["picture_ms"] < 1000 * VISIT_S for event in events)
    assert {event["staleness_ms"] for event in events} == {0.0}  # the clock of a fast file stands


@pytest.mark.parametrize(("format", "parse"), [("srt", parse_srt), ("vtt", parse_vtt)])
def test_subtitles_hold_the_words_of_stdout(format, parse, clip, tmp_path, expected):
    path = tmp_path / f"comments.{format}"
    done = run("watch", clip, "--fast", "--format", format, "--output", path)
    assert (done.returncode, done.stdout) == (0, "")
    cues = parse(path.read_text())
    texts = [" ".join(lines) for _, _, lines in cues]
    for shown, comment in zip(texts, said(expected), strict=True):
        assert shown.endswith(comment)  # below the one before, if that is still read
    jsonl = run("watch", clip, "--fast", "--format", "jsonl").stdout
    starts_ms = [json.loads(line)["start_ms"] for line in jsonl.splitlines()]
    assert [start_ms for start_ms, _, _ in cues] == starts_ms


def test_more_pictures_than_the_model_knows_are_its_own(clip, expected):
    done = run("watch", clip, "--fast", "--fps", "30", "--stats")
    assert (done.returncode, done.stdout) == (0, expected)
    rate = re.search(r"pictures \(([\d.]+) a second", done.stderr)[1]
    assert float(rate) == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize(
    ("name", "options", "parse"),
    [
        ("clip.srt", [], parse_srt),
        ("clip.VTT", [], parse_vtt),
        ("clip.jsonl", [], lambda text: [json.loads(line) for line in text.splitlines()]),
        ("clip.text", [], said),
        ("clip.comments", [], said),
        ("clip.srt", ["--format", "vtt"], parse_vtt),
    ],
)
def test_the_name_of_the_file_says_how_it_is_written(name, options, parse, clip, tmp_path):
    done = run("watch", clip, "--fast", "-o", tmp_path / name, *options)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(parse((tmp_path / name).read_text())) == len(STORY)


def test_a_terminal_sees_comments_above_the_status(clip, expected):
    code, shown = on_a_terminal("watch", clip, "--fast")
    assert code == 0
    shown = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert all(line in shown for line in expected.splitlines())
    assert re.search(r"▮+▯* +\d+ % new, \d\.\d pictures/s", shown)


def test_a_still_noisy_file_gives_nothing(tmp_path):
    path = write_scene(tmp_path / "still.avi", colour=None, seconds=20, fps=10)
    done = run("watch", path, "--fast", "--stats")
    assert (done.returncode, done.stdout) == (0, "")
    assert int(re.search(r"before the encoder (\d+) %", done.stderr)[1]) > 50


def test_a_file_that_ends_early_says_so_and_what_was_seen(clip, tmp_path):
    whole = write_scene(tmp_path / "whole.avi", colour=BLUE, seed=3).read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    done = run("watch", path, "--fast")
    assert done.returncode == 0
    assert "Something blue enters from the left." in done.stdout
    assert re.fullmatch(r"lost: [\d.]+ s to [\d.]+ s, damaged file\n", done.stderr)


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        (["nothing.mp4"], 2, "no such file"),
        ([__file__], 2, "not video"),
        (["/dev/video77"], 1, "cannot be opened"),
        (["--fast"], 2, "only a file can be read fast"),
        (["CLIP", "--size", "640x480"], 2, "can only be asked of a camera"),
        (["--size", "640"], 2, "as 640x480"),
        (["CLIP", "--fps", "0"], 2, "fps is 0"),
        (["CLIP", "--chattiness", "2"], 2, "between 0 and 1"),
        (["CLIP", "--prompt", "be kind"], 2, "takes no prompt"),
        (["CLIP", "-m", "synthetic-en"], 2, "edgestream listen"),
        (["CLIP", "-m", "nothing"], 2, "tiny-watch"),
        (["CLIP", "-o", "/nothing/here.srt"], 1, "/nothing/here.srt"),
        (["CLIP", "-o", "CLIP"], 2, "is the input as well"),
        (["http://127.0.0.1:9/none"], 1, "check the address"),
        (["fakesrc ! appsink"], 2, "GStreamer"),
    ],
)
def test_wrong_use_is_one_line_and_an_exit_code(args, code, reason, clip):
    before = clip.read_bytes()
    done = run("watch", *(str(clip) if arg == "CLIP" else arg for arg in args))
    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert reason in done.stderr
    assert clip.read_bytes() == before


def started(*args):
    return subprocess.Popen(
        [*COMMAND, "watch", *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd="/",
    )  # fmt: skip


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_input_and_the_file_is_whole(ending, clip, tmp_path):
    path = tmp_path / "comments.srt"
    running = started(clip, "--format", "srt", "-o", path)  # at its own pace
    begun_s = time.monotonic()
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < begun_s + PATIENCE_S
        time.sleep(0.05)
    running.send_signal(ending)
    out, err = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, out, err) == (0, "", "")
    assert 1 <= len(parse_srt(path.read_text())) <= len(STORY)


def test_a_camera_that_is_stopped_and_started_again_is_watched_on():
    visit = [picture.rgb for picture in scene()]
    with NetworkCamera(pictures=visit) as first:
        running = started(first.url, "--format", "jsonl")
        events = [json.loads(running.stdout.readline())]
    with NetworkCamera(port=first.server_port, pictures=visit):
        kinds = ["final"]
        while "gap" not in kinds or kinds[-1] != "final":  # a comment that came after the gap
            events.append(json.loads(running.stdout.readline()))
            kinds = [event["type"] for event in events]
        running.send_signal(signal.SIGINT)
        rest, err = running.communicate(timeout=PATIENCE_S)
    events += map(json.loads, rest.splitlines())
    assert (running.returncode, err) == (0, "")
    (at,) = (n for n, event in enumerate(events) if event["type"] == "gap")
    notices = [event for event in events if event["type"] == "notice"]
    assert events[at]["reason"] == "camera lost"
    assert {event["text"] for event in notices} <= {"camera lost, reconnecting"}
    assert len(notices) <= 1  # none where it was back before that was noticed
    comments = [event for event in events if event["type"] == "final"]
    assert all(0 < comment["staleness_ms"] < 1000 * PATIENCE_S for comment in comments)
    times = [datetime.fromisoformat(comment["time"]) for comment in comments]
    assert times == sorted(times)
    for told in (events[:at], events[at + 1 :]):
        assert any("thing" in event.get("text", "") for event in told)


def test_a_lost_camera_is_told_once_and_counted_on_the_display():
    visit = [picture.rgb for picture in scene()]
    with NetworkCamera(pictures=visit) as first:
        process, main = with_a_terminal("watch", first.url)
        shown = read_until(main, "enters")
    shown += read_until(main, "reconnecting, 3 s")
    with NetworkCamera(port=first.server_port, pictures=visit):
        shown += read_until(main, "1 gap")
        process.send_signal(signal.SIGINT)
        all_shown(main)
    assert process.wait(timeout=PATIENCE_S) == 0
    assert "reconnecting, 2 s" in shown
    assert "gap" not in shown[: shown.index("reconnecting, 3 s")]


@pytest.mark.parametrize("comes_back", [True, False])
def test_without_a_display_a_loss_is_a_line_and_its_end_another(comes_back):
    visit = [picture.rgb for picture in scene()]
    with NetworkCamera(pictures=visit) as first:
        running = started(first.url)
        assert "enters" in running.stdout.readline()
    lost = running.stderr.readline()
    assert re.fullmatch(r"[\d.]+ s: camera lost, reconnecting\n", lost)
    if comes_back:
        with NetworkCamera(port=first.server_port, pictures=visit):
            back = running.stderr.readline()
            running.send_signal(signal.SIGINT)
            _, rest = running.communicate(timeout=PATIENCE_S)
        assert re.fullmatch(r"[\d.]+ s: back; [\d.]+ s were lost\n", back)
        assert rest == ""
    else:
        running.send_signal(signal.SIGINT)
        _, rest = running.communicate(timeout=PATIENCE_S)
        assert re.fullmatch(r"lost: [\d.]+ s to [\d.]+ s, camera lost\n", rest)
    assert running.returncode == 0


def read_until(main, text):
    """What a terminal shows until it shows the text, without colours."""
    seen, begun_s = "", time.monotonic()
    while text not in seen:
        assert time.monotonic() < begun_s + PATIENCE_S, seen
        seen += re.sub(r"\x1b\[[\d;]*m", "", os.read(main, 65536).decode("utf-8", "replace"))
    return seen


# Cameras of this machine.


def capability(card, of_card, of_node):
    return CAPABILITY.pack(b"uvcvideo", card, b"usb-1", 0x60000, of_card, of_node)


def test_nodes_that_give_no_pictures_are_not_cameras():
    assert camera_name(capability(b"Desk Cam\0junk", CAPTURES | OF_THE_DEVICE, 1)) == "Desk Cam"
    metadata = 0x00A00000
    assert camera_name(capability(b"Desk Cam", 1 | OF_THE_DEVICE, metadata)) is None
    assert camera_name(capability(b"old\x1b[2J", 1, 0)) == "old[2J"
    assert camera_name(capability(b"", 1, 0)) == "unnamed"
    assert struct.calcsize(CAPABILITY.format) == 104


def test_what_only_looks_like_a_camera_is_not_listed(tmp_path, monkeypatch):
    (tmp_path / "video0").write_text("a file")
    (tmp_path / "video-old").mkdir()
    monkeypatch.setattr(cameras, "DEVICES", tmp_path)
    assert cameras.list_cameras() == []
    cards = {"video10": b"second", "video2": b"first"}
    for name in cards:
        (tmp_path / name).touch()
    monkeypatch.setattr(
        cameras,
        "_ask",
        lambda path: capability(cards[path.name], 1, 0) if path.name in cards else None,
    )
    assert [(c.index, c.name) for c in cameras.list_cameras()] == [(2, "first"), (10, "second")]


@pytest.mark.skipif(bool(shutil.which("v4l2-ctl")), reason="may have cameras")
def test_without_cameras_the_list_says_so():
    done = run("watch", "--list-cameras")
    assert done.returncode == 0
    assert done.stdout or "no camera was found" in done.stderr


def test_the_model_is_listed_and_weighed():
    told = run("models", "info", "tiny-watch").stdout
    assert re.search(r"family: +commentator", told)
    assert re.search(r"each 200 ms of pictures", told)
    assert run("models", "path", "tiny-watch").stdout.strip().endswith("tiny-watch")


def test_listening_loads_nothing_of_watching():
    code = (
        "import edgestream.cli.main, edgestream.speech.listen, sys;"
        "print(sorted({'cv2', 'pygame', 'edgestream.vision.watch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert (done.stdout, done.stderr) == ("[]\n", "")
