# SPDX-License-Identifier: Apache-2.0
"""Kyutai's speech-to-text models: a checkpoint becomes a model's folder.

Kyutai stt (Zeghidour et al. 2025, "Streaming Sequence-to-Sequence Learning with Delayed Streams
Modeling") reads the sum of Mimi's codes of 80 ms and of its own last text token. The codes'
embeddings move into the encoder's graph; what is left is a llama. Its first row, BOS with a code
that stands for "no sound yet" in every book, becomes a token of its own behind the text tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.convert.checkpoint import PREPROCESSOR, Checkpoint, taken
from edgestream.convert.gguf.quantize import GGUF_QUANTS, write_quantized
from edgestream.convert.gguf.tensors import View
from edgestream.convert.models.decoder_config import ARCHITECTURES, DecoderConfig, RopeConfig
from edgestream.convert.onnx.mimi import SAMPLE_RATE_HZ, MimiConfig, MimiGraph
from edgestream.convert.onnx.stream import Floats
from edgestream.convert.request import Request
from edgestream.convert.tokenizer.vocabulary import BYTE_TOKENS, TokenType, Vocabulary
from edgestream.convert.verify.decoder import Comparison
from edgestream.convert.verify.stream import compare_stream
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields, read_json
from edgestream.library.manifest.concatenated import (
    ConcatenatedManifest,
    DecoderSpec,
    EncoderSpec,
    PolicySpec,
    TokenSpec,
    WaveformSpec,
)
from edgestream.library.manifest.manifest import FORMAT, MANIFEST
from edgestream.library.manifest.read import read_manifest
from edgestream.library.manifest.write import write_manifest
from edgestream.library.progress import Progress
from edgestream.speech.concatenated.model import Model

ENCODER, DECODER = "encoder.onnx", "decoder.gguf"
TOKENIZER = "tokenizer.json"
ROWS = "model.embed_tokens.embed_tokens.weight"
MAX_WIDTH, MAX_COUNT, MAX_VOCAB = 1 << 16, 1 << 10, 1 << 24
N_SINKS = 0  # the first row leaves with the window, as in training


@dataclass(frozen=True, slots=True)
class KyutaiConfig:
    """What a Kyutai stt has beside Mimi and the layers of a llama."""

    llama: DecoderConfig
    mimi: MimiConfig
    n_text: int
    n_codes: int  # of a book, with that of "no sound yet", which is `no_sound`
    no_sound: int
    bos: int
    pad: int
    window: int

    @property
    def n_rows(self) -> int:
        """Embeddings of all: text, codes and one of zeros."""
        return self.n_text + self.mimi.num_quantizers * self.n_codes + 1


def read_config(config: Fields) -> KyutaiConfig:
    """From config.json; raises ModelError naming what is missing or not computed."""
    mimi = MimiConfig.read(config.table("codec_config"))
    config.refuse("hidden_act", "silu")
    config.refuse("num_codebooks", mimi.num_quantizers)
    n_text = config.integer("vocab_size", 1, MAX_VOCAB)
    window = config.integer("sliding_window", 1, 1 << 20)
    n_codes = config.integer("codebook_vocab_size", 1, MAX_VOCAB)
    n_rows = n_text + mimi.num_quantizers * n_codes + 1
    return KyutaiConfig(
        llama=_llama(config, n_text + 1, window),
        mimi=mimi,
        n_text=n_text,
        n_codes=n_codes,
        no_sound=config.integer("audio_bos_token_id", 0, n_codes - 1),
        bos=config.integer("bos_token_id", 0, n_rows - 1),
        pad=config.integer("pad_token_id", 0, n_text - 1),
        window=window,
    )


def _llama(config: Fields, n_vocab: int, window: int) -> DecoderConfig:
    n_embd = config.integer("hidden_size", 1, MAX_WIDTH)
    n_heads = config.integer("num_attention_heads", 1, MAX_COUNT)
    rope = config.table("rope_parameters")
    rope.refuse("rope_type", "default")
    return DecoderConfig(
        architecture=ARCHITECTURES["llama"],
        n_layers=config.integer("num_hidden_layers", 1, MAX_COUNT),
        n_embd=n_embd,
        n_ff=config.integer("ffn_dim", 2, 2 * MAX_WIDTH) // 2,
        n_heads=n_heads,
        n_kv_heads=config.integer("num_key_value_heads", 1, MAX_COUNT, n_heads),
        head_dim=config.integer("head_dim", 2, MAX_WIDTH, max(2, n_embd // n_heads)),
        n_vocab=n_vocab,
        n_rows=window,
        rms_epsilon=config.positive("rms_norm_eps"),
        tied=False,
        rope=RopeConfig(rope.positive("rope_theta", config.positive("rope_theta", 10000.0))),
    )


class LlamaOfKyutai(View):
    """The decoder's tensors under a llama's names, as `write_gguf_decoder` reads them."""

    def __init__(self, checkpoint: Checkpoint, config: KyutaiConfig) -> None:
        super().__init__(checkpoint)
        self._checkpoint, self._config = checkpoint, config
        self.shapes = {there: shape for there, _, shape in config.llama.shapes()}

    def array(self, name: str) -> NDArray[Any]:
        """A tensor of the llama."""
        c, width = self._config, self._config.llama.n_embd
        if name == "model.embed_tokens.weight":
            return np.concatenate([self._rows()[: c.n_text], self.first_row()[None]])
        if name == "lm_head.weight":  # BOS is never written
            head = self._take(name, c.n_text, width)
            return np.concatenate([head, np.zeros((1, width), head.dtype)])
        shape, n_ff = self.shapes[name], c.llama.n_ff
        for part, half in (("gate_proj", 0), ("up_proj", 1)):
            if part in name:
                both = self._take(name.replace(part, "fc1"), 2 * n_ff, width)
                return both[half * n_ff : (half + 1) * n_ff]
        if "self_attn" in name:
            name = name.replace(".weight", ".linear.weight")
        return self._take(name.replace("down_proj", "fc2"), *shape)

    def books(self) -> NDArray[np.float32]:
        """Embeddings of the codes [books, n_codes, n_embd]."""
        c = self._config
        rows = self._rows()[c.n_text : c.n_rows - 1].astype(np.float32)
        return rows.reshape(c.mimi.num_quantizers, c.n_codes, c.llama.n_embd)

    def first_row(self) -> NDArray[Any]:
        """BOS, and "no sound yet" of every book."""
        c, rows = self._config, self._rows()
        first = rows[c.bos].astype(np.float32) + self.books()[:, c.no_sound].sum(0)
        row: NDArray[Any] = first.astype(rows.dtype)
        return row

    def _rows(self) -> NDArray[Any]:
        return self._take(ROWS, self._config.n_rows, self._config.llama.n_embd)

    def _take(self, name: str, *shape: int) -> NDArray[Any]:
        return taken(self._checkpoint, name, *shape)


def write(checkpoint: Checkpoint, folder: Path, request: Request, progress: Progress) -> None:
    """Writes the model's folder; raises ModelError if the checkpoint is damaged or unsupported."""
    _, quant = request.choose(GGUF_QUANTS)
    config = read_config(checkpoint.config)
    sound = Fields(read_json(checkpoint.file(PREPROCESSOR)), str(checkpoint.folder / PREPROCESSOR))
    vocabulary = _vocabulary(checkpoint, config)
    llama = LlamaOfKyutai(checkpoint, config)
    progress("encoder", 0, 1)
    MimiGraph(checkpoint, config.mimi).write(folder / ENCODER, llama.books())
    progress("encoder", 1, 1)
    write_quantized(
        folder / DECODER, llama, config.llama, vocabulary, quant, request.n_threads, progress
    )
    manifest = _manifest(config, sound, request, checkpoint.license())
    write_manifest(folder, manifest, request.entry)
    Model(folder)  # what cannot be loaded is not delivered


