# SPDX-License-Identifier: Apache-2.0
"""A ring that follows another is its fork, without taking memory."""

import numpy as np
import pytest
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

SHAPE = TinyShape(n_embd=64, n_ff=64, n_heads=4, n_kv_heads=2, n_vocab=40)
MEMORIES = {
    "one region": {"window": 12},
    "one clock": {"window": [("a", 9), ("b", 5)]},
    "grouped": {"window": [("a", 9), ("b", 5)], "layout": "grouped", "gap": 6},
    "heavy-hitter": {"window": 48, "retention": "heavy-hitter"},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, SHAPE, random_weights(SHAPE))))


def rows(model, n, seed):
    tokens = np.random.default_rng(seed).integers(0, SHAPE.n_vocab, n)
    return np.stack([model.token_embedding(int(token)) for token in tokens])


def ring(model, memory="one region", **options):
    return RingDecoder(model, **({"n_sinks": 2, "max_rows": 8} | MEMORIES[memory] | options))


def step(decoder, model, seed):
    regions = range(decoder.n_regions)
    groups = [(region, rows(model, 2 + region, seed + region)) for region in regions]
    return decoder.step_groups(groups, logits="every")


@pytest.mark.parametrize("memory", MEMORIES)
def test_it_goes_on_as_a_fork_does_again_and_again(model, memory):
    first, other = ring(model, memory), ring(model, memory)
    first.step_groups([(0, rows(model, 3, 99))], logits="none")
    for seed in range(0, 60, 5):  # past several laps
        step(first, model, seed)
        other.follow(first)
        fork = first.fork()
        for again in range(3):
            np.testing.assert_array_equal(
                step(other, model, 1000 + seed + again), step(fork, model, 1000 + seed + again)
            )
        assert other.pos == fork.pos


def test_what_it_follows_sees_nothing_of_it(model):
    first, alone, other = (ring(model) for _ in range(3))
    for seed in range(30):
        other.follow(first)
        step(other, model, 500 + seed)
        np.testing.assert_array_equal(step(first, model, seed), step(alone, model, seed))


def test_another_memory_or_model_cannot_be_followed(model, tmp_path):
    path = write_gguf(tmp_path / "other.gguf", SHAPE, random_weights(SHAPE, seed=1))
    first = ring(model)
    for other in (ring(model, window=13), ring(model, kv_type="f32"), ring(GgufModel(str(path)))):
        with pytest.raises(ValueError, match="only one of the same model and memory"):
            other.follow(first)
    with pytest.raises(ValueError, match="only one of the same model and memory"):
        first.follow(first)


def test_a_proposal_is_closed_first(model):
    first, other = ring(model), ring(model)
    step(first, model, 0)
    first.propose([(0, rows(model, 2, 1))])
    with pytest.raises(ValueError, match="proposal"):
        other.follow(first)
    first.keep(0)
    other.propose([(0, rows(model, 2, 1))])
    other.follow(first)  # what was open is forgotten
    assert other.pos == first.pos
