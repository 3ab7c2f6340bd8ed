# SPDX-License-Identifier: Apache-2.0
"""Bytes of raw PCM to mono samples, however they are cut."""

from __future__ import annotations

import numpy as np

from edgestream.sources.block import Samples
from edgestream.sources.channels import Downmix
from edgestream.sources.sample_formats import SampleFormat


class PcmDecoder:
    """Frames that are cut are carried; half a frame at the end is dropped."""

    def __init__(self, form: SampleFormat, channels: int, rate_hz: int) -> None:
        self._form, self._channels = form, channels
        self.frame_bytes = form.n_bytes * channels
        self._mix, self._carry = Downmix(channels, rate_hz), b""

    def push(self, data: bytes) -> Samples:
        """Samples [n] in [-1, 1] of the frames that are whole."""
        data = self._carry + data
        whole = len(data) - len(data) % self.frame_bytes
        self._carry = data[whole:]
        return self._mix.push(self._decode(data[:whole]))

    def finish(self) -> Samples:
        """What the mix of channels still holds."""
        return self._mix.finish()

    def take_notice(self) -> str:
        """What is odd about the channels, once; else empty."""
        return self._mix.take_notice()

    def _decode(self, data: bytes) -> Samples:
        form = self._form
        if form.n_bytes == 3:
            narrow = np.frombuffer(data, np.uint8).reshape(-1, 3)
            wide = np.zeros((len(narrow), 4), np.uint8)
            wide[:, slice(0, 3) if form.big_endian else slice(1, 4)] = narrow
            data = wide.tobytes()
        with np.errstate(invalid="ignore", over="ignore"):  # what is no number is silence later
            values = np.frombuffer(data, form.dtype).astype(np.float32)
            values = (values - np.float32(form.offset)) / np.float32(form.full_scale)
        return values.reshape(-1, self._channels)
