# SPDX-License-Identifier: Apache-2.0
"""Half-duplex: while the loudspeaker speaks the microphone hears silence, at the right samples.

With a real PortAudio it is in tests/speaking/test_spoken_room.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edgestream.sources import half_duplex
from edgestream.sources.block import Block
from edgestream.sources.half_duplex import DEVICE_S, ECHO_S, HalfDuplex, Mute

RATE_HZ = 1000
AFTER_S = ECHO_S + DEVICE_S


class Microphone:
    """Gives (read at, block, behind_ms) at the given times."""

    live = True
    rate_hz = RATE_HZ
    name = "desk"

    def __init__(self, given: list[tuple[float, Block, float]]) -> None:
        self._given = given
        self.behind_ms = 0.0
        self.now_s = 0.0
        self.calls: list[str] = []

    def __iter__(self) -> Iterator[Block]:
        for now_s, block, behind_ms in self._given:
            self.now_s, self.behind_ms = now_s, behind_ms
            yield block

    def stop(self) -> None:
        self.calls.append("stop")

    def close(self) -> None:
        self.calls.append("close")


def heard(
    monkeypatch: pytest.MonkeyPatch, mute: Mute, *given: tuple[float, Block, float]
) -> list[Block]:
    source = Microphone(list(given))
    monkeypatch.setattr(half_duplex.time, "monotonic", lambda: source.now_s)
    return list(HalfDuplex(source, mute))


def ones(n: int, lost: int = 0) -> Block:
    return Block(np.ones(n, np.float32), lost, "overflow" if lost else "")


def silent(block: Block) -> list[tuple[int, int]]:
    """Runs of zeros in the block."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1.0], block.samples, [1.0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def test_exactly_what_came_while_it_spoke_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    mute = Mute()
    mute.spoke(100.5, 101.0)
    blocks = heard(monkeypatch, mute, (102.0, ones(2000), 0.0), (103.0, ones(1000), 0.0))
    end = 1000 + round(1000 * AFTER_S)
    assert silent(blocks[0]) == [pytest.approx((500, end), abs=1)]
    assert silent(blocks[1]) == []
    assert [len(block.samples) for block in blocks] == [2000, 1000]
    assert [block.lost_samples for block in blocks] == [0, 0]


def test_what_was_not_spoken_over_is_the_same_block(monkeypatch: pytest.MonkeyPatch) -> None:
    block = Block(np.ones(100, np.float32), 7, "overflow", "a notice", 2000)
    assert heard(monkeypatch, Mute(), (100.0, block, 0.0)) == [block]


def test_a_reader_that_is_behind_silences_the_samples_of_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mute = Mute()
    mute.spoke(100.2, 100.4)
    # Both blocks were recorded from 100 to 101, and are read five seconds later.
    blocks = heard(monkeypatch, mute, (106.0, ones(500), 5500.0), (106.0, ones(500), 5000.0))
    assert silent(blocks[0]) == [pytest.approx((200, 500), abs=1)]
    assert silent(blocks[1]) == [pytest.approx((0, 400 + 1000 * AFTER_S - 500), abs=1)]


def test_losses_that_nobody_has_seen_yet_do_not_shift_it(monkeypatch: pytest.MonkeyPatch) -> None:
    mute = Mute()
    mute.spoke(101.0, 101.2)
    blocks = heard(
        monkeypatch,
        mute,
        (100.0, ones(100), 0.0),  # on time
        (110.0, ones(2000), 3000.0),  # recorded until 102; then five seconds were lost
        (110.0, ones(3000, lost=5000), 0.0),
    )
    assert silent(blocks[1]) == [pytest.approx((1000, 1200 + 1000 * AFTER_S), abs=5)]
    assert silent(blocks[2]) == []
    assert blocks[2].lost_samples == 5000


def test_a_block_has_its_own_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    mute = Mute()
    mute.spoke(99.0, 99.5)
    block = Block(np.ones(2000, np.float32), rate_hz=2000)  # from 99 to 100
    (found,) = heard(monkeypatch, mute, (100.0, block, 0.0))
    assert silent(found) == [(0, 2000)]
    assert found.rate_hz == 2000


def test_speech_that_goes_on_is_one_span_and_old_speech_is_forgotten() -> None:
    mute = Mute()
    for i in range(1000):
        mute.spoke(100 + 0.02 * i, 100.15 + 0.02 * i)
    assert len(mute.spans(0, 1000)) == 1
    mute.spoke(300.0, 300.1)
    assert mute.spans(0, 1000) == [(300.0, pytest.approx(300.1 + AFTER_S))]


def test_it_is_the_microphone_otherwise() -> None:
    source = Microphone([])
    wrapped = HalfDuplex(source, Mute())
    source.behind_ms = 12.0
    assert (wrapped.live, wrapped.rate_hz, wrapped.name, wrapped.behind_ms) == (
        True, RATE_HZ, "desk", 12.0,
    )  # fmt: skip
    wrapped.stop()
    wrapped.close()
    assert source.calls == ["stop", "close"]
