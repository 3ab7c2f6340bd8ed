# SPDX-License-Identifier: Apache-2.0
"""Questions to a model that follows things: it is told what is in view, and sees it."""

import pytest
from asked_vlm import Asked, open_stream, whole, write_asked
from marked_scene import HEIGHT, WIDTH, red, scene
from tiny_vlm import TOWERS

from edgestream.errors import UsageError
from edgestream.vision.vlm.model import VlmModel


@pytest.fixture(scope="module", params=list(TOWERS))
def model(request, tmp_path_factory):
    return VlmModel(write_asked(tmp_path_factory.mktemp("asked") / "m", request.param))


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
