# SPDX-License-Identifier: Apache-2.0
"""A vision-language model is asked once for each thing that happens, and shown that very thing."""

from types import SimpleNamespace

import numpy as np
import pytest
from asked_vlm import QUESTION, Asked, open_stream, whole, write_asked
from hypothesis import given, settings
from hypothesis import strategies as st
from marked_scene import HEIGHT, RED, SIDE, WIDTH, RedDetector, corner, red, scene
from test_vlm import LAYOUTS, write_model
from tiny_vlm import TOWERS

from edgestream.errors import ModelError, UsageError
from edgestream.events import Comment, Gap
from edgestream.library import folders
from edgestream.sources.picture import Picture
from edgestream.vision.tracked.model import TrackWatcher
from edgestream.vision.vlm.model import VlmModel
from edgestream.vision.zones import read_zones

KINDS = ["enters", "stops", "moves", "leaves"]


@pytest.fixture(scope="module", params=list(TOWERS))
def model(request, tmp_path_factory):
    return VlmModel(write_asked(tmp_path_factory.mktemp("asked") / "m", request.param))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return VlmModel(write_asked(tmp_path_factory.mktemp("asked") / "q", "qwen3vl"))


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
    pictures = scene(n_still=20)
    before = stream.push(pictures[:25])
    assert len(stream.seen) == 1
    gap = Gap(pictures[24].time_ms, pictures[30].time_ms, "camera lost")
    assert stream.lose(gap)[-1] == gap
    assert stream.seen == ()
    after = stream.push(pictures[31:])
    assert [e.happening.kind for e in [*before, *after]] == ["enters", "leaves"]
    assert asked.told[1][0].startswith("A red vehicle that was there leaves to the right. ")


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


def test_zones_and_classes_are_the_tellers(qwen, tmp_path):
    (tmp_path / "z.toml").write_text(
        """[[zone]]\nname = "yard"\npolygon = [[0.3, 0], [0.7, 0], [0.7, 1], [0.3, 1]]\n"""
    )
    stream = open_stream(qwen, zones=read_zones(tmp_path / "z.toml"))
    asked = Asked(stream)
    events = whole(stream, scene())
    assert "yard" in {event.happening.zone for event in events}
    assert any("the yard" in known for known, _ in asked.told)
    assert whole(open_stream(qwen, only=("person",)), scene()) == []


def test_a_model_that_is_asked_with_each_picture_knows_no_zones(tmp_path):
    model = VlmModel(write_model(tmp_path / "m", TOWERS["smolvlm"]))
    with pytest.raises(UsageError, match="tiny: takes no only; leave it out"):
        model.stream(only=("person",))


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
