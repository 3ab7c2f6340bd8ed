# SPDX-License-Identifier: Apache-2.0
"""Voxtral Realtime: a checkpoint becomes a model's folder.

Each step of the decoder reads the row of 80 ms of sound added to the embedding of its last token. A
stream begins with silence and with a prompt, one token of it a step. The decoder is a llama but for
the scales before each feed-forward, which a small network computes from the stream's delay: here
for every delay there may be, so that the file holds their table (`ffn_delay_scale`).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.convert.checkpoint import Checkpoint, taken
from edgestream.convert.gguf.quantize import GGUF_QUANTS, write_quantized
from edgestream.convert.gguf.tensors import View
from edgestream.convert.models.decoder_config import ARCHITECTURES, DecoderConfig, RopeConfig
from edgestream.convert.onnx.stream import Floats
from edgestream.convert.onnx.voxtral import EncoderConfig, VoxtralGraph
from edgestream.convert.request import Request
from edgestream.convert.tokenizer.find import read_vocabulary
from edgestream.convert.tokenizer.vocabulary import Vocabulary
from edgestream.convert.verify.decoder import Comparison
from edgestream.convert.verify.stream import compare_stream
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields
from edgestream.library.manifest.concatenated import (
    ConcatenatedManifest,
    DecoderSpec,
    EncoderSpec,
    MelSpec,
    PolicySpec,
    TokenSpec,
)
from edgestream.library.manifest.manifest import FORMAT, MANIFEST
from edgestream.library.manifest.read import read_manifest
from edgestream.library.manifest.write import write_manifest
from edgestream.library.progress import Progress
from edgestream.speech.concatenated.model import Model

ENCODER, DECODER = "encoder.onnx", "decoder.gguf"
TEXT = "language_model."
BOS, PAD = "<s>", "[STREAMING_PAD]"
SAMPLE_RATE_HZ, HOP_SAMPLES, WINDOW_SAMPLES = 16000, 160, 400
LOG10_FLOOR = -6.5  # the published global_log_mel_max, 1.5, less 8
PAD_STEPS = 32  # of silence, and of PAD in the prompt, before the sound
# The published frames lie with their centres on multiples of the hop; ours end at them.
EARLY_SAMPLES = WINDOW_SAMPLES // 2 - HOP_SAMPLES
MIN_DELAY, MAX_DELAY = 3, 30  # steps: 240 ms to 2.4 s
SCALE_WIDTH = 32
MAX_WIDTH, MAX_COUNT, MAX_VOCAB = 1 << 16, 1 << 10, 1 << 24


def read_decoder_config(config: Fields) -> DecoderConfig:
    """From `text_config` of config.json, where a missing key means the published value."""
    config.refuse("hidden_act", "silu")
    n_heads = config.integer("num_attention_heads", 1, MAX_COUNT, 32)
    rope = config.table("rope_parameters")
    rope.refuse("rope_type", "default")
    return DecoderConfig(
        architecture=ARCHITECTURES["llama"],
        n_layers=config.integer("num_hidden_layers", 1, MAX_COUNT, 26),
        n_embd=config.integer("hidden_size", 2, MAX_WIDTH, 3072),
        n_ff=config.integer("intermediate_size", 1, MAX_WIDTH, 9216),
        n_heads=n_heads,
        n_kv_heads=config.integer("num_key_value_heads", 1, n_heads, 8),
        head_dim=config.integer("head_dim", 2, MAX_WIDTH, 128),
        n_vocab=config.integer("vocab_size", 1, MAX_VOCAB, 131072),
        n_rows=config.integer("sliding_window", 1, 1 << 20, 8192),
        rms_epsilon=config.positive("rms_norm_eps", 1e-5),
        tied=True,
        rope=RopeConfig(rope.positive("rope_theta", config.positive("rope_theta", 1e6))),
    )


class LlamaOfVoxtral(View):
    """The decoder's tensors under a llama's names, as `write_gguf_decoder` reads them."""

    def __init__(self, checkpoint: Checkpoint, config: DecoderConfig) -> None:
        super().__init__(checkpoint)
        self._checkpoint, self._config = checkpoint, config
        self.shapes = {here: shape for here, _, shape in config.shapes()}

    def array(self, name: str) -> NDArray[Any]:
        """A tensor of the llama."""
        return taken(self._checkpoint, TEXT + name, *self.shapes[name])

    def delay_scales(self) -> dict[str, Floats]:
        """By the name in GGUF: a layer's scales for each delay [MAX_DELAY + 1, n_embd]."""
        width = self._config.n_embd
        times = _times(width)
        scales = {}
        for i in range(self._config.n_layers):
            at = f"{TEXT}model.layers.{i}.ada_rms_norm."
            narrow = taken(self._checkpoint, at + "linear1.weight", SCALE_WIDTH, width)
            wide = taken(self._checkpoint, at + "linear2.weight", width, SCALE_WIDTH)
            inner = _gelu(times @ narrow.astype(np.float64).T)
            scales[f"blk.{i}.ffn_delay_scale"] = (1 + inner @ wide.astype(np.float64).T).astype(
                np.float32
            )
        return scales


