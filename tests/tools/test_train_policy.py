# SPDX-License-Identifier: Apache-2.0
"""The training of a policy head: gradients, what it learns from known traces, real traces."""

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from edgestream.bench.policy.run import PolicyRun, encode
from edgestream.policy import FEATURES, Action, Observation, read_head, write_head
from edgestream.scoring.clips import BUNDLED, read_clips
from edgestream.speech.concatenated.model import load

TOOL = Path(__file__).resolve().parents[2] / "tools" / "train" / "policy" / "train_policy.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("train_policy", TOOL)
    sys.modules["train_policy"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_gradients_are_those_of_finite_differences(tool):
    rng = np.random.default_rng(1)
    net = tool.Perceptron.start(5, rng)
    net.w2 += rng.normal(size=net.w2.shape)
    x, upstream = rng.normal(size=(7, 5)), rng.normal(size=7)
    for parameter, gradient in zip(net.parameters(), net.gradients(x, upstream), strict=True):
        for i in np.ndindex(parameter.shape):
            values = []
            for shift in (1e-6, -1e-6):
                parameter[i] += shift
                values.append(upstream @ net.logits(x))
                parameter[i] -= shift
            assert gradient[i] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def known_traces(tool, n=600):
    """Writing at once goes wrong where the margin is small, whatever else is seen."""
    rng = np.random.default_rng(2)
    features = rng.normal(size=(n, len(FEATURES)))
    features[:, FEATURES.index("margin")] = margin = rng.uniform(size=n)
    return tool.Traces(features.tolist(), (margin < 0.4).astype(int).tolist(), [1] * n)


def test_it_learns_what_the_traces_say_and_by_the_weight(tool, tmp_path):
    trainer = tool.Trainer(known_traces(tool), 0.08)
    for n in range(1, tool.N_STEPS + 1):
        trainer.step(n)
    write_head(trainer.head("a test", 1), tmp_path / "head.toml")
    head = read_head(tmp_path / "head.toml")

    def wrote(weight, margin):
        seen = Observation()
        seen.probability, seen.margin = 0.5, margin
        return head.policy(weight).decide(seen) == Action.WRITE

    # An error costs 1, a step of 80 ms costs 0.008 to 0.8: it is never worth it here.
    assert not wrote(0.1, 0.05)
    assert not wrote(1.0, 0.05)
    assert wrote(1.0, 0.95)
    assert wrote(10.0, 0.95)


def test_traces_tell_what_writing_one_slot_changes(tool):
    model = load("synthetic-en")
    clip = encode(model, read_clips(BUNDLED)[:1])[0]
    script, traces = tool.Script(), tool.Traces()
    run = PolicyRun(model, script, 1, tool.DEFERRALS)
    traces.add(run, script, clip)
    assert len(traces.errors) == len(traces.saved_steps) == len(traces.features) > 20
    assert all(math.isfinite(x) for row in traces.features for x in row)
    assert sum(e != 0 for e in traces.errors) <= traces.n_disputed
    # Written at once where the runs agree, nothing changes but the time.
    script.start([])
    deferred = run.decode(clip)
    assert {word.waited for word in deferred} == {1}
    agreed = set(script.features) - set(script.disputed())
    script.start(agreed)
    at_once = run.decode(clip)
    assert [word.text for word in at_once] == [word.text for word in deferred]
    assert {word.waited for word in at_once} >= {0}
