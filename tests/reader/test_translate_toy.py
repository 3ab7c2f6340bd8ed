# SPDX-License-Identifier: Apache-2.0
"""A model that was trained to translate word by word, from text to committed words."""

from pathlib import Path

import pytest

import edgestream as es
from edgestream.events import Translation
from edgestream.reader.units import Unit
from edgestream.scoring.latency import average_lagging, commit_times
from edgestream.scoring.translation import quality

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models/toy-translator/decoder.gguf"
PAIRS = [
    line.split("\t")
    for line in (ROOT / "tests/data/translation/toy.tsv").read_text("utf-8").splitlines()
][:80]
pytestmark = pytest.mark.skipif(not MODEL.is_file(), reason="toy-translator is not here")


@pytest.mark.parametrize(
    ("layout", "policy", "least_bleu", "most_words"),
    [
        ("interleaved", "wait-k:3", 85, 3.3), ("interleaved", "alignatt:1", 85, 3.0),
        ("grouped", "wait-k:5", 85, 5.0),
    ],
)  # fmt: skip
def test_it_translates_sentences_that_training_never_saw(layout, policy, least_bleu, most_words):
    """A floor a good way below what docs/translation.md says of 200 sentences."""
    stage = es.Translate("fr", policy, layout=layout).stage(
        es.load_reader(MODEL), beside=False, n_threads=1
    )
    translations, lags = [], []
    for source, reference in PAIRS:
        words = source.split()
        events = [
            (i + 1, event)
            for i, word in enumerate(words)
            for event in stage.push(Unit(word, i, i + 1))
        ]
        whole = [event for _, event in events if isinstance(event, Translation)]
        assert [event.source for event in whole] == [source]
        translations.append(whole[0].text)
        n_reference = len(reference.split())
        lags.append(average_lagging(commit_times(events)[1], len(words), n_reference))
    assert quality(translations, [reference for _, reference in PAIRS]).bleu > least_bleu
    assert sum(lags) / len(lags) < most_words
