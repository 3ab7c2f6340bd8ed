# SPDX-License-Identifier: Apache-2.0
"""Several channels to one, by what is in them: no channel that says nothing takes a share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.sources.block import Samples

HOP_MS = 20  # weights change from hop to hop, along a line
DECAY = 0.96  # of what was heard before, a hop: half of it counts after a third of a second
LEAST_SHARE = 1e-6  # of the loudest channel's power; below it a channel says nothing
CANCELLED, RESTORED = 0.1, 0.3  # power of the sum, as a share of the loudest channel's
THIN, FULL = 0.3, 0.45  # power of the mean, likewise


def limited(samples: Samples) -> Samples:
    """Samples of any shape in [-1, 1]: what is no number is silence, and peaks are cut."""
    found: Samples = np.clip(samples, -1.0, 1.0)
    found[np.isnan(found)] = 0.0
    return found


class Downmix:
    """Frames [n, n_channels] in, mono samples out; any cutting of the frames gives the same.

    They are averaged as long as that leaves most of the loudest. Where it does not, as with one of
    eight that lives, or two people with a microphone each, they are added and scaled so that the
    sum is as loud as the loudest; where they cancel each other, that one is heard alone.
    They are `limited` before anything is added.
    """

    def __init__(self, n_channels: int, rate_hz: int) -> None:
        self._n_channels = n_channels
        self._hop = max(1, rate_hz * HOP_MS // 1000)
        self._carry = np.zeros((0, n_channels), np.float32)
        self._powers = np.zeros(n_channels)
        self._sum_power = 0.0
        self._weights: NDArray[np.float64] | None = None
        self._alone: int | None = None  # the channel that is heard because the sum is nothing
        self._averages = True
        self._notice = ""

    def push(self, frames: Samples) -> Samples:
        """Whole hops of what came, [m]; one channel comes back at once."""
        if self._n_channels == 1:
            return np.ascontiguousarray(limited(frames[:, 0]))
        frames = np.concatenate([self._carry, frames]) if len(self._carry) else frames
        whole = len(frames) - len(frames) % self._hop
        self._carry = frames[whole:].copy()
        return self._mix(frames[:whole])

    def finish(self) -> Samples:
        """What is left of a hop."""
        rest, self._carry = self._carry, self._carry[:0]
        return self._mix(rest)

    def take_notice(self) -> str:
        """What is odd about the channels, once; empty if nothing is."""
        notice, self._notice = self._notice, ""
        return notice

    def _mix(self, frames: Samples) -> Samples:
        clean = limited(frames)
        hops = [self._mix_hop(clean[at : at + self._hop]) for at in range(0, len(clean), self._hop)]
        return np.concatenate(hops) if hops else np.zeros(0, np.float32)

    def _mix_hop(self, frames: Samples) -> Samples:
        exact = frames.astype(np.float64)
        moving = exact - exact.mean(axis=0)  # a constant is no sound
        self._powers = DECAY * self._powers + np.square(moving).sum(axis=0)
        self._sum_power = DECAY * self._sum_power + float(np.square(moving.sum(axis=1)).sum())
        target = self._target()
        before = target if self._weights is None else self._weights
        self._weights = target
        if np.array_equal(before, target):
            mono = exact @ target
        else:
            way = np.linspace(0, 1, len(exact), endpoint=False)[:, None]
            mono = (exact * (before + way * (target - before))).sum(axis=1)
        return np.clip(mono, -1.0, 1.0).astype(np.float32)

    def _target(self) -> NDArray[np.float64]:
        """The weight of each channel, by what was heard so far."""
        loudest = float(self._powers.max())
        if loudest == 0:
            return np.full(self._n_channels, 1 / self._n_channels)
        limit = CANCELLED if self._alone is None else RESTORED
        if self._sum_power < limit * loudest:
            if self._alone is None:
                self._alone = int(self._powers.argmax())
                self._notice = (
                    "the channels cancel each other (one may be wired the wrong way round);"
                    f" channel {self._alone + 1} is heard alone"
                )
            weights = np.zeros(self._n_channels)
            weights[self._alone] = 1
            return weights
        self._alone = None
        mean_power = self._sum_power / self._n_channels**2
        self._averages = mean_power > (THIN if self._averages else FULL) * loudest
        if self._averages:
            return np.full(self._n_channels, 1 / self._n_channels)
        scale = min(1.0, np.sqrt(loudest / self._sum_power))
        return np.where(self._powers >= LEAST_SHARE * loudest, scale, 0.0)
