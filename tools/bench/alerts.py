# SPDX-License-Identifier: Apache-2.0
"""How well a model tells what fits an alert, and what that costs:

    python tools/bench/alerts.py MODEL.gguf [MODEL.gguf ...]

On the lines of tests/data/alerts.toml. Half of them chose the prompt and the constants of
`edgestream/reader/alert_probe.py`; the figures of docs/read.md are of the others, "held out".
`yes/no` asks "Does this mean that ...?" instead, behind as many examples, and compares the scores
of Yes and No: raw, and with those of lines that say nothing taken off.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.decoder.rows import token_rows
from edgestream.library.toml_file import parse_toml
from edgestream.reader.alert import THRESHOLD
from edgestream.reader.alert_probe import CONTENT_FREE, EXAMPLES, MAX_ROWS, AlertProbe
from edgestream.reader.model import ReaderModel, load_reader

DATA = Path(__file__).resolve().parents[2] / "tests/data/alerts.toml"
N_COSTS = (1, 4, 8)  # alerts at once
Array = NDArray[Any]


def main() -> None:
    """Prints a row for each model and half, and what each costs."""
    labelled = parse_toml(DATA)
    names, alerts = list(labelled["alerts"]), list(labelled["alerts"].values())
    lines = [line for kind in labelled["lines"].values() for line in kind]
    wanted = np.array([[name in labels.split() for name in names] for _, labels in lines])
    half = np.arange(len(lines)) // 2 % 2 == 1
    for path in sys.argv[1:]:
        model = load_reader(path)
        probe = AlertProbe(model, alerts)
        scores = np.array([probe.scores(text) for text, _ in lines])
        print(f"{Path(path).name}: {len(lines)} lines, {len(alerts)} alerts, {wanted.sum()} fit")
        for name, places in (("chosen on", ~half), ("held out", half)):
            print(f"  {name:10}", quality(scores[places], wanted[places], THRESHOLD))
        asked = YesNo(model, alerts)
        raw = np.array([asked.odds(text) for text, _ in lines])
        usual = np.mean([asked.odds(text) for text in CONTENT_FREE], axis=0)
        for name, odds in (("yes/no raw", raw), ("calibrated", raw - usual)):
            best = max(np.unique(odds[~half]), key=lambda t: f1(odds[~half] >= t, wanted[~half]))
            print(f"  {name:10}", quality(odds[half], wanted[half], best))
        for n in N_COSTS:
            print(f"  {n} alerts: {cost_ms(model, alerts[:n], [text for text, _ in lines]):.0f} ms")


class YesNo:
    """Asks for yes or no behind the same examples."""

    def __init__(self, model: ReaderModel, alerts: list[str]) -> None:
        self._model = model
        text = ""
        for i, (line, alert) in enumerate(EXAMPLES):
            other = EXAMPLES[(i + 1) % len(EXAMPLES)][1]
            text += f'"{line}"\nDoes this mean that {alert}?\nAnswer: Yes\n\n'
            text += f'"{line}"\nDoes this mean that {other}?\nAnswer: No\n\n'
        prompt = model.tokenizer.first_tokens(self._encode("\n" + text))
        self._ring = model.ring(n_sinks=len(prompt), window=MAX_ROWS, max_rows=MAX_ROWS)
        self._ring.step_groups([(0, token_rows(model.weights, prompt))], logits="none")
        self._branches = [
            token_rows(model.weights, self._encode(f" {alert}?\nAnswer:")) for alert in alerts
        ]
        self._answers = [
            sorted({self._encode(form)[0] for form in (f" {word}", word)}) for word in ("Yes", "No")
        ]

    def odds(self, line: str) -> Array:
        """Logarithm of yes over no, [alerts]."""
        trunk = self._encode(f'"{line}"\nDoes this mean that')
        logits = self._ring.probe(self._branches, token_rows(self._model.weights, trunk))
        yes, no = (
            np.logaddexp.reduce(logits[:, tokens].astype(np.float64), axis=1)
            for tokens in self._answers
        )
        return np.asarray(yes - no)

    def _encode(self, text: str) -> list[int]:
        return self._model.tokenizer.encode(text, add_special=False)


def quality(scores: Array, wanted: Array, threshold: float) -> str:
    """Area under the curve, of all and as the mean over alerts; F1 and its parts."""
    each = [auc(scores[:, i], wanted[:, i]) for i in range(wanted.shape[1])]
    told = scores >= threshold
    precision, recall = (told & wanted).sum() / max(told.sum(), 1), told[wanted].mean()
    return (
        f"AUC {auc(scores, wanted):.3f}, by alert {np.mean(each):.3f} (least {min(each):.2f});"
        f" F1 {f1(told, wanted):.2f}, precision {precision:.2f}, recall {recall:.2f}"
    )


def auc(scores: Array, wanted: Array) -> float:
    """How often what fits has the higher score of two."""
    fits, others = scores[wanted][:, None], scores[~wanted]
    return float((fits > others).mean() + 0.5 * (fits == others).mean())


def f1(told: Array, wanted: Array) -> float:
    """Harmonic mean of precision and recall."""
    return float(2 * (told & wanted).sum() / (told.sum() + wanted.sum()))


def cost_ms(model: ReaderModel, alerts: list[str], lines: list[str]) -> float:
    """Processor time for a line, median of some."""
    probe, times = AlertProbe(model, alerts), []
    for line in lines[:15]:
        begun = time.process_time()
        probe.fit(line)
        times.append(time.process_time() - begun)
    return 1e3 * float(np.median(times))


if __name__ == "__main__":
    main()
