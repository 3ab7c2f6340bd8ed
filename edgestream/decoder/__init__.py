# SPDX-License-Identifier: Apache-2.0
"""The parts of a stream of your own: a decoder's memory and a loop that reads and writes.

    model = GgufModel(path)                                # weights, shared by streams
    decoder = RingDecoder(model, n_sinks=4, window=1020)   # one stream's memory
    loop = InterleavedLoop(decoder, WaitK(3))              # a policy of edgestream.policy
    tokens, probabilities, read = loop.push_tokens([...])

All of these are native; docs/embedding.md shows their use. load_decoder(folder) opens what
`edgestream convert` wrote, weights and tokenizer.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgestream._native import (
        ConcatenatedLoop,
        Decoder,
        DecoderDrafter,
        DraftCounts,
        Drafter,
        GgufModel,
        GroupedLoop,
        InterleavedLoop,
        Loop,
        LoopConfig,
        NgramDrafter,
        ReencodedLoop,
        RingDecoder,
        SamplerConfig,
        SpecialTokens,
        TurnLoop,
        device_names,
    )
    from edgestream.decoder.model import DecoderModel, load_decoder
    from edgestream.decoder.tokenizer import Tokenizer

__all__ = [
    "ConcatenatedLoop", "Decoder", "DecoderDrafter", "DecoderModel", "DraftCounts", "Drafter",
    "GgufModel", "GroupedLoop", "InterleavedLoop", "Loop", "LoopConfig", "NgramDrafter",
    "ReencodedLoop", "RingDecoder", "SamplerConfig", "SpecialTokens", "Tokenizer", "TurnLoop",
    "device_names", "load_decoder",
]  # fmt: skip
OURS = {"DecoderModel": "model", "load_decoder": "model", "Tokenizer": "tokenizer"}


def __getattr__(name: str) -> object:
    # Loaded when it is first used: what asks for a file of this room alone does not wait.
    if name not in __all__:
        raise AttributeError(f"module 'edgestream.decoder' has no attribute {name!r}")
    from importlib import import_module

    room = f"edgestream.decoder.{OURS[name]}" if name in OURS else "edgestream._native"
    return getattr(import_module(room), name)
