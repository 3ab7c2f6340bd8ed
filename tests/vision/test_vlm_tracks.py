# SPDX-License-Identifier: Apache-2.0
"""A vision-language model is asked once for each thing that happens, and shown that very thing."""

import itertools
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked_scene import HEIGHT, RED, SIDE, WIDTH, RedDetector, corner, red, scene
from test_vlm import LAYOUTS, write_model
from tiny_vlm import TOWERS

from edgestream.errors import ModelError, UsageError
from edgestream.events import Comment, Gap, Happening
from edgestream.library import folders
from edgestream.sources.picture import Picture
from edgestream.vision.governor import Pace
from edgestream.vision.tracked.model import TrackWatcher
from edgestream.vision.vlm import tracked_stages
from edgestream.vision.vlm.model import VlmModel

QUESTION = "What is new?"
KINDS = ["enters", "stops", "moves", "leaves"]
SLOW = Pace(max_tokens=6, interval_ms=200.0)


def write_asked(folder, tower, **tables):
    """A folder whose model is asked about tracks; large parts are not made smaller."""
    policy = {"asks": "tracks"} | tables.pop("policy", {})
    prompt = {"question": QUESTION, "silence": "no reply"}
    pictures = {"max_rows": 256}
    return write_model(
        folder, TOWERS[tower], policy=policy, prompt=prompt, pictures=pictures, **tables
    )


@pytest.fixture(scope="module", params=list(TOWERS))
def model(request, tmp_path_factory):
    return VlmModel(write_asked(tmp_path_factory.mktemp("asked") / "m", request.param))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return VlmModel(write_asked(tmp_path_factory.mktemp("asked") / "q", "qwen3vl"))


def open_stream(model, **options):
    """A stream whose detector finds the red square."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = model.stream(**options)
    stream.commentator.follower.perception.detector = RedDetector()
    return stream


class Asked:
    """What a stream's model is shown and told; its answers are numbered."""

    def __init__(self, stream, answer="Answer {}."):
        self.shown, self.told = [], []
        stages = self.stages = stream.commentator
        tower, turn_after = stages.tower, stages.turn_after

        def push(rgb, max_rows=None):
            self.shown.append(rgb)
            return tower.push(rgb, max_rows)

        def after(facts, question):
            self.told.append((facts, question))
            return turn_after(facts, question)

        decode = iter(itertools.count(1))
        stages.tower = SimpleNamespace(push=push)
        stages.turn_after = after
        stages.tokenizer = SimpleNamespace(decode=lambda tokens: answer.format(next(decode)))


def whole(stream, pictures):
    return [*stream.push(pictures), *stream.finish()]


def own_words(pictures, **options):
    """What the watcher of tracks says of them itself."""
    stream = TrackWatcher(folders.find("nano-watch")).stream(**options)
    stream.commentator.follower.perception.detector = RedDetector()
    return whole(stream, pictures)


def test_it_is_asked_once_for_each_act_and_not_for_each_picture(model):
    pictures = scene(n_still=20)
    plain = own_words(pictures)
    assert [comment.happening.kind for comment in plain] == KINDS
    stream = open_stream(model)
    asked = Asked(stream)
    events = whole(stream, pictures)
    assert len(asked.shown) == len(asked.told) == len(KINDS)
    assert [event.text for event in events] == [f"Answer {i}." for i in (1, 2, 3, 4)]
    for said, own in zip(events, plain, strict=True):
        assert said.happening == own.happening
        assert (said.start_ms, said.picture_ms) == (own.start_ms, own.picture_ms)
    assert stream.counts.pictures == len(pictures)
    assert stream.counts.encoded == len(KINDS)


def test_the_part_that_it_is_shown_is_the_thing_with_some_room(qwen):
    stream = open_stream(qwen)
    asked = Asked(stream)
    pictures = scene(n_still=20)
    events = whole(stream, pictures)
    for part, event in zip(asked.shown, events, strict=True):
        height, width = part.shape[:2]
        x, y = corner(part)
        left, top, right, bottom = event.happening.box
        assert SIDE < height < HEIGHT / 2
        assert width < WIDTH / 2
        at = next(p.rgb for p in pictures if p.time_ms == event.picture_ms)
        if event.happening.kind == "leaves":  # it is in this picture no more
            assert not red(at).any()
            assert red(part).sum() > 0.5 * SIDE**2
            continue
        np.testing.assert_array_equal(
            *(rgb[:, 2:] for rgb in (part, at[y : y + height, x : x + width]))
        )
        assert red(part).sum() == red(at).sum()  # all of it
        assert y < top < bottom < y + height
        assert x <= left < right < x + width


