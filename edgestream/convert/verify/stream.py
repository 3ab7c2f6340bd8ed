# SPDX-License-Identifier: Apache-2.0
"""A converted model of speech beside its source: both hear the same sound and read the same tokens.

At each step both see the token that the source wrote before, so that one difference does not make
the rest another text.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgestream._native import GgufModel, RingDecoder
from edgestream.convert.onnx.stream import Floats
from edgestream.convert.verify.decoder import Comparison, bound_of
from edgestream.convert.verify.source import running
from edgestream.speech.concatenated.model import Model
from edgestream.speech.concatenated.stages import ConcatenatedStages

STEPS = 60  # of sound
# Of samples, what the source read before each step [n] and its logits [n, n_text].
RunSource = Callable[[Any, Floats], tuple[list[int], Floats]]


def compare_stream(
    checkpoint: Path, folder: Path, class_name: str, run_source: RunSource, *, skipped: int
) -> Comparison:
    """Compares logits. `class_name` is that of the source in transformers; the first `skipped`
    tokens that the source read come before the sound.

    Raises:
        UsageError: torch or transformers is not installed.
        ModelError: transformers cannot run the source.
    """
    model = Model(folder)
    samples = _sound(STEPS * model.manifest.decoder.step_ms, model.manifest.audio.sample_rate_hz)
    before, expected = _of_source(checkpoint, class_name, run_source, samples)
    given = _of_result(model, samples, before, skipped)
    # Without a cache transformers' Kyutai sees all rows, beyond the window too.
    n = min(len(given), len(expected), model.manifest.decoder.window)
    given, expected = given[:n, : expected.shape[1]], expected[:n]
    bound = bound_of(folder / model.manifest.decoder.file)
    return Comparison.of_logits(given, expected, bound, None)  # text is only ever put together


def _sound(ms: int, rate_hz: int) -> Floats:
    """Noise, and a tone that glides, both swelling as syllables do."""
    seconds = np.arange(ms * rate_hz // 1000) / rate_hz
    noise = np.random.default_rng(0).standard_normal(len(seconds))
    tone = np.sin(2 * np.pi * (200 * seconds + 40 * np.sin(3 * seconds)))
    sound = (0.05 * noise + 0.2 * tone) * (1 + np.sin(20 * seconds))
    return np.asarray(sound, np.float32)


def _of_source(
    checkpoint: Path, class_name: str, run_source: RunSource, samples: Floats
) -> tuple[list[int], Floats]:
    with running(checkpoint) as transformers:
        import torch

        source = getattr(transformers, class_name).from_pretrained(
            checkpoint, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
        with torch.inference_mode():
            return run_source(source.eval(), samples)


def _of_result(model: Model, samples: Floats, before: list[int], skipped: int) -> Floats:
    """Logits [n, n_vocab] of every step, those of rows before the sound first."""
    m, stages = model.manifest, model.stream().stages
    assert isinstance(stages, ConcatenatedStages)  # as it was converted
    assert isinstance(model.decoder, GgufModel)
    rows = stages.embeddings(samples)
    # float32 keys: it is the weights that are compared
    ring = RingDecoder(
        model.decoder, n_sinks=m.decoder.n_sinks, window=m.decoder.window, kv_type="f32",
        max_rows=1, delay=m.policy.delay_frames if model.decoder.n_delays else 0,
    )  # fmt: skip
    alone = [ring.token_embedding(m.tokens.bos)] * skipped
    tokens = zip(rows, before[skipped:], strict=False)
    steps = [*alone, *(row + ring.token_embedding(token) for row, token in tokens)]
    return np.stack([ring.step(step[None]) for step in steps])
