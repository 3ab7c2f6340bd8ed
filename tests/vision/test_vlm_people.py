# SPDX-License-Identifier: Apache-2.0
"""A vision-language model over a real camera's clip, with the detector that ships. What the tiny
model says has no meaning; when it is asked, and about what, has."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_vlm import write_model
from tiny_vlm import TOWERS

import edgestream as es
from edgestream.events import Answer, Comment

CLIP = Path(__file__).resolve().parents[3] / "shared" / "video" / "bottle_320.mp4"
pytestmark = pytest.mark.skipif(not CLIP.exists(), reason=f"no clip {CLIP}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    policy = {"asks": "tracks"}
    return write_model(tmp_path_factory.mktemp("vlm") / "m", TOWERS["qwen3vl"], policy=policy)


def happenings(events):
    return [(e.happening, e.start_ms, e.picture_ms) for e in events if isinstance(e, Comment)]


def test_it_tells_of_what_the_watcher_of_tracks_tells(folder):
    own = list(es.watch(CLIP, fast=True))
    session = es.watch(CLIP, model=folder, fast=True, questions=["What is there?"])
    session.reading._asking._questions._reader.join()
    events = list(session)
    counts = session.stream.counts
    told = happenings(events)
    assert len(told) >= 3
    assert set(told) <= set(happenings(own))  # silence may leave some out
    assert counts.encoded == len(happenings(own))
    assert counts.encoded < counts.pictures / 4
    assert len([event for event in events if isinstance(event, Answer)]) == 1


def test_the_command_writes_what_happened_beside_the_words(folder):
    command = [sys.executable, "-m", "edgestream", "watch", str(CLIP), "-m", str(folder)]
    options = ["--fast", "--format", "jsonl", "--chattiness", "0.3"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    comments = [json.loads(line) for line in done.stdout.splitlines()]
    assert comments
    assert {comment["kind"] for comment in comments} <= {"enters", "leaves"}
