# SPDX-License-Identifier: Apache-2.0
"""A young stream reads the slots that are in use, and gives what it gives by reading all."""

import numpy as np
import pytest
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

N_SINKS, N_ROWS = 4, 150
CUTS = (1, 3, 1, 32, 7, 1, 64, 2, 30, 9)
LONG = 1000  # a window of which few slots are used


@pytest.fixture(scope="module", params=["f16", "q8_0"])
def model(request, tmp_path_factory):
    shape = TinyShape()
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return GgufModel(str(write_gguf(path, shape, random_weights(shape), request.param)))


@pytest.fixture(scope="module")
def rows(model):
    tokens = np.random.default_rng(1).integers(0, model.n_vocab, N_ROWS)
    return np.stack([model.token_embedding(int(token)) for token in tokens])


def cut(decoder, rows):
    """Logits after each of the chunks, and of a proposal that is half kept behind each."""
    found, at = [], 0
    for n in CUTS:
        found.append(decoder.step(rows[at : at + n]))
        at += n
        if decoder.pos >= N_SINKS:
            found += list(decoder.propose([(0, rows[:4])]))
            decoder.keep(2)
    return np.stack(found)


@pytest.mark.parametrize("kv_type", ["f32", "f16", "q8_0"])
def test_how_long_the_window_is_changes_no_bit_of_a_young_stream(model, rows, kv_type):
    def ring(window):
        return RingDecoder(model, n_sinks=N_SINKS, window=window, kv_type=kv_type)

    # The shorter one has its slots in use at the end.
    np.testing.assert_array_equal(cut(ring(LONG), rows), cut(ring(200), rows))


@pytest.mark.parametrize("retention", ["heavy-hitter", "merge"])
def test_nor_where_attention_decides_who_stays(model, rows, retention):
    def ring(window):
        return RingDecoder(
            model, n_sinks=N_SINKS, window=window, retention=retention, max_rows=32, recent=100
        )

    np.testing.assert_array_equal(cut(ring(LONG), rows), cut(ring(200), rows))


@pytest.mark.parametrize("layout", ["one-clock", "grouped", "overlap"])
def test_nor_with_regions(model, rows, layout):
    def logits(window):
        decoder = RingDecoder(
            model, n_sinks=N_SINKS, window=[("in", window), ("out", 2 * window)], layout=layout,
            attention_layers=[0],
        )  # fmt: skip
        decoder.step(rows[:N_SINKS])
        found = []
        for at in range(N_SINKS, N_ROWS - 2, 3):
            groups = [(0, rows[at : at + 2]), (1, rows[at + 2 : at + 3])]
            found.append(decoder.step_groups(groups)[0])
            found.append(np.pad(decoder.attention(0), (0, LONG - len(decoder.attention(0)))))
            decoder.begin_unit()
        return np.concatenate(found)

    np.testing.assert_array_equal(logits(LONG), logits(120))


def test_forks_and_saved_streams_read_on_where_they_are(model, rows, tmp_path):
    def ring():
        return RingDecoder(model, n_sinks=N_SINKS, window=LONG)

    stream, saved = ring(), ring()
    stream.step(rows[:60])
    fork = stream.fork()
    stream.save(str(tmp_path / "state"))
    expected = cut(stream, rows)
    np.testing.assert_array_equal(cut(fork, rows), expected)
    saved.step(rows)  # reads more than the stream that it becomes
    saved.restore(str(tmp_path / "state"))
    np.testing.assert_array_equal(cut(saved, rows), expected)
    saved.reset()
    saved.step(rows[:60])
    np.testing.assert_array_equal(cut(saved, rows), expected)
