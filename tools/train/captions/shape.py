# SPDX-License-Identifier: Apache-2.0
"""Sizes of the caption network and of its inputs: the one place where they are written down."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SAMPLE_RATE_HZ = 16000
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
FFT_SIZE = 512
MEL_MIN_HZ = 20.0
MEL_MAX_HZ = 7600.0
LOG_FLOOR = 1e-5

MEL_PER_STEP = 8  # one decoder step takes 8 mel frames of 10 ms
MEL_PER_PHONE = 4  # the auxiliary phone loss looks at 25 Hz
STEP_S = HOP_SAMPLES * MEL_PER_STEP / SAMPLE_RATE_HZ
MEL_S = HOP_SAMPLES / SAMPLE_RATE_HZ

PAD = 0  # token "nothing to write at this step"
UNKNOWN = 1  # never trained, never written


@dataclass(frozen=True)
class Shape:
    """The network's widths and depths; saved with every checkpoint."""

    n_mels: int = 80
    conv1: int = 128
    conv2: int = 192
    n_blocks: int = 2
    width: int = 256
    n_layers: int = 6
    n_heads: int = 4
    n_kv_heads: int = 2
    ffn: int = 704
    n_text: int = 1000  # tokens that may be written, PAD among them
    n_delays: int = 9  # delay rows; 1..8 are trained
    window: int = 125  # steps a decoder step may look back on (10 s)
    n_sinks: int = 2  # [BOS, DELAY_k], never evicted
    n_phones: int = 41
    rope_base: float = 10000.0
    mel_mean: float = -5.0  # of natural log-mel over the training speech
    mel_std: float = 4.4

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.n_heads

    @property
    def bos(self) -> int:
        """Row of BOS in the token embedding; the row before it is spare."""
        return self.n_text + 1

    @property
    def delay_0(self) -> int:
        """Row of delay 0 in the exported token embedding."""
        return self.n_text + 2

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint; `Shape(**values)` reads them back."""
        return asdict(self)
