# SPDX-License-Identifier: Apache-2.0
"""Much happens at once, or the machine is slow: nothing is lost, and comments stay young."""

from types import SimpleNamespace

import pytest
from asked_vlm import Asked, open_stream, write_asked
from marked_scene import STEP_MS, scene
from test_vlm import resident_bytes

from edgestream.events import Comment, Happening, Lag
from edgestream.sources.picture import Picture
from edgestream.vision.governor import Pace
from edgestream.vision.vlm.model import VlmModel

SLOW = Pace(max_tokens=6, interval_ms=200.0)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return VlmModel(write_asked(tmp_path_factory.mktemp("asked") / "q", "qwen3vl"))


class Busy:
    """As a Follower: three things happen in each picture."""

    looked, present, seen = (
        SimpleNamespace(step=SimpleNamespace(time_ms=0.0, alive=[], hidden=[])),
        [],
        (),
    )

    def push(self, picture):
        kinds = ("light-on", "camera-moves", "light-off")
        return [Comment.of(f"Own {kind}.", picture.time_ms, Happening(kind)) for kind in kinds]

    def interrupt(self):
        self.looked = None
        return self.push(Picture(None, 900.0))[:1]


def busy(model, monkeypatch, turn_ms):
    """A stream in whose pictures three things happen, on a machine whose turns take so long."""
    stream = open_stream(model)
    stages = stream.commentator
    stages.follower = Busy()
    asked = Asked(stream)
    clock = SimpleNamespace(ms=0.0)
    answer = stages._answer

    def slow(unit):
        clock.ms += turn_ms
        return answer(unit)

    stages._answer = slow
    monkeypatch.setattr(
        "edgestream.vision.stages.time",
        SimpleNamespace(perf_counter=lambda: clock.ms / 1000),
    )
    return stages, asked


def test_what_does_not_fit_before_the_deadline_is_said_in_the_tellers_words(qwen, monkeypatch):
    stages, asked = busy(qwen, monkeypatch, turn_ms=400.0)
    stages.limit(SLOW, 1000.0)
    events = stages.push(Picture(scene()[0].rgb, 0.0))
    assert [event.text for event in events] == ["Answer 1.", "Answer 2.", "Own light-off."]
    assert [e.happening.kind for e in events] == ["light-on", "camera-moves", "light-off"]
    assert [fact.split(" You")[0] for fact, _ in asked.told] == [
        "Own light-on.",
        "Own camera-moves.",
    ]
    stages.limit(SLOW, 0.0)
    events = stages.push(Picture(scene()[0].rgb, 200.0))
    assert [event.text for event in events] == [
        "Own light-on.", "Own camera-moves.", "Own light-off.",
    ]  # fmt: skip
    assert len(asked.shown) == 2
    stages.limit(SLOW, 5000.0)
    events = stages.push(Picture(scene()[0].rgb, 400.0))
    assert [event.text for event in events] == ["Answer 3.", "Answer 4.", "Answer 5."]


def test_a_turn_costs_what_the_governor_grants(qwen):
    stream = open_stream(qwen)
    stages = stream.commentator
    stages.follower = Busy()
    stages.limit(Pace(max_tokens=2, interval_ms=200.0, picture_tokens=8), 1e9)
    stages.push(Picture(scene()[0].rgb, 0.0))
    assert stages.cost.n_tokens <= 2
    assert stages.counts.rows <= 3 * 8
    assert stages.cost.read_ms > 0
    levers = qwen._levers(qwen.fps)
    assert levers.picture_tokens[0] == 256
    assert levers.interval_ms[0] == 200.0


def test_what_is_held_at_a_gap_is_asked_of_and_not_hurried(qwen, monkeypatch):
    stages, asked = busy(qwen, monkeypatch, turn_ms=400.0)
    stages.limit(SLOW, 0.0)
    stages.push(Picture(scene()[0].rgb, 0.0))
    assert [event.text for event in stages.interrupt()] == ["Answer 1."]
    assert asked.told[0][0] == "Own light-on. You see the whole picture."


def test_a_live_stream_that_is_late_says_what_happened_all_the_same(qwen):
    late = SimpleNamespace(ms=0.0)
    stream = open_stream(qwen, keep_up=True, now_ms=lambda: late.ms)
    asked = Asked(stream)
    events = []
    for picture in scene():
        late.ms = picture.time_ms + 1900.0
        events += stream.push(picture)
    comments = [event for event in events if isinstance(event, Comment)]
    assert comments[0].text == "A red vehicle enters from the left."
    assert all(comment.staleness_ms == 1900.0 for comment in comments)
    assert any(isinstance(event, Lag) for event in events)  # and looks at fewer pictures
    assert asked.told == []


def test_hundreds_of_visits_take_no_more_memory(tmp_path):
    """And the memory's windows are full of them many times over."""
    model = VlmModel(write_asked(tmp_path / "m", "qwen3vl", pictures={"max_rows": 16}))
    stream = open_stream(model, chattiness=1.0)
    pictures = scene()
    n_told, before = 0, 0
    for visit in range(60):
        began_ms = visit * len(pictures) * STEP_MS
        n_told += len(stream.push([Picture(p.rgb, began_ms + p.time_ms) for p in pictures]))
        if visit == 20:
            before = resident_bytes()
    assert resident_bytes() - before < 3_000_000
    assert stream.counts.encoded >= 3 * 59
    assert n_told > 0
