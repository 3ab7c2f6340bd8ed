# SPDX-License-Identifier: Apache-2.0
"""What a source is: an iterator of Blocks of samples on one clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import UsageError
from edgestream.system.checks import finite

Samples = NDArray[np.float32]

BLOCK_MS = 40  # half a model step: short enough not to add delay, long enough to be cheap
MIN_RATE_HZ = 1_000  # below this no speech is left
MAX_RATE_HZ = 768_000  # the fastest audio hardware sold; beyond it a header is damaged
MAX_CHANNELS = 1_024  # libsndfile's own limit


@dataclass(frozen=True, slots=True)
class Block:
    """`samples`: float32 mono [n] in [-1, 1]. `lost_samples` were lost just before them.

    `notice` is what is odd about the input from here on, for whoever can mend it. `rate_hz` is the
    rate of this block where the source's own does not hold on: another device, a joined file.
    """

    samples: Samples
    lost_samples: int = 0
    reason: str = ""
    notice: str = ""
    rate_hz: int | None = None


class Source(Protocol):
    """Iterate once over its Blocks; `stop()` from any thread or signal handler ends that soon.

    `live` sources go on at the world's pace; `behind_ms` is how far the reader is behind it.
    """

    live: bool

    @property
    def rate_hz(self) -> int: ...

    @property
    def behind_ms(self) -> float: ...

    def __iter__(self) -> Iterator[Block]: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


def whole_rate(rate_hz: object, what: str) -> int:
    """The rate in Hz as an int; raises UsageError on what is no rate that sound can have."""
    found = finite(rate_hz, f"{what}: a rate", "pass Hz")
    if not MIN_RATE_HZ <= found <= MAX_RATE_HZ or found != int(found):
        raise UsageError(
            f"{what}: a rate of {found:.12g} Hz cannot be used; it must be a whole number "
            f"between {MIN_RATE_HZ} and {MAX_RATE_HZ} Hz"
        )
    return int(found)


def check_rate(rate_hz: int, channels: int, what: str) -> None:
    """Raise UsageError unless rate (Hz) and channel count are ones that sound can have."""
    whole_rate(rate_hz, what)
    found = finite(channels, f"{what}: channels", f"there must be 1 to {MAX_CHANNELS}")
    if not 1 <= found <= MAX_CHANNELS or found != int(found):
        raise UsageError(f"{what}: {channels} channels; there must be 1 to {MAX_CHANNELS}")
