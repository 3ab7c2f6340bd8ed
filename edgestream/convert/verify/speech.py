# SPDX-License-Identifier: Apache-2.0
"""A converted Whisper or Moonshine beside its source, on a recording of a person.

What counts are the words: both decode the same features greedily. Beside them stand the logits
along the source's own words: these show a defect that the words survive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.verify.decoder import Comparison
from edgestream.convert.verify.source import running
from edgestream.data import DATA
from edgestream.errors import ModelError
from edgestream.scoring.words import Score, spoken_words
from edgestream.speech.reencoded.model import ReencodedModel
from edgestream.speech.reencoded.rules import HypothesisRules
from edgestream.speech.reencoded.weights import CODE, PAYLOAD
from edgestream.speech.reencoded.window import CentredMel, SampleFrames

Floats = NDArray[np.float32]
Step = Callable[[list[int]], Floats]  # tokens so far to logits after each [n, n_vocab]
PERSON = DATA / "person.flac"
MAX_TOKENS = 64  # of the recording, which has about 26
TIED = ("proj_out.weight", "lm_head.weight")  # the table of tokens by another name
# By type of weights: share of words that may differ, and of the logits' spread. Whisper tiny.en
# and base differ by 0.00, 0.00, 9.1 and 22.4 %, and by 27.5 % or more with one layer damaged.
BOUNDS = {"f32": (0.0, 0.001), "f16": (0.0, 0.02), "int8": (0.05, 0.15), "q4": (0.15, 0.27)}


@dataclass(frozen=True, slots=True)
class SpeechComparison:
    """Of a result and its source."""

    n_words: int  # that the source writes
    n_other: int  # that the result has wrong, leaves out or adds
    share: float  # of other words that is allowed
    logits: Comparison

    @property
    def holds(self) -> bool:
        """Whether words and logits are as near to the source's as the type of weights should be."""
        return self.n_other <= self.share * self.n_words and self.logits.holds

    def __str__(self) -> str:
        return (
            f"a person's {self.n_words} words, {self.n_other} other than the source's"
            f" (bound {self.share:.0%}); {self.logits}"
        )


def compare_speech(checkpoint: Checkpoint, folder: Path, quant: str) -> SpeechComparison:
    """Runs both on the bundled recording.

    Raises:
        ModelError: transformers cannot run the source.
    """
    model = ReencodedModel(folder)
    config, rows = model.config, person_rows(model)
    model.weights.padded = bool(config.n_mels)  # transformers' Whisper hears 30 s alone
    states = model.weights.encode(rows)
    heard = model.weights.heard(rows)
    prompt = list(_prompt(model))

    def result(tokens: list[int]) -> Floats:
        return model.weights.decode(tokens, states, {}).logits

    with running(checkpoint.folder) as transformers:
        source = _source(transformers, checkpoint, heard)
        written = greedy(model, source, prompt)
        expected = source([*prompt, *written])
    share, bound = BOUNDS[quant]
    score = Score()
    score.add(*(_words(model, each) for each in (written, greedy(model, result, prompt))))
    compared = Comparison.of_logits(result([*prompt, *written]), expected, bound, None)
    return SpeechComparison(score.words, score.errors, share, compared)


def person_rows(model: ReencodedModel) -> Floats:
    """The recording as the rows of a window [n, 1 + payload]."""
    samples, _ = soundfile.read(PERSON, dtype="float32")
    n_mels = model.config.n_mels
    frames = CentredMel(n_mels) if n_mels else SampleFrames()
    given = frames.push(samples)
    if n_mels:
        given = np.concatenate([given, frames.finish()])
    rows = np.zeros((len(given), PAYLOAD + model.weights.payload), np.float32)
    rows[:, CODE] = -model.weights.payload
    rows[:, PAYLOAD:] = given
    return rows


def greedy(model: ReencodedModel, step: Step, prompt: list[int]) -> list[int]:
    """The likeliest text without times, by the rules of what may be written."""
    rules = HypothesisRules(model.config, model.token_bytes, times=False)
    written: list[int] = []
    limit = min(MAX_TOKENS, model.config.max_tokens - len(prompt) - 1)
    while len(written) < limit:
        logits = np.array(step([*prompt, *written])[-1], np.float32)
        rules.apply(logits, written)
        token = int(logits.argmax())
        if token == model.config.end:
            break
        written.append(token)
    return written


def _prompt(model: ReencodedModel) -> Iterator[int]:
    config = model.config
    yield config.start
    if config.languages:
        yield config.languages.get("en", next(iter(config.languages.values())))
        yield config.tasks.get("transcribe", next(iter(config.tasks.values())))
    if config.no_times is not None:
        yield config.no_times


def _words(model: ReencodedModel, tokens: list[int]) -> list[str]:
    text = b"".join(model.token_bytes[token] for token in tokens)
    return spoken_words(text.decode("utf-8", "replace"))


def _source(transformers: Any, checkpoint: Checkpoint, heard: Floats) -> Step:
    """Logits of transformers' model with the checkpoint's own tensors, after it heard `heard`."""
    import torch

    config = transformers.AutoConfig.for_model(**checkpoint.config.data)
    source = transformers.AutoModelForSpeechSeq2Seq.from_config(config).to(torch.float32).eval()
    own = source.state_dict()
    with checkpoint.opened(), torch.inference_mode():
        if missing := set(own) - set(checkpoint.shapes) - set(TIED):
            raise ModelError(f"{checkpoint.folder}: the tensor {min(missing)} is missing")
        for name in checkpoint.shapes:
            own[name].copy_(torch.from_numpy(checkpoint.array(name).astype(np.float32)))
        encoded = source.get_encoder()(torch.from_numpy(heard))

    def step(tokens: list[int]) -> Floats:
        with torch.inference_mode():
            ids = torch.tensor([tokens])
            logits = source(encoder_outputs=encoded, decoder_input_ids=ids).logits
        array: Floats = logits[0].float().numpy()
        return array

    return step
