# SPDX-License-Identifier: Apache-2.0
"""A commentator's folder, loaded once; builds the stages of as many streams as are wanted."""

from __future__ import annotations

from pathlib import Path

from edgestream._native import InterleavedLoop, LoopConfig
from edgestream.captions.pieces import pieces
from edgestream.decoder.open import make_ring, open_gguf
from edgestream.errors import ModelError
from edgestream.library.folders import read_verified
from edgestream.library.manifest.commentator import CommentatorManifest
from edgestream.library.manifest.manifest import MANIFEST
from edgestream.onnx.encoder import PICTURE, Encoder, EncoderWeights
from edgestream.policy import SilenceThreshold
from edgestream.vision.chattiness import Chattiness, Novelty
from edgestream.vision.commentator.stages import BuiltInCommentator
from edgestream.vision.gates import Linger, PictureGate, RowGate
from edgestream.vision.governor import Levers, intervals
from edgestream.vision.watcher import Focus, Watcher


class CommentatorModel(Watcher):
    """Weights and manifest of one commentator; immutable, may be shared between threads."""

    manifest: CommentatorManifest

    def __init__(self, folder: Path, *, decoder_device: str | None = None) -> None:
        """Raises ModelError when a file is missing, damaged or of another family."""
        self.folder = folder
        self.manifest = m = read_verified(folder, CommentatorManifest)
        self.encoder = EncoderWeights(
            folder / m.encoder.file,
            input_name=PICTURE,
            chunk_shape=(m.pictures.height, m.pictures.width, 3),
        )
        self.decoder = open_gguf(folder, m.decoder, decoder_device)
        self.pieces = self._pieces()

    @property
    def answers(self) -> bool:
        """Whether its streams can be asked."""
        return False

    @property
    def fps(self) -> float:
        """Pictures a second that it was trained on; a stream takes no more."""
        return 1000 / self.manifest.pictures.picture_ms

    def _levers(self, fps: float) -> Levers:
        """A sentence cut short says little, and pictures and window have the size of training."""
        return Levers((self.manifest.policy.max_tokens,), intervals(fps))

    def _commentator(
        self, chattiness: Chattiness, prompt: str | None, fps: float, layout: str | None,
        focus: Focus,
    ) -> BuiltInCommentator:  # fmt: skip
        m = self.manifest
        self._expect_no(prompt=prompt, layout=layout, zones=focus.zones, only=focus.only)
        encoder = Encoder(self.encoder)
        if encoder.n_embd != self.decoder.n_embd:
            raise ModelError(
                f"{self.folder}: the encoder gives rows of {encoder.n_embd},"
                f" the decoder takes {self.decoder.n_embd}"
            )
        return BuiltInCommentator(
            picture_gate=PictureGate(
                m.pictures.width,
                m.pictures.height,
                tile_px=m.gate.tile_px,
                min_difference=m.gate.min_difference,
            ),
            picture_linger=Linger(m.gate.linger_ms),
            encoder=encoder,
            row_gate=RowGate(encoder.n_embd, max_cosine=m.gate.max_cosine),
            row_linger=Linger(m.gate.linger_ms),
            loop=self._loop(chattiness),
            pieces=self.pieces,
            novelty=Novelty(chattiness.memory_ms),
        )

    def _loop(self, chattiness: Chattiness) -> InterleavedLoop:
        """Silence is a score after each picture and no row (VideoLLM-online, Chen et al. 2024)."""
        m, t = self.manifest, self.manifest.tokens
        ring = make_ring(self.decoder, m.decoder)
        config = LoopConfig(
            max_tokens_per_unit=m.policy.max_tokens,
            n_text=t.n_text,
            silence=t.silence,
            silence_bias=m.policy.silence_bias + chattiness.silence_bias,
            overrule_silence=True,
            end_of_turn=[t.end],
        )
        return InterleavedLoop(
            ring, SilenceThreshold(0.0), config, prompt=[t.bos], remember_silence=False
        )

    def _pieces(self) -> list[str]:
        texts, t = self.decoder.token_texts(), self.manifest.tokens
        if max(t.n_text - 1, t.bos) >= len(texts):
            raise ModelError(
                f"{self.folder / MANIFEST}: token {max(t.n_text - 1, t.bos)} is named,"
                f" {self.manifest.decoder.file} has {len(texts)} tokens"
            )
        types, kind = (
            self.decoder.metadata(f"tokenizer.ggml.{key}") for key in ("token_type", "model")
        )
        numbers = [n if isinstance(n, int) else 0 for n in types] if isinstance(types, list) else []
        return pieces(texts, numbers, str(kind))
