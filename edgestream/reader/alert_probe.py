# SPDX-License-Identifier: Apache-2.0
"""How well a line fits what somebody waits for, by a small model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream.decoder.rows import token_rows
from edgestream.errors import UsageError, computing
from edgestream.reader.model import ReaderModel
from edgestream.system.native_work import native_work

MAX_ROWS = 64  # of a line and an alert together
MAX_ALERT = 20  # tokens
MAX_LINE = 36  # tokens; a longer line is asked about in pieces

OPENING, LEAD = '"', '"\nThis means that'
EXAMPLES = (
    ("The taxi is waiting outside.", "somebody mentions a car"),
    ("He has had a fever for three days.", "somebody is ill"),
    ("Could you pass me the salt?", "somebody wants to have something"),
    ("My sister lives in Rome.", "somebody talks about the family"),
)
# Lines of nothing in particular: what an alert gets for them is what it gets anyway.
CONTENT_FREE = (
    "N/A", "It is as it is.", "The table is made of wood.", "He walked along the street.",
    "I had soup for lunch.", "They talked for a while.", "The book has many pages.",
    "We use it every year.", "That is the second one.", "She works for a large company.",
    "The city lies on a river.", "And then we went on with it.",
)  # fmt: skip
LEAST_RANGE = 1.0  # nats between a line of nothing and one that says the alert itself


class AlertProbe:
    """Scores of lines for several alerts at once: 0 where a line fits an alert no better than one
    that says nothing, 1 where as well as the alert's own words would.

    A line is put before "This means that", and each alert is a branch behind it
    (`RingDecoder.probe`): how likely is the alert as the rest of the sentence? That is compared
    with how likely it is behind lines that say nothing, since short and usual words are always
    likely (domain-conditional PMI, Holtzman et al. 2021, "Surface Form Competition"; the
    content-free lines of contextual calibration, Zhao et al. 2021). Four examples in the prompt
    show how it is meant. Why not a question for yes or no: docs/read.md.

    One memory, of the prompt alone: nothing that is read stays in it. One thread at a time.
    """

    def __init__(self, model: ReaderModel, alerts: Sequence[str], *, n_threads: int = 1) -> None:
        """Raises UsageError: an alert is empty or too long."""
        self._model = model
        self._alerts = [self._read_alert(alert) for alert in alerts]
        prompt = model.tokenizer.first_tokens(self._encode("\n"))
        for line, alert in EXAMPLES:
            prompt += self._encode(f"{OPENING}{line}{LEAD} {alert}.\n\n")
        self._ring = model.ring(
            n_sinks=len(prompt), window=MAX_ROWS, max_rows=MAX_ROWS, n_threads=n_threads
        )
        with computing():
            self._ring.step_groups([(0, token_rows(model.weights, prompt))], logits="none")
        self._words = [f"{alert[:1].upper()}{alert[1:]}." for alert in map(_bare, alerts)]
        self._scale: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def scores(self, line: str) -> NDArray[np.float64]:
        """0 to 1 for each alert, [alerts]; of a long line's pieces the greatest."""
        if self._scale is None:
            self.prepare()
        assert self._scale is not None
        usual, whole = self._scale
        fits = np.stack([self.fit(piece) for piece in self._pieces(line)])
        scores: NDArray[np.float64] = np.clip((fits.max(axis=0) - usual) / whole, 0.0, 1.0)
        return scores

    def fit(self, line: str) -> NDArray[np.float64]:
        """Log-probability of each alert behind a line of MAX_LINE tokens at most, [alerts]."""
        trunk = self._encode(f"{OPENING}{line}{LEAD}")
        # A token is foreseen by the row before it: the last one need not enter.
        branches = [alert[:-1] for alert in self._alerts if len(alert) > 1]
        rows = [token_rows(self._model.weights, branch) for branch in branches]
        shared = token_rows(self._model.weights, trunk)
        with native_work(), computing():
            if rows:
                logits = self._ring.probe(rows, shared, logits="every")
            else:
                logits = self._ring.probe([shared])
        first, rest = logits[0], iter(logits[1:])
        fits = []
        for alert in self._alerts:
            before = [first, *(next(rest) for _ in alert[1:])]
            fits.append(sum(map(_log_probability, before, alert)))
        return np.array(fits)

    def prepare(self) -> None:
        """Learns what each alert gets from lines of nothing, and from its own words."""
        usual = np.mean([self.fit(line) for line in CONTENT_FREE], axis=0)
        own = np.array([self.fit(words)[i] for i, words in enumerate(self._words)])
        self._scale = usual, np.maximum(own - usual, LEAST_RANGE)

    def _pieces(self, line: str) -> list[str]:
        """The line, in pieces of whole words where it is too long."""
        pieces: list[str] = []
        for word in line.split():
            longer = f"{pieces[-1]} {word}" if pieces else word
            if pieces and len(self._encode(longer)) <= MAX_LINE:
                pieces[-1] = longer
            else:
                pieces.append(self._shortened(word))
        return pieces or [""]

    def _shortened(self, word: str) -> str:
        """The beginning of a word that is no word."""
        tokens = self._encode(word)
        return word if len(tokens) <= MAX_LINE else self._model.tokenizer.decode(tokens[:MAX_LINE])

    def _read_alert(self, alert: str) -> list[int]:
        words = _bare(alert)
        tokens = self._encode(f" {words}")
        if not words:
            raise UsageError("an alert without words; say what to wait for, as a short sentence")
        if len(tokens) > MAX_ALERT:
            raise UsageError(
                f"the alert {alert[:40]!r} has {len(tokens)} tokens; at most {MAX_ALERT} fit"
            )
        return tokens

    def _encode(self, text: str) -> list[int]:
        return self._model.tokenizer.encode(text, add_special=False)


def _bare(alert: str) -> str:
    return " ".join(alert.split()).rstrip(".!?")


def _log_probability(logits: NDArray[np.float32], token: int) -> float:
    """Of a token. In float32, as a large vocabulary takes long otherwise; summed exactly enough."""
    highest = logits.max()
    return float(logits[token] - highest - np.log(np.exp(logits - highest).sum(dtype=np.float64)))