def _times(width: int) -> NDArray[np.float64]:
    """Sinusoids of every delay in steps [MAX_DELAY + 1, width]."""
    half = width // 2
    angles = np.arange(MAX_DELAY + 1)[:, None] * 10000.0 ** (-np.arange(half) / half)
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def _gelu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    normal = np.vectorize(lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2))))
    product: NDArray[np.float64] = x * normal(x)
    return product


def write(checkpoint: Checkpoint, folder: Path, request: Request, progress: Progress) -> None:
    """Writes the model's folder; raises ModelError if the checkpoint is damaged or unsupported."""
    _, quant = request.choose(GGUF_QUANTS)
    config = checkpoint.config
    config.refuse("projector_hidden_act", "gelu")
    text = read_decoder_config(config.table("text_config"))
    group_rows = config.integer("downsample_factor", 1, 64, 4)
    config.refuse("audio_length_per_tok", 2 * group_rows)
    sound = EncoderConfig.read(config.table("audio_config"), group_rows)
    vocabulary = read_vocabulary(checkpoint, text.n_vocab)
    if vocabulary is None:
        raise ModelError(f"{checkpoint.folder}: has no tokenizer; tekken.json belongs there")
    progress("encoder", 0, 1)
    VoxtralGraph(checkpoint, sound).write(folder / ENCODER)
    progress("encoder", 1, 1)
    llama = LlamaOfVoxtral(checkpoint, text)
    write_quantized(
        folder / DECODER, llama, text, vocabulary, quant, request.n_threads, progress,
        llama.delay_scales(),
    )  # fmt: skip
    manifest = _manifest(checkpoint, request, text, sound, vocabulary)
    write_manifest(folder, manifest, request.entry)
    Model(folder)  # what cannot be loaded is not delivered


def compare(checkpoint: Checkpoint, folder: Path) -> Comparison:
    """The result's logits beside those of transformers."""
    m = read_manifest(folder / MANIFEST, ConcatenatedManifest)
    prompt = [m.tokens.bos] + [m.tokens.pad] * (PAD_STEPS + m.policy.delay_frames)

    def run(source: Any, samples: Floats) -> tuple[list[int], Floats]:
        import torch
        from transformers import VoxtralRealtimeFeatureExtractor

        n_mels, delay = m.audio.n_mels, m.policy.delay_frames
        led = np.concatenate([np.zeros(m.audio.lead_samples + EARLY_SAMPLES, np.float32), samples])
        extractor = VoxtralRealtimeFeatureExtractor(feature_size=n_mels)
        sound = extractor(led, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")["input_features"]
        ids = source.generate(
            input_ids=torch.tensor([prompt]), input_features=sound, num_delay_tokens=delay,
            do_sample=False, eos_token_id=None,
        )  # fmt: skip
        n_steps = source.get_audio_features(sound, return_dict=True).pooler_output.shape[1]
        frames = sound[..., : n_steps * 2 * source.config.downsample_factor]
        logits = source(input_ids=ids, input_features=frames, num_delay_tokens=delay).logits
        return ids[0].tolist(), logits[0].numpy()

    name = "VoxtralRealtimeForConditionalGeneration"
    return compare_stream(checkpoint.folder, folder, name, run, skipped=0)


def _manifest(
    checkpoint: Checkpoint,
    request: Request,
    text: DecoderConfig,
    sound: EncoderConfig,
    vocabulary: Vocabulary,
) -> ConcatenatedManifest:
    step_samples = sound.chunk_frames * HOP_SAMPLES
    delay = checkpoint.config.integer("default_num_delay_tokens", MIN_DELAY, MAX_DELAY, 6)
    return ConcatenatedManifest(
        format=FORMAT,
        name=request.name,
        family="concatenated",
        description=f"Voxtral Realtime, converted from {request.source}",
        languages=(),
        license=checkpoint.license(),
        audio=MelSpec(
            sample_rate_hz=SAMPLE_RATE_HZ,
            window_samples=WINDOW_SAMPLES,
            hop_samples=HOP_SAMPLES,
            fft_size=WINDOW_SAMPLES,
            n_mels=sound.n_mels,
            min_hz=0.0,
            max_hz=SAMPLE_RATE_HZ / 2,
            log_floor=10.0**LOG10_FLOOR,
            lead_samples=PAD_STEPS * step_samples - EARLY_SAMPLES,
            scale="slaney",
        ),
        encoder=EncoderSpec(ENCODER, sound.chunk_frames, left_frames=0, right_frames=0),
        decoder=DecoderSpec(
            file=DECODER,
            n_sinks=0,
            window=text.n_rows,
            step_ms=1000 * step_samples // SAMPLE_RATE_HZ,
        ),
        tokens=TokenSpec(
            pad=_token(vocabulary, PAD, checkpoint),
            bos=_token(vocabulary, BOS, checkpoint),
            n_text=text.n_vocab,
            prompt_pads=PAD_STEPS,
        ),
        policy=PolicySpec(delay, MIN_DELAY, MAX_DELAY, pad_bias=0.0),
        files={},
    )


def _token(vocabulary: Vocabulary, text: str, checkpoint: Checkpoint) -> int:
    if text not in vocabulary.tokens:
        raise ModelError(f"{checkpoint.folder}: its tokenizer has no {text}")
    return vocabulary.tokens.index(text)
