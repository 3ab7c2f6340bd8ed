# SPDX-License-Identifier: Apache-2.0
"""What our own protocol remembers of a session while connections come and go."""

from __future__ import annotations

import asyncio

from edgestream.serve.messages import Hello
from edgestream.serve.served_session import ServedSession
from edgestream.sources.pcm_decoder import PcmDecoder
from edgestream.sources.sample_formats import SampleFormat


class Hearing:
    """A session of this protocol over all of its connections."""

    def __init__(self, session: ServedSession, wanted: Hello) -> None:
        self.session = session
        self.rate_hz = wanted.rate_hz
        self.decoder = PcmDecoder(SampleFormat(wanted.format), wanted.channels, wanted.rate_hz)
        self.n_bytes = 0  # of PCM that came
        self.lost_ms = 0.0  # that the client lost, and said so
        self.ended = False  # the client has said so, and all that it sent was taken
        self.cut = False  # something came when the server was ending, and was not taken
        self.connection = 0  # counts them: an older one ends when a newer one is there
        self._newer = asyncio.Event()
        self.taking = asyncio.Lock()  # one message at a time, over all connections

    def join(self) -> tuple[int, asyncio.Event]:
        """A connection more, which the client uses from here on: its number, and what is set when
        a newer one comes."""
        self.connection += 1
        self._newer.set()
        self._newer = asyncio.Event()
        return self.connection, self._newer
