# SPDX-License-Identifier: Apache-2.0
"""The ring from Python: short writes, located losses, two threads, no allocation in write."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream._native import SampleRing


def numbered(start: int, n: int):
    """Samples that carry their own stream position."""
    return np.arange(start, start + n).astype(np.float32)


def test_a_short_write_is_counted_and_located() -> None:
    ring = SampleRing(6)
    out = np.full(10, -1, np.float32)
    assert ring.capacity == 8
    assert ring.write(numbered(0, 10)) == 8
    assert ring.lost_samples == 2
    assert ring.read(out[:3]) == 3
    assert ring.write(numbered(10, 3)) == 3
    assert (ring.read(out), ring.read(out), ring.readable) == (5, 0, 0)
    assert (ring.take_gap(), ring.take_gap(), ring.position) == (2, 0, 10)
    assert ring.read(out) == 3
    assert out[:3].tolist() == [10, 11, 12]


def test_losses_before_the_ring_are_located_too() -> None:
    ring = SampleRing(8)
    ring.write(numbered(0, 2))
    ring.lose(160)
    ring.write(numbered(162, 1))
    out = np.zeros(8, np.float32)
    assert (ring.take_gap(), ring.read(out), ring.take_gap(), ring.read(out)) == (0, 2, 160, 1)
    assert out[0] == 162


@given(
    st.integers(1, 100),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), max_size=80),
)
@settings(max_examples=100, deadline=None)
def test_every_sample_is_read_in_its_place_or_told_as_lost(
    capacity: int, schedule: list[tuple[int, int]]
) -> None:
    ring = SampleRing(capacity)
    offered = accepted = read = 0
    for n_write, n_read in schedule:
        took = ring.write(numbered(offered, n_write))
        assert took == min(n_write, ring.capacity - (accepted - read))
        offered, accepted = offered + n_write, accepted + took
        ring.take_gap()
        out, position = np.full(n_read, -1, np.float32), ring.position
        n = ring.read(out)
        assert out[:n].tolist() == list(range(position, position + n))
        assert (out[n:] == -1).all()
        read += n
        assert ring.lost_samples == offered - accepted
    while ring.position < offered:
        before = ring.position
        ring.take_gap()
        read += ring.read(np.zeros(200, np.float32))
        assert ring.position > before
    assert read == accepted


def test_two_threads() -> None:
    ring, n_offered = SampleRing(2048), 1_000_000
    done = threading.Event()

    def produce() -> None:
        for at in range(0, n_offered, 500):
            ring.write(numbered(at, 500))
        done.set()

    producer = threading.Thread(target=produce)
    producer.start()
    out, last = np.zeros(700, np.float32), False
    while not last:
        last = done.is_set()
        while True:
            ring.take_gap()
            position = ring.position
            n = ring.read(out)
            assert np.array_equal(out[:n], numbered(position, n))
            if n == 0:
                break
    producer.join()
    ring.take_gap()
    assert ring.position == n_offered


def test_write_takes_no_memory() -> None:
    ring, block, out = SampleRing(1024), numbered(0, 512), np.zeros(512, np.float32)
    for _ in range(10):
        ring.write(block)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(100):
            ring.write(block)
            ring.read(out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < block.nbytes  # small wrappers come and go, no copy of a block


@pytest.mark.parametrize("samples", [np.zeros(8), np.zeros((2, 4), np.float32), [0.0]])
def test_only_float32_vectors_are_taken(samples: object) -> None:
    ring = SampleRing(8)
    with pytest.raises(TypeError):
        ring.write(samples)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ring.read(samples)  # type: ignore[arg-type]


def test_read_refuses_a_read_only_array() -> None:
    out = np.zeros(4, np.float32)
    out.flags.writeable = False
    with pytest.raises(TypeError):
        SampleRing(8).read(out)


@pytest.mark.parametrize("capacity", [0, -1, 1 << 40])
def test_wrong_capacities_are_named(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"capacity is {capacity} samples; give 1 to"):
        SampleRing(capacity)