def test_it_is_told_what_is_known_in_plain_words(model):
    stream = open_stream(model)
    asked = Asked(stream)
    events = whole(stream, scene(n_still=20))
    facts = [fact for fact, _ in asked.told]
    assert {question for _, question in asked.told} == {QUESTION}
    seen = "You see a vehicle, mainly red, at the left"
    assert facts[0].startswith(f"A red vehicle enters from the left. {seen}. First seen ")
    assert facts[1].startswith("The vehicle stops. You see a vehicle, mainly red, in the middle.")
    assert facts[2].startswith("The vehicle moves to the right. ")
    for event, fact in zip(events[1:], facts[1:], strict=True):
        seconds = round((event.picture_ms - events[0].start_ms) / 1000)
        assert f"First seen {seconds} seconds ago." in fact
    assert "at the right, as it was last seen." in facts[3]
    assert all(fact.endswith("Nothing else is there.") for fact in facts)
    turn = stream.commentator.turn_after(facts[0], QUESTION)
    text = model.tokenizer.decode(list(turn))
    assert f"{facts[0]}\n{QUESTION}" in text


def test_what_concerns_the_view_is_shown_whole(qwen):
    stream = open_stream(qwen)
    asked = Asked(stream)
    bright = [Picture(p.rgb, p.time_ms) for p in scene()[:8]]
    dark = [Picture(p.rgb // 3, 1600.0 + p.time_ms) for p in bright]
    events = whole(stream, [*bright, *dark])
    assert [event.happening.kind for event in events] == ["light-off"]
    assert asked.told[0][0] == (
        "The light goes off. You see the whole picture. Nothing is followed in it."
    )
    shown = asked.shown[0].astype(int)
    assert shown.shape[1] / shown.shape[0] == pytest.approx(WIDTH / HEIGHT, rel=0.02)
    assert abs(shown.mean() - dark[-1].rgb.mean()) < 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_at_once_or_one_by_one_says_the_same(model, layout):
    pictures = scene()
    stream = open_stream(model, layout=layout)
    together = whole(stream, pictures)
    assert any(isinstance(event, Comment) for event in together)
    stream.reset()
    apart = [event for picture in pictures for event in stream.push(picture)]
    assert texts([*apart, *stream.finish()]) == texts(together)


def texts(events):
    """All but the number of the track, which goes on after a reset."""
    return [(e.text, e.start_ms, e.picture_ms, e.happening.kind, e.happening.box) for e in events]


@settings(max_examples=6)
@given(cuts=st.lists(st.integers(0, len(scene())), max_size=5))
def test_any_cutting_says_the_same(qwen, cuts):
    pictures = scene()
    expected = whole(open_stream(qwen), pictures)
    stream = open_stream(qwen)
    events = []
    for piece in np.split(np.arange(len(pictures)), sorted(cuts)):
        events += stream.push([pictures[i] for i in piece])
    assert [*events, *stream.finish()] == expected


class Busy:
    """As a Follower: three things happen in each picture."""

    looked, present, seen = SimpleNamespace(step=SimpleNamespace(time_ms=0.0, alive=[])), [], ()

    def push(self, picture):
        kinds = ("light-on", "camera-moves", "light-off")
        return [Comment.of(f"Own {kind}.", picture.time_ms, Happening(kind)) for kind in kinds]

    def reset(self):
        pass


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
        tracked_stages, "time", SimpleNamespace(perf_counter=lambda: clock.ms / 1000)
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


@pytest.mark.parametrize("answer", ["no reply", "No reply.", "", "..."])
def test_silence_is_not_said(qwen, answer):
    stream = open_stream(qwen)
    asked = Asked(stream, answer)
    stages = stream.commentator
    stages.loop = SimpleNamespace(
        push_unit=lambda *_: (np.zeros(1, np.int32), None, None),
        cut_off=False, cut_turn=lambda: None, read_ms=0.0,
    )  # fmt: skip
    assert stream.push(scene()) == []
    assert len(asked.told) == 3


def test_a_gap_ends_what_is_followed(qwen):
    stream = open_stream(qwen)
    asked = Asked(stream)
    pictures = scene()
    stream.push(pictures[:22])
    assert len(stream.seen) == 1
    gap = Gap(pictures[22].time_ms, pictures[30].time_ms, "camera lost")
    assert stream.lose(gap)[-1] == gap
    assert stream.seen == ()
    stream.push(pictures[31:])
    assert len(asked.shown) >= 1


def test_what_is_followed_has_boxes(qwen):
    stream = open_stream(qwen)
    stream.push(scene()[:25])
    (seen,) = stream.seen
    assert (seen.label, seen.colour) == ("vehicle", "red")
    left, top, right, bottom = seen.box
    assert scene()[24].rgb[(top + bottom) // 2, (left + right) // 2].tolist() == list(RED)


def test_chattiness_is_the_tellers(qwen):
    quiet, chatty = open_stream(qwen, chattiness=0.0), open_stream(qwen, chattiness=1.0)
    few, many = Asked(quiet), Asked(chatty)
    pictures = scene(n_still=20)
    assert [e.happening.kind for e in whole(quiet, pictures)] == ["enters", "leaves"]
    assert [e.happening.kind for e in whole(chatty, pictures)] == KINDS
    assert (len(few.told), len(many.told)) == (2, 4)


def test_questions_change_nothing_and_show_what_is_in_view(model):
    pictures = scene()
    plain, asked = open_stream(model), open_stream(model)
    early = asked.ask("Who?")()
    events, answers = [], []
    for i, picture in enumerate(pictures):
        events += asked.push(picture)
        if i % 5 == 0:
            answers.append(asked.ask("Who?")())
    assert [*events, *asked.finish()] == whole(plain, pictures)
    assert len({early, *answers}) > 2  # it knows what came
    with pytest.raises(UsageError, match="a question of"):
        asked.ask("what " * 100)


def test_a_question_is_asked_with_the_newest_picture_and_what_is_in_it(model):
    stream = open_stream(model)
    pictures = scene()
    stream.push(pictures[:24])
    spy = Asked(stream)
    stream.ask("Who?")()
    known, question = spy.told[0]
    assert question == "Who?"
    assert known.startswith("In view now: a vehicle, mainly red, in the middle, for ")
    shown = spy.shown[0]
    assert shown.shape[1] / shown.shape[0] == pytest.approx(WIDTH / HEIGHT, rel=0.02)
    assert red(shown).mean() == pytest.approx(red(pictures[23].rgb).mean(), rel=0.3)
    quiet = open_stream(model)
    quiet.push(pictures[:8])
    spy = Asked(quiet)
    quiet.ask("Who?")()
    assert spy.told == [("Nothing is followed in the picture now.", "Who?")]


def test_without_what_follows_things_there_is_one_line(tmp_path, monkeypatch):
    folder = write_asked(tmp_path / "m", "smolvlm")
    monkeypatch.setattr(folders, "ROOTS", [])
    with pytest.raises(ModelError, match="needs nano-watch, which ships with edgestream") as caught:
        VlmModel(folder)
    assert "\n" not in str(caught.value)
    assert "model.toml" in str(caught.value)
    assert 'set it to "pictures"' in str(caught.value)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"asks": "sounds"}, "policy.asks must be one of tracks, pictures"),
        ({"continues": True}, 'policy.continues = true needs policy.asks = "pictures"'),
    ],
)
def test_a_manifest_that_asks_otherwise_is_refused(tmp_path, policy, said):
    with pytest.raises(ModelError, match=said):
        VlmModel(write_asked(tmp_path / "m", "smolvlm", policy=policy))


def test_a_picture_far_longer_than_wide_is_refused_at_once(qwen):
    with pytest.raises(UsageError, match="one side may be 16 times the other"):
        open_stream(qwen).push(Picture(np.zeros((4, 200, 3), np.uint8), 0.0))
