# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgestream as es
from edgestream.errors import OperationError
from edgestream.onnx.encoder import Encoder

CHUNKS = 40


@pytest.fixture(scope="module")
def weights():
    return es.load("synthetic-en").encoder


@pytest.fixture(scope="module")
def chunks():
    values = np.random.default_rng(3).normal(-5, 3, (CHUNKS, 8, 80))
    return values.astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, CHUNKS), max_size=6))
def test_any_cutting_gives_the_same_embeddings(weights, chunks, cuts):
    whole = Encoder(weights).push(chunks)
    encoder = Encoder(weights)
    parts = [encoder.push(part) for part in np.split(chunks, sorted(cuts))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.shape == (CHUNKS, encoder.n_embd)


def test_state_carried_in_place_equals_the_graph_run_on_everything(weights, chunks):
    feed = {"mel": chunks.reshape(1, -1, 80)}
    feed |= {name: np.zeros(shape, np.float32) for name, shape in weights.state_shapes.items()}
    expected = weights.session.run(["embeddings"], feed)[0][0]
    assert np.abs(Encoder(weights).push(chunks) - expected).max() < 1e-4


def test_reset_and_two_streams_do_not_mix(weights, chunks):
    one, other = Encoder(weights), Encoder(weights)
    first = one.push(chunks[:10])
    other.push(chunks[20:])
    one.reset()
    assert np.array_equal(one.push(chunks[:10]), first)


def test_no_chunks_give_no_embeddings(weights):
    encoder = Encoder(weights)
    assert encoder.push(np.empty((0, 8, 80), np.float32)).shape == (0, encoder.n_embd)
    assert encoder.finish().shape == (0, encoder.n_embd)


def test_an_onnxruntime_that_fails_is_one_error(weights, chunks):
    class Failing:
        def run_with_iobinding(self, _binding):
            raise Exception("no\nmemory")

    encoder = Encoder(weights)
    encoder._session = Failing()
    with pytest.raises(OperationError, match="no memory"):
        encoder.push(chunks)
