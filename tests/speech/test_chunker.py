# SPDX-License-Identifier: Apache-2.0
"""Chunks: contexts and padding by indexing, bit-exact under any cutting, shapes checked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream._native import Chunker

BINS = 3
PAD = -11.5


def numbered(n_frames: int):
    return np.arange(n_frames * BINS, dtype=np.float32).reshape(n_frames, BINS)


def expected_chunks(n_frames: int, left: int, chunk: int, right: int):
    """All chunks of a whole stream."""
    n_chunks = -(-n_frames // chunk)
    padded = np.full((left + n_chunks * chunk + right, BINS), PAD, np.float32)
    padded[left : left + n_frames] = numbered(n_frames)
    span = left + chunk + right
    cuts = [padded[c * chunk : c * chunk + span] for c in range(n_chunks)]
    return np.stack(cuts) if cuts else np.zeros((0, span, BINS), np.float32)


@given(
    n_frames=st.integers(0, 120),
    left=st.integers(0, 20),
    chunk=st.integers(1, 12),
    right=st.integers(0, 20),
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(any),
)
@settings(max_examples=150, deadline=None)
def test_any_cutting_gives_the_chunks_of_the_whole(n_frames, left, chunk, right, sizes) -> None:
    chunker = Chunker(BINS, left, chunk, right, PAD)
    frames, chunks, at, turn = numbered(n_frames), [], 0, 0
    while at < n_frames:
        size = sizes[turn % len(sizes)]
        chunks.append(chunker.push(frames[at : at + size]))
        at, turn = min(n_frames, at + size), turn + 1
        # A chunk comes as soon as its look-ahead is there, and no sooner.
        assert sum(map(len, chunks)) == max(0, at - right) // chunk
    chunks.append(chunker.finish())
    assert np.array_equal(np.concatenate(chunks), expected_chunks(n_frames, left, chunk, right))


def test_the_default_model_needs_no_context() -> None:
    frames = np.random.default_rng(0).standard_normal((32, 80)).astype(np.float32)
    chunker = Chunker(80, 0, 8, 0)
    assert np.array_equal(chunker.push(frames), frames.reshape(4, 8, 80))
    assert chunker.finish().shape == (0, 8, 80)


def test_padding_is_the_silence_of_the_default_mel() -> None:
    chunker = Chunker(1, 1, 1, 1)
    chunker.push(np.zeros((1, 1), np.float32))
    assert chunker.finish().ravel() == pytest.approx([np.log(1e-5), 0, np.log(1e-5)])


def test_finish_closes_until_reset() -> None:
    chunker = Chunker(BINS, 2, 4, 0, PAD)
    chunker.push(numbered(5))
    assert len(chunker.finish()) == 1
    assert len(chunker.finish()) == 0
    with pytest.raises(RuntimeError, match="call reset first"):
        chunker.push(numbered(1))
    chunker.reset()
    assert np.array_equal(chunker.push(numbered(4)), expected_chunks(4, 2, 4, 0))


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="got frames of 4 bins, this chunker takes 3"):
        Chunker(BINS, 0, 8, 0).push(np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="give at least 1 chunk frame"):
        Chunker(BINS, 0, 0, 0)
    with pytest.raises(ValueError, match="at most 268435456 values"):
        Chunker(1 << 20, 1 << 20, 8, 0)
    for frames in (np.zeros((2, 3)), np.zeros(3, np.float32), np.zeros((3, 4), np.float32).T):
        with pytest.raises(TypeError):
            Chunker(BINS, 0, 8, 0).push(frames)