def compare(checkpoint: Checkpoint, folder: Path) -> Comparison:
    """The result's logits beside those of transformers."""
    lead_samples = read_manifest(folder / MANIFEST, ConcatenatedManifest).audio.lead_samples

    def run(source: Any, samples: Floats) -> tuple[list[int], Floats]:
        import torch

        led = np.concatenate([np.zeros(lead_samples, np.float32), samples])
        sound = torch.tensor(led)[None, None]
        text = source.generate(input_values=sound, do_sample=False)[0, :-1]
        codes = source.codec_model.encode(sound).audio_codes[0].T
        first = torch.full_like(codes[:1], source.config.audio_bos_token_id)
        codes = torch.cat([first, codes])[: len(text)]
        logits = source(input_ids=torch.cat([text[:, None], codes], dim=1)[None]).logits
        return text.tolist(), logits[0].numpy()

    name = "KyutaiSpeechToTextForConditionalGeneration"
    return compare_stream(checkpoint.folder, folder, name, run, skipped=1)


def _manifest(
    config: KyutaiConfig, sound: Fields, request: Request, license: str
) -> ConcatenatedManifest:
    step_ms = 1000 * config.mimi.frame_size // SAMPLE_RATE_HZ
    delay_s = sound.get("audio_delay_seconds", (int, float), 0.5)
    lead_s = sound.get("audio_silence_prefix_seconds", (int, float), 0)
    if not 0 <= delay_s < 60 or not 0 <= lead_s <= 10:
        raise ModelError(f"{sound.where}: a delay of {delay_s} s or a lead of {lead_s} s")
    delay_frames = round(1000 * delay_s / step_ms)
    return ConcatenatedManifest(
        format=FORMAT,
        name=request.name,
        family="concatenated",
        description=f"Kyutai speech to text, converted from {request.source}",
        languages=(),
        license=license,
        audio=WaveformSpec(SAMPLE_RATE_HZ, lead_samples=round(SAMPLE_RATE_HZ * lead_s)),
        encoder=EncoderSpec(ENCODER, config.mimi.frame_size, left_frames=0, right_frames=0),
        decoder=DecoderSpec(file=DECODER, n_sinks=N_SINKS, window=config.window, step_ms=step_ms),
        tokens=TokenSpec(pad=config.pad, bos=config.n_text, n_text=config.n_text),
        policy=PolicySpec(delay_frames, delay_frames, delay_frames, pad_bias=0.0),
        files={},
    )


