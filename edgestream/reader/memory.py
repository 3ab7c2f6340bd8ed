# SPDX-License-Identifier: Apache-2.0
"""What a model remembers of what it read: a prompt that stays, what it wrote, the newest text."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import cast

from edgestream._native import RingDecoder
from edgestream.decoder.rows import token_rows
from edgestream.errors import UsageError, computing
from edgestream.reader.model import WINDOW, ReaderModel
from edgestream.reader.whole_texts import WholeTexts

TEXT = "text"  # the region of what was read
MAX_STEP = 256  # tokens of text that enter at once; a step takes memory for each
MAX_PROMPT = 1024  # tokens of the prompt, which stays for ever
HEARD = "What is being said, word by word:\n"  # before the text
LINE_END = "\n"


class Memory:
    """One ring (docs/decoder.md): rows of the prompt are its attention sinks, and never leave. Text
    and what the model wrote are regions with windows of their own: new text pushes out old text,
    and no note. All see all that is kept, in the order in which it came.

    The text stands in one turn of the user that never ends: a question closes it, in a fork.
    """

    def __init__(
        self,
        model: ReaderModel,
        prompt: str,
        *,
        window: int = WINDOW,
        regions: Mapping[str, int] | None = None,
        opening: str = HEARD,
        n_threads: int = 1,
    ) -> None:
        """`window` rows of text are kept, and of each further region as many as `regions` says.

        Raises UsageError where the prompt is too long or a window does not fit the model.
        """
        self.model = model
        prefix = model.chat.prefix(prompt)
        if opening:
            prefix += model.chat.text(opening, first=True)
        if len(prefix) > MAX_PROMPT:
            raise UsageError(f"a prompt of {len(prefix)} tokens; at most {MAX_PROMPT} fit")
        self._regions = [TEXT, *(regions or {})]
        windows = [(TEXT, window), *(regions or {}).items()]
        self.ring = model.ring(n_sinks=len(prefix), window=windows, n_threads=n_threads)
        self._kept = {name: WholeTexts(n_rows) for name, n_rows in (regions or {}).items()}
        self._line_end = model.chat.text(LINE_END)[-1]
        self._seen: deque[int] = deque(maxlen=window)  # newest tokens, for drafts
        self._spare: deque[RingDecoder] = deque()  # forks that nothing is asked of
        self._enter(TEXT, prefix)

    def read(self, text: str) -> None:
        """Text enters, as it stands: with the space before it."""
        tokens = self.model.chat.text(text)
        self._seen.extend(tokens)
        for at in range(0, len(tokens), MAX_STEP):
            self._enter(TEXT, tokens[at : at + MAX_STEP])

    def end_line(self) -> None:
        """A line of the text ends."""
        self.read(LINE_END)
        self.ring.begin_unit()

    def keep(self, text: str, region: str) -> None:
        """What the model wrote enters a region of its own, which the text does not push out.

        The region holds whole texts: where a new one needs room, the oldest leave as a whole, and
        empty lines before the new one take the rest of their place. A text that is longer than the
        region loses its end.
        """
        held = self._kept[region]
        tokens = self.model.chat.text(text)[: held.n_rows]
        self._seen.extend(tokens)
        self._enter(region, [self._line_end] * held.enter(len(tokens)) + tokens)

    @property
    def seen(self) -> list[int]:
        """Newest tokens of what was read and kept."""
        return list(self._seen)

    @property
    def n_bytes(self) -> int:
        """Of this memory; it does not grow."""
        return self.ring.state_bytes

    def fork(self, of: RingDecoder | None = None) -> RingDecoder:
        """A second memory with the same past, or with that of a fork `of` it, in which something is
        asked; it leaves no trace. One that was given back takes no new memory."""
        other = self.ring if of is None else of
        if self._spare:
            fork = self._spare.pop()
            fork.follow(other)
        else:
            fork = cast(RingDecoder, other.fork())
        return fork

    def give_back(self, fork: RingDecoder) -> None:
        """Nothing more is asked of a fork; on any thread."""
        self._spare.append(fork)

    def _enter(self, region: str, tokens: Sequence[int]) -> None:
        if not tokens:
            return
        rows = token_rows(self.model.weights, tokens)
        with computing():
            self.ring.step_groups([(self._regions.index(region), rows)], logits="none")
