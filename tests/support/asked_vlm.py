# SPDX-License-Identifier: Apache-2.0
"""A small random vision-language model that is asked about a red square, and what it was asked."""

import itertools
import warnings
from types import SimpleNamespace

from marked_scene import RedDetector
from test_vlm import write_model
from tiny_vlm import TOWERS

QUESTION = "What is new?"


def write_asked(folder, tower, **tables):
    """A folder whose model is asked about tracks; large parts are not made smaller."""
    policy = {"asks": "tracks"} | tables.pop("policy", {})
    prompt = {"question": QUESTION, "silence": "no reply"}
    pictures = {"max_rows": 256} | tables.pop("pictures", {})
    return write_model(
        folder, TOWERS[tower], policy=policy, prompt=prompt, pictures=pictures, **tables
    )


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