def _vocabulary(checkpoint: Checkpoint, config: KyutaiConfig) -> Vocabulary:
    """Pieces of SentencePiece, from which text is only ever put together, not cut."""
    tokenizer = Fields(read_json(checkpoint.file(TOKENIZER)), str(checkpoint.folder / TOKENIZER))
    found = tokenizer.table("model").get("vocab", (dict, list))
    ids = sorted(found, key=found.__getitem__) if isinstance(found, dict) else found
    pieces = [each[0] if isinstance(each, list) and each else each for each in ids]
    if not all(isinstance(piece, str) and piece for piece in pieces):
        raise ModelError(f"{tokenizer.where}: model.vocab holds something else than pieces")
    if len(pieces) > config.n_text:
        raise ModelError(
            f"{tokenizer.where}: {len(pieces)} pieces, config.json has {config.n_text}"
        )
    types = [_type(piece) for piece in pieces]
    vocabulary = Vocabulary("llama", pieces, types, scores=[0.0] * len(pieces))
    vocabulary.fill(config.n_text)
    vocabulary.put(config.n_text, "[BOS]", TokenType.CONTROL, tokenizer.where)
    return vocabulary


def _type(piece: str) -> TokenType:
    if piece in BYTE_TOKENS:
        return TokenType.BYTE
    bracketed = len(piece) > 2 and piece[0] == "<" and piece[-1] == ">"
    return TokenType.CONTROL if bracketed else TokenType.NORMAL
