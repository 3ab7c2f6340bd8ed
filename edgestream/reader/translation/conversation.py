# SPDX-License-Identifier: Apache-2.0
"""Translation in one go by a model that was not trained for it: a conversation in its chat
template. It costs least, and translates worst."""

from __future__ import annotations

from collections.abc import Sequence

from edgestream._native import GroupedLoop, InterleavedLoop
from edgestream.policy import WaitK
from edgestream.reader.translation.phrasing import Phrasing
from edgestream.reader.translation.reencoded import WINDOW
from edgestream.reader.translation.sentence_policy import SentencePolicy, UntilEnd
from edgestream.reader.translation.setting import GROUPED, Setting
from edgestream.reader.translation.streamed import StreamedTranslator

CHUNK = 3  # words that are read before they are translated, where no wait-k says how many


def side_by_side(setting: Setting, phrasing: Phrasing) -> StreamedTranslator:
    """User and assistant speak at the same time, each in a region of its own; the assistant's
    positions begin behind the longest text of the user, as in a conversation they would."""
    model, policy = setting.model, SentencePolicy(setting.policy.policy)
    half = WINDOW // 2
    ring = model.ring(
        n_sinks=len(phrasing.prompt), window=[("input", half), ("output", half)], layout=GROUPED,
        gap=half, attention_layers=setting.attention_layers, n_threads=setting.n_threads,
    )  # fmt: skip
    opens = phrasing.opens
    loop = GroupedLoop(
        ring, policy, setting.config(phrasing.ends), input_prompt=phrasing.prompt,
        output_prompt=opens, after_turn=opens[1:] if opens[0] in phrasing.ends else opens,
    )  # fmt: skip
    n_sentences = 0

    def tokens_of(words: Sequence[str], begins: bool) -> list[int]:
        nonlocal n_sentences
        between = phrasing.closes if begins and n_sentences else []
        n_sentences += begins
        return [*between, *(t for word in words for t in phrasing.word(word, first=begins))]

    return StreamedTranslator(model, loop, policy, tokens_of)


def in_turn(setting: Setting, phrasing: Phrasing) -> StreamedTranslator:
    """A few words, their translation, a few words, ... (as InfiniSST, Ouyang et al. 2025).
    `wait-k:3`: three words at a time."""
    chosen = setting.policy
    waits = isinstance(chosen.policy, WaitK)
    policy = SentencePolicy(UntilEnd() if waits else chosen.policy)
    ring = setting.model.ring(
        n_sinks=len(phrasing.prompt), window=WINDOW, attention_layers=setting.attention_layers,
        n_threads=setting.n_threads,
    )  # fmt: skip
    loop = InterleavedLoop(
        ring, policy, setting.config(phrasing.ends), prompt=phrasing.prompt,
        after_unit=phrasing.opens, after_turn=phrasing.closes[1:], after_silence=phrasing.closes,
    )  # fmt: skip

    def tokens_of(words: Sequence[str], begins: bool) -> list[int]:
        return [t for i, word in enumerate(words) for t in phrasing.word(word, first=i == 0)]

    n_words = max(1, chosen.n_words) if waits else CHUNK
    return StreamedTranslator(setting.model, loop, policy, tokens_of, n_words)
