# SPDX-License-Identifier: Apache-2.0
"""Which texts a region holds: counted, and in a ring."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_reader import tiny_reader

from edgestream.decoder.rows import token_rows
from edgestream.reader.memory import Memory
from edgestream.reader.whole_texts import WholeTexts


@given(st.integers(1, 40), st.lists(st.integers(0, 40)))
def test_no_text_is_ever_half_gone(n_rows, lengths):
    held, rows = WholeTexts(n_rows), deque(maxlen=n_rows)
    for text, n in enumerate(min(n, n_rows) for n in lengths):
        rows.extend(["fill"] * held.enter(n))
        rows.extend([text] * n)
        for each in {row for row in rows if row != "fill"}:
            assert rows.count(each) == min(lengths[each], n_rows)
        assert n == 0 or text in rows


def test_texts_that_fit_stay():
    held = WholeTexts(10)
    assert [held.enter(n) for n in (4, 5, 3, 2, 10)] == [0, 0, 2, 3, 0]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_reader(tmp_path_factory.mktemp("reader"))


def after(memory):
    """The logits behind one more row, in a fork."""
    row = token_rows(memory.model.weights, [70])
    return memory.fork().step_groups([(0, row)])[0]


def test_a_kept_text_is_seen_long_after_the_words_beside_it_left(model):
    """Two memories differ in a note alone; no word of the time when it was written is left."""
    seen = {}
    for note in ("[yes]", "[no!]"):
        memory = Memory(model, "Read.", window=24, regions={"notes": 32})
        memory.keep(note, "notes")
        for _ in range(40):
            memory.read(" some words")
        seen[note] = after(memory)
    assert np.abs(seen["[yes]"] - seen["[no!]"]).max() > 1e-3


def test_a_text_that_was_pushed_out_leaves_no_trace(model):
    """The third text takes the place of the first, as a whole. (In one layer: in more of them the
    second one, which saw the first, would tell.)"""
    seen = []
    for first in ("[aaaaaaaaaa]", "[bbbbbbbbbb]"):
        memory = Memory(model, "Read.", window=24, regions={"notes": 32})
        for text in (first, "[0123456789]", "[a longer text here]"):
            memory.keep(text, "notes")
        for _ in range(40):
            memory.read(" some words")
        seen.append(after(memory))
    assert np.array_equal(*seen)
