# SPDX-License-Identifier: Apache-2.0
"""What transformers writes for the random Whispers of the tests: the known answer.

python tests/transformers_whisper.py   # with torch and transformers: renews tests/data's answers
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tiny_whisper as tiny

ANSWERS = Path(__file__).parents[1] / "data" / "whisper_answers.json"
SEEDS = (0, 1, 2, 3)
N_TOKENS = 40
RATE_HZ = 16000


def sound(seed: int, seconds: float = 7.3) -> np.ndarray:
    """Gliding tones that come and go, float32 at 16 kHz."""
    random, t = np.random.default_rng(seed), np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    tones = [
        np.sin(2 * np.pi * (f * t + g * t * t)) * (0.5 + 0.5 * np.sin(2 * np.pi * h * t))
        for f, g, h in zip(
            random.uniform(80, 3000, 5), random.uniform(-20, 60, 5), random.uniform(0.2, 2, 5),
            strict=True,
        )
    ]  # fmt: skip
    return (np.sum(tones, 0) * 0.1 + random.normal(0, 0.003, len(t))).astype(np.float32)


def features(samples: np.ndarray, n_mels: int = 80) -> np.ndarray:
    """Log-mel of 30 s, in double precision as transformers computes it without torch."""
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    padded = np.pad(samples, (0, extractor.n_samples - len(samples)))
    return extractor._np_extract_fbank_features(padded[None], "cpu")[0]


def processors(prompt: list[int], *, times: bool) -> list:
    """transformers' own rules for Whisper. Without times it would let times pass as text."""
    import torch
    from transformers import GenerationConfig
    from transformers.generation import logits_process

    g = GenerationConfig(**tiny.GENERATION)
    never = [*tiny.GENERATION["suppress_tokens"], tiny.NO_TIMES]
    if not times:
        never += range(tiny.FIRST_TIME, tiny.N_VOCAB)
    found = [
        logits_process.SuppressTokensLogitsProcessor(torch.tensor(never), device="cpu"),
        logits_process.SuppressTokensAtBeginLogitsProcessor(
            torch.tensor(tiny.GENERATION["begin_suppress_tokens"]), len(prompt), device="cpu"
        ),
    ]
    if times:
        found.append(logits_process.WhisperTimeStampLogitsProcessor(g, begin_index=len(prompt)))
    return found


def answer(seed: int, *, times: bool) -> list[int]:
    """Greedy tokens behind the prompt, at most N_TOKENS, each step computed without a cache."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration(WhisperConfig(**tiny.CONFIG)).eval()
    weights = {name: torch.from_numpy(array) for name, array in tiny.tensors(seed).items()}
    weights["proj_out.weight"] = weights["model.decoder.embed_tokens.weight"]
    model.load_state_dict(weights)
    heard = torch.from_numpy(features(sound(seed)))[None].float()
    tokens = [tiny.START, tiny.FIRST_LANGUAGE + 1, tiny.TRANSCRIBE] + (
        [] if times else [tiny.NO_TIMES]
    )
    n_prompt, rules = len(tokens), processors(tokens, times=times)
    with torch.no_grad():
        states = model.get_encoder()(heard)
        while len(tokens) < n_prompt + N_TOKENS and tokens[-1] != tiny.END:
            given = torch.tensor([tokens])
            scores = model(encoder_outputs=states, decoder_input_ids=given).logits[:, -1]
            for rule in rules:
                scores = rule(given, scores)
            tokens.append(int(scores.argmax()))
    return tokens[n_prompt:]


def attention(seed: int) -> tuple[np.ndarray, int]:
    """Softmax rows [n_heads, n_tokens, n_rows] that look further and further on, and how many of
    the tokens are a prompt."""
    random = np.random.default_rng(seed)
    heads, tokens, rows = (int(n) for n in (random.integers(1, 6), random.integers(4, 30), 90))
    centres = np.sort(random.uniform(0, rows, tokens))
    off = (np.arange(rows) - centres[:, None] - random.normal(0, 6, (heads, tokens, 1))) / 4
    weights = np.exp(random.normal(0, 1, (heads, tokens, rows)) - 0.3 * off**2)
    return (weights / weights.sum(2, keepdims=True)).astype(np.float32), 3


def token_begins(seed: int) -> list[int]:
    """The rows at which tokens begin, as openai-whisper and transformers find them."""
    import torch
    from transformers.models.whisper.generation_whisper import _dynamic_time_warping, _median_filter

    weights, n_before = attention(seed)
    matrix = torch.from_numpy(weights).double()
    std, mean = torch.std_mean(matrix, dim=-2, keepdim=True, unbiased=False)
    matrix = _median_filter((matrix - mean) / std, 7).mean(0)[n_before:]
    tokens, rows = _dynamic_time_warping(-matrix.numpy())
    return rows[np.diff(tokens, prepend=-1) > 0].astype(int).tolist()


def main() -> None:
    """Renews the answers."""
    answers = {
        f"{seed} {'times' if times else 'no times'}": answer(seed, times=times)
        for seed in SEEDS
        for times in (True, False)
    }
    answers["begins"] = [token_begins(seed) for seed in range(20)]
    answers["mel"] = [round(float(x), 7) for x in features(sound(9))[:, :732:61].ravel()]
    ANSWERS.write_text(json.dumps(answers) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
