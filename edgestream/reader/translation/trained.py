# SPDX-License-Identifier: Apache-2.0
"""Translation by a model that was trained to read and write word by word (models/toy-translator).

Its vocabulary says so: a stream begins with <grouped> or <interleaved>, and <end> stands behind
each sentence that it writes.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgestream._native import GroupedLoop, InterleavedLoop
from edgestream.reader.model import ReaderModel
from edgestream.reader.translation.sentence_policy import SentencePolicy
from edgestream.reader.translation.setting import GROUPED, INTERLEAVED, Setting
from edgestream.reader.translation.streamed import StreamedTranslator

END = "<end>"
FIRST = {GROUPED: "<grouped>", INTERLEAVED: "<interleaved>"}
ROWS = 48  # of source and of target, that such a model remembers


def first_token(model: ReaderModel, layout: str) -> int | None:
    """The token that begins a stream of a layout; None where the model was not trained for it."""
    first, end = (_special(model, text) for text in (FIRST.get(layout, ""), END))
    return first[0] if len(first) == 1 and len(end) == 1 else None


def trained(setting: Setting, layout: str, first: int) -> StreamedTranslator:
    """A stream that begins with the token `first`."""
    model, policy = setting.model, SentencePolicy(setting.policy.policy)
    end = _special(model, END)
    config = setting.config(end)
    loop: GroupedLoop | InterleavedLoop
    if layout == GROUPED:
        ring = model.ring(
            n_sinks=1, window=[("input", ROWS), ("output", ROWS)], layout=GROUPED, gap=0,
            attention_layers=setting.attention_layers, n_threads=setting.n_threads,
        )  # fmt: skip
        loop = GroupedLoop(ring, policy, config, input_prompt=[first], output_prompt=end)
    else:
        ring = model.ring(
            n_sinks=1, window=2 * ROWS, attention_layers=setting.attention_layers,
            n_threads=setting.n_threads,
        )  # fmt: skip
        loop = InterleavedLoop(ring, policy, config, prompt=[first])

    def tokens_of(words: Sequence[str], begins: bool) -> list[int]:
        return model.tokenizer.encode(" ".join(words), add_special=False)

    return StreamedTranslator(model, loop, policy, tokens_of)


def _special(model: ReaderModel, text: str) -> list[int]:
    return model.tokenizer.encode(text, add_special=False, special=True)
