# SPDX-License-Identifier: Apache-2.0
"""The parts of a stream of your own: a decoder's memory and a loop that reads and writes.

    model = GgufModel(path)                                # weights, shared by streams
    decoder = RingDecoder(model, n_sinks=4, window=1020)   # one stream's memory
    loop = InterleavedLoop(decoder, WaitK(3))              # a policy of edgestream.policy
    tokens, probabilities, read = loop.push_tokens([...])

All are native; docs/embedding.md shows their use.
"""

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

__all__ = [
    "ConcatenatedLoop", "Decoder", "DecoderDrafter", "DraftCounts", "Drafter", "GgufModel",
    "GroupedLoop", "InterleavedLoop", "Loop", "LoopConfig", "NgramDrafter", "ReencodedLoop",
    "RingDecoder", "SamplerConfig", "SpecialTokens", "TurnLoop", "device_names",
]  # fmt: skip
