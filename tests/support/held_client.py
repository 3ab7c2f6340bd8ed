# SPDX-License-Identifier: Apache-2.0
"""The client of tools/soak, with a sound whose second part it keeps back until the test wants."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from client import BYTES, RATE_HZ, ResumingClient
from websockets.asyncio.client import ClientConnection

PIECE = 3200


@dataclass
class Recording:
    """Bytes that can be read again from anywhere."""

    data: bytes

    @property
    def n_bytes(self) -> int:
        return len(self.data)

    def read(self, at: int, n: int) -> bytes:
        return self.data[at : at + n]


class HeldClient(ResumingClient):
    """Sends what lies before `hold_ms`, and the rest once it is `allowed`."""

    def __init__(self, stream: str, pcm: bytes, hold_ms: int, model: str | None = None) -> None:
        super().__init__(stream, Recording(pcm), model=model)
        self.allowed = asyncio.Event()
        self.holds = False
        self._hold = BYTES * hold_ms * RATE_HZ // 1000

    @property
    def words(self) -> list[str]:
        """All that it was told."""
        return [word["text"] for line in self.told.lines for word in line["words"]]

    async def _send(self, socket: ClientConnection, at: int) -> None:
        while at < self._hold:
            data = self._sound.read(at, min(PIECE, self._hold - at))
            await socket.send(data)
            at += len(data)
        self.holds = True
        await self.allowed.wait()
        await super()._send(socket, at)
