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


def spoken(*spans: tuple[float, float]) -> Mute:
    """A mute whose loudspeaker spoke between these times."""
    mute = Mute()
    with pytest.MonkeyPatch.context() as patch:
        for begin_s, end_s in spans:
            patch.setattr(half_duplex.time, "monotonic", lambda at=begin_s: at)
            mute.begin()
            mute.begin()
            patch.setattr(half_duplex.time, "monotonic", lambda at=end_s: at)
            mute.end()
            mute.end()
    return mute


def ones(n: int, lost: int = 0) -> Block:
    return Block(np.ones(n, np.float32), lost, "overflow" if lost else "")


def silent(block: Block) -> list[tuple[int, int]]:
    """Runs of zeros in the block."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1.0], block.samples, [1.0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def test_exactly_what_came_while_it_spoke_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    mute = spoken((100.5, 101.0))
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
    mute = spoken((100.2, 100.4))
    # Both blocks were recorded from 100 to 101, and are read five seconds later.
    blocks = heard(monkeypatch, mute, (106.0, ones(500), 5500.0), (106.0, ones(500), 5000.0))
    assert silent(blocks[0]) == [pytest.approx((200, 500), abs=1)]
    assert silent(blocks[1]) == [pytest.approx((0, 400 + 1000 * AFTER_S - 500), abs=1)]


def test_losses_that_are_told_of_late_silence_more_never_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 500 ms were lost at 101 without a word; the device tells of them with the third block.
    blocks = heard(
        monkeypatch,
        spoken((101.6, 102.0)),
        (101.0, ones(1000), 0.0),
        (102.0, ones(500), 0.0),  # from 101.5 on
        (103.0, ones(1000, lost=500), 0.0),
    )
    assert silent(blocks[0]) == []
    assert silent(blocks[1]) == [pytest.approx((100, 500), abs=2)]
    assert silent(blocks[2]) == [pytest.approx((0, 1000 * AFTER_S), abs=2)]
    assert blocks[2].lost_samples == 500


def test_what_comes_late_belongs_to_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = heard(
        monkeypatch,
        spoken((101.0, 101.2)),
        (101.0, ones(1000), 0.0),
        (103.5, ones(1000), 0.0),  # recorded until 102; the device stalled
    )
    assert silent(blocks[1]) == [pytest.approx((0, 200 + 1000 * AFTER_S), abs=2)]


def test_while_it_speaks_there_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    mute = Mute()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(half_duplex.time, "monotonic", lambda: 100.5)
        mute.begin()
    blocks = heard(monkeypatch, mute, (101.0, ones(1000), 0.0), (109.0, ones(1000), 0.0))
    assert [silent(block) for block in blocks] == [[pytest.approx((500, 1000), abs=1)], [(0, 1000)]]


def test_a_block_has_its_own_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    mute = spoken((99.0, 99.5))
    block = Block(np.ones(2000, np.float32), rate_hz=2000)  # from 99 to 100
    (found,) = heard(monkeypatch, mute, (100.0, block, 0.0))
    assert silent(found) == [(0, 2000)]
    assert found.rate_hz == 2000


def test_old_speech_is_forgotten() -> None:
    mute = spoken(*((100 + i, 100.5 + i) for i in range(1000)))
    assert len(mute.spans(0, 2000)) <= 61
    assert mute.spans(1098, 2000) == [
        (1098.0, pytest.approx(1098.5 + AFTER_S)), (1099.0, pytest.approx(1099.5 + AFTER_S)),
    ]  # fmt: skip


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
