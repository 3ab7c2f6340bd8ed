# SPDX-License-Identifier: Apache-2.0
"""Questions beside a commentary: answered one by one, in order, without delaying it."""

import queue
import subprocess
import sys
import threading
import time

import pytest
from drawn_scene import write_scene
from test_vlm import shown, write_model
from tiny_vlm import TOWERS

import edgestream as es
from edgestream.errors import UsageError
from edgestream.events import Answer, Comment
from edgestream.sources.picture import Picture
from edgestream.vision.asking import AskedSession, Asking
from edgestream.vision.vlm.model import VlmModel

WAIT_S = 60.0


class Stream:
    """Says which picture it saw; answers with what it knew when it was asked."""

    def __init__(self):
        self.seen = 0
        self.forks = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def heard_ms(self):
        return float(self.seen)

    def take(self, picture):
        self.seen += 1
        return [Comment.of(f"picture {self.seen}", picture.time_ms)]

    def ask(self, question):
        if len(question) > 40:
            raise UsageError("the question is too long")
        self.forks += 1
        assert self.forks == 1, "two forks at once"
        known = self.seen

        def answer():
            assert self.may_answer.wait(WAIT_S)
            self.forks -= 1
            return f"{question}: {known}"

        return answer

    def finish(self):
        return []


class Source:
    """Pictures, and after some of them a question that has surely been read before the next."""

    live, name, behind_ms, skipped, now_ms = False, "made", 0.0, 0, 0.0

    def __init__(self, n, asked):
        self.n, self.asked = n, asked
        self.lines = queue.Queue()
        self.session = None

    def questions(self):
        while (line := self.lines.get()) is not None:
            yield line

    def __iter__(self):
        for i in range(self.n):
            for question in self.asked.get(i, []):
                self.lines.put(question)
                self.wait_until_read()
            yield Picture(None, float(i))
        self.lines.put(None)

    def wait_until_read(self):
        while not self.lines.empty():
            time.sleep(0.001)

    def stop(self):
        pass

    def close(self):
        pass


def run(n, asked):
    stream, source = Stream(), Source(n, asked)
    return list(AskedSession(source, stream, source.questions()))


def test_the_commentary_is_the_same_with_questions_and_without():
    plain, asked = run(30, {}), run(30, {3: ["who?"], 4: ["", "where?\n"], 20: ["why?", "how?"]})
    assert [event for event in asked if isinstance(event, Comment)] == plain
    answers = [event for event in asked if isinstance(event, Answer)]
    assert [answer.question for answer in answers] == ["who?", "where?", "why?", "how?"]
    for answer in answers:
        assert answer.text == f"{answer.question}: {answer.time_ms:.0f}"
    assert answers[0].time_ms >= 3
    assert answers[2].time_ms >= 20


def test_a_question_that_cannot_be_answered_ends_nothing():
    answers = [event for event in run(10, {2: ["long " * 20]}) if isinstance(event, Answer)]
    assert [answer.text for answer in answers] == ["the question is too long"]


def test_an_answer_is_not_waited_for_while_pictures_come():
    stream = Stream()
    stream.may_answer.clear()
    asking = Asking(stream, ["what?", "else?"])
    asking._questions._reader.join(WAIT_S)
    assert [asking.push() for _ in range(5)] == [[]] * 5
    stream.may_answer.set()
    assert [answer.question for answer in asking.finish()] == ["what?", "else?"]
    assert asking.finish() == []
    asking.close()


@pytest.mark.parametrize("family", list(TOWERS))
def test_a_vision_language_model_answers_aside(family, tmp_path):
    """Questions after every picture change nothing of what is said or remembered."""
    decoder = {"text_window": 128}
    model = VlmModel(write_model(tmp_path / family, TOWERS[family], decoder=decoder))
    plain, asked = model.stream(chattiness=1.0), model.stream(chattiness=1.0)
    early = asked.ask("Who is there?")()  # before anything was seen
    expected, events, answers = [], [], []
    for picture in shown(12):
        expected += plain.push(picture)
        events += asked.push(picture)
        answers.append(asked.ask("Who is there?")())
    assert [*events, *asked.finish()] == [*expected, *plain.finish()]
    assert any(isinstance(event, Comment) for event in events)
    assert len({early, *answers}) > 2  # it knows what came
    assert model.stream(chattiness=1.0).ask("Who is there?")() == early
    with pytest.raises(UsageError, match="a question of"):
        asked.ask("what " * 100)


def test_a_session_over_a_vision_language_model_takes_questions(tmp_path):
    folder = write_model(tmp_path / "vlm", TOWERS["smolvlm"])
    video = write_scene(tmp_path / "scene.avi", seconds=6)
    plain = list(es.watch(video, model=folder, fast=True))
    session = es.watch(video, model=folder, fast=True, questions=["What now?"])
    session.reading._asking._questions._reader.join(WAIT_S)
    events = list(session)
    assert [event for event in events if not isinstance(event, Answer)] == plain
    answers = [event for event in events if isinstance(event, Answer)]
    assert [answer.question for answer in answers] == ["What now?"]
    assert answers[0].text


def test_other_layouts_cannot_be_asked(tmp_path):
    model = VlmModel(write_model(tmp_path / "vlm", TOWERS["smolvlm"], decoder={"layout": "group"}))
    assert not model.answers
    with pytest.warns(UserWarning, match="layout"):
        stream = model.stream()
    with pytest.raises(UsageError, match="interleaved"):
        stream.ask("what?")


def test_the_built_in_commentator_refuses_to_be_asked(tmp_path):
    video = write_scene(tmp_path / "scene.avi", seconds=1)
    with pytest.raises(UsageError, match="answers no questions"):
        es.watch(video, questions=["what?"])
    with pytest.raises(UsageError, match="answers no questions"):
        es.load_watcher("tiny-watch").stream().ask("what?")
    command = [sys.executable, "-m", "edgestream", "watch", str(video), "--ask"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, input="what?\n")
    assert done.returncode == 2
    assert done.stderr == "edgestream: nano-watch: answers no questions; leave them (--ask) out\n"
