# SPDX-License-Identifier: Apache-2.0
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgestream.speech.concatenated.waveform import Lead, Waveform


@given(st.integers(0, 9), st.integers(0, 30), st.lists(st.integers(0, 30), max_size=5))
def test_any_cutting_puts_the_silence_before_the_whole(n_lead, n, cuts):
    samples = np.arange(1, n + 1, dtype=np.float32)
    lead, frames = Lead(n_lead), Waveform()
    for _ in range(2):
        parts = np.split(samples, sorted(min(cut, n) for cut in cuts))
        pushed = [frames.push(lead.push(part)) for part in parts]
        pushed += [frames.push(lead.finish()), frames.finish()]
        expected = np.concatenate([np.zeros(n_lead if n else 0), samples])
        assert np.array_equal(np.concatenate(pushed), expected[:, None])
        lead.reset()
        frames.reset()
