# SPDX-License-Identifier: Apache-2.0
"""What `model.toml` of a vision-language model says: a GGUF decoder with a vision tower beside."""

from __future__ import annotations

from dataclasses import dataclass

from edgestream.library.manifest.manifest import Manifest
from edgestream.library.manifest.ring import A_DEVICE, is_device

TRACKS, PICTURES = "tracks", "pictures"
ASKS = (TRACKS, PICTURES)  # about what a model is asked
INTERLEAVED = "interleaved"
# Of each way to lay pictures and comments into the ring, the ring's own name and whether `gap` is
# used.
LAYOUTS = {
    INTERLEAVED: ("one-clock", False),
    "group": ("grouped", False),
    "gap": ("grouped", True),
    "overlap": ("overlap", False),
}


KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0")


@dataclass(frozen=True, slots=True)
class VlmPictureSpec:
    """Pictures a second that are looked at, and the most rows that one becomes.

    A picture goes to the tower when a tile of it differs by `min_difference` from what was last
    kept of it; its rows enter the decoder where they lie below `max_cosine` to the last one kept at
    their place. A model that is asked about tracks looks as often as what follows them, and all
    rows of what it is shown enter: there `fps` only sets how much is remembered.
    """

    fps: float = 1.0
    max_rows: int = 256
    min_difference: float = 0.06
    max_cosine: float = 0.9


@dataclass(frozen=True, slots=True)
class VlmTowerSpec:
    """The vision tower's file."""

    file: str


@dataclass(frozen=True, slots=True)
class VlmDecoderSpec:
    """The decoder and what it keeps, in the regions of StreamingVLM (Xu et al. 2025).

    The first `text_sink` rows of text stay for ever, of the others the newest `text_window`, of
    pictures as many as come in `vision_window_s` seconds. `layout` is one of LAYOUTS; in those
    after the first `gap` is where output begins, and the prompt is the sink. `kv_type` is that of
    keys and values, one of KV_TYPES. `device` is as in RingSpec.
    """

    file: str
    text_sink: int = 512
    text_window: int = 512
    vision_window_s: float = 16.0
    layout: str = INTERLEAVED
    gap: int = 10_000
    kv_type: str = "f16"
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class VlmPromptSpec:
    """The first words, what is asked each time, and what is answered to say nothing."""

    system: str
    question: str = ""
    silence: str = "..."


@dataclass(frozen=True, slots=True)
class VlmPolicySpec:
    """When is spoken, at the usual chattiness.

    `asks` is one of ASKS: about what followed things do, or with each picture that changed. A
    comment is begun unless the first token of silence is likelier than all others and than
    `silence`; with PICTURES, when also `min_change` of the tiles changed since the last one was
    asked for. At most `max_tokens` come at a time; a model that was trained to go on with the next
    picture `continues`.
    """

    asks: str = TRACKS
    min_change: float = 0.02
    silence: float = 0.5
    max_tokens: int = 48
    continues: bool = False
    repetition_penalty: float = 1.05


@dataclass(frozen=True, slots=True)
class VlmManifest(Manifest):
    """All of the `model.toml` of a vision-language model."""

    tower: VlmTowerSpec
    decoder: VlmDecoderSpec
    prompt: VlmPromptSpec
    pictures: VlmPictureSpec = VlmPictureSpec()
    policy: VlmPolicySpec = VlmPolicySpec()


def vlm_rules(manifest: VlmManifest) -> list[tuple[bool, str]]:
    """Ranges that later stages rely on; each line names what is wrong."""
    pictures, decoder, policy = manifest.pictures, manifest.decoder, manifest.policy
    return [
        (0.01 <= pictures.fps <= 100, "pictures.fps must be 0.01 to 100"),
        (4 <= pictures.max_rows <= 4096, "pictures.max_rows must be 4 to 4096"),
        (0 <= pictures.min_difference <= 1, "pictures.min_difference must be 0 to 1"),
        (-1 <= pictures.max_cosine <= 1, "pictures.max_cosine must be -1 to 1"),
        (0 <= decoder.text_sink <= 1 << 16, "decoder.text_sink must be 0 to 65536"),
        (0 < decoder.text_window <= 1 << 16, "decoder.text_window must be 1 to 65536"),
        (0 < decoder.vision_window_s <= 3600, "decoder.vision_window_s must be above 0, to 3600"),
        (decoder.layout in LAYOUTS, f"decoder.layout must be one of {', '.join(LAYOUTS)}"),
        (0 <= decoder.gap <= 1 << 20, "decoder.gap must be 0 to 1048576"),
        (is_device(decoder.device), A_DEVICE),
        (decoder.kv_type in KV_TYPES, f"decoder.kv_type must be one of {', '.join(KV_TYPES)}"),
        (policy.asks in ASKS, f"policy.asks must be one of {', '.join(ASKS)}"),
        (not policy.continues or policy.asks == PICTURES,
         f'policy.continues = true needs policy.asks = "{PICTURES}"'),
        (0 <= policy.min_change <= 1, "policy.min_change must be 0 to 1"),
        (0 <= policy.silence <= 1, "policy.silence must be 0 to 1"),
        (0 < policy.max_tokens <= 1024, "policy.max_tokens must be 1 to 1024"),
        (1 <= policy.repetition_penalty <= 2, "policy.repetition_penalty must be 1 to 2"),
        ({manifest.tower.file, decoder.file} <= set(manifest.files) or not manifest.files,
         "tower.file and decoder.file must be listed with their sha256 in [files]"),
    ]  # fmt: skip
