# SPDX-License-Identifier: Apache-2.0
"""How good translations are, by the two measures that papers give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgestream.errors import UsageError


@dataclass(frozen=True, slots=True)
class Quality:
    """0 to 100, more is better. `bleu`: runs of words that are right (Papineni et al. 2002);
    `chrf`: runs of letters (Popović 2015)."""

    bleu: float
    chrf: float


def quality(translations: Sequence[str], references: Sequence[str]) -> Quality:
    """Of sentences and their references, by sacrebleu with its usual settings.

    Raises UsageError where that is not installed, ValueError where the numbers differ.
    """
    try:
        import sacrebleu
    except ImportError:
        raise UsageError(
            "bench: BLEU is computed by sacrebleu; pip install 'edgestream[bench]'"
        ) from None
    if len(translations) != len(references):
        raise ValueError(f"{len(translations)} translations, {len(references)} references")
    bleu = sacrebleu.corpus_bleu(list(translations), [list(references)])
    chrf = sacrebleu.corpus_chrf(list(translations), [list(references)])
    return Quality(bleu.score, chrf.score)
