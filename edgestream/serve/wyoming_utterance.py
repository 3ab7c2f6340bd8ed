# SPDX-License-Identifier: Apache-2.0
"""What one Wyoming client says between `audio-start` and `audio-stop`, and the words of it: they
are told as they become final, so that few are left to compute when the sound ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from wyoming.asr import Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.event import Eventable

from edgestream.serve.messages import is_count
from edgestream.serve.pool import Pool
from edgestream.serve.refusal import RefusalError
from edgestream.serve.served_session import ServedSession, seen
from edgestream.serve.told_text import ToldText
from edgestream.sources.block import check_rate
from edgestream.sources.pcm_decoder import PcmDecoder
from edgestream.sources.sample_formats import SampleFormat

FORMATS = {  # by bytes of a sample, as in wav files
    1: SampleFormat.u8,
    2: SampleFormat.s16le,
    3: SampleFormat.s24le,
    4: SampleFormat.s32le,
}
MOST_CHANNELS = 8
Form = tuple[int, int, int]  # Hz, bytes of a sample, channels


def form_of(data: dict[str, Any]) -> Form:
    """Of an `audio-start` or `audio-chunk`. Raises UsageError where no sound can be such."""
    rate_hz, width, channels = (data.get(name) for name in ("rate", "width", "channels"))
    check_rate(rate_hz, channels, "audio")  # type: ignore[arg-type]  # it checks what they are
    if not is_count(width) or width not in FORMATS:
        raise RefusalError("bad-request", f"width: {width!r:.20} cannot be used; give 1 to 4 bytes")
    if int(channels or 0) > MOST_CHANNELS:
        raise RefusalError("bad-request", f"channels: at most {MOST_CHANNELS}")
    return int(rate_hz or 0), int(width), int(channels or 0)


class Utterance:
    """Of a session that is open; `close` it in any case."""

    def __init__(
        self,
        pool: Pool,
        session: ServedSession,
        form: Form,
        send: Callable[[Eventable], Awaitable[None]],
    ) -> None:
        self._pool, self._session, self._send = pool, session, send
        self._take(form)
        self.telling = asyncio.ensure_future(self._tell())
        self.telling.add_done_callback(seen)

    def _take(self, form: Form) -> None:
        rate_hz, width, channels = form
        self._form, self._rate_hz = form, rate_hz
        self._decoder = PcmDecoder(FORMATS[width], channels, rate_hz)

    async def push(self, form: Form, data: bytes) -> None:
        """Sound of any length; of another form if the client changes it."""
        if form != self._form:
            await self._hear_rest()
            self._take(form)
        samples = self._decoder.push(data)
        if len(samples):
            await self._session.push(samples, rate_hz=self._rate_hz)

    async def finish(self) -> None:
        """The sound has ended: waits until all was told."""
        await self._hear_rest()
        self._session.finish()
        await self.telling

    def close(self) -> None:
        """Ends it at once."""
        self.telling.cancel()
        self._pool.forget(self._session)

    async def _hear_rest(self) -> None:
        if len(rest := self._decoder.finish()):
            await self._session.push(rest, rate_hz=self._rate_hz)

    async def _tell(self) -> None:
        told, begun = ToldText(), False
        async for seq, event in self._session.events():
            self._session.log.acknowledge(seq)
            if more := told.push(event):
                if not begun:
                    await self._send(TranscriptStart())
                begun = True
                await self._send(TranscriptChunk(more))
        if not begun:
            await self._send(TranscriptStart())
        await self._send(Transcript(told.text))
        await self._send(TranscriptStop())
