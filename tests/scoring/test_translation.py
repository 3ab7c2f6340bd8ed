# SPDX-License-Identifier: Apache-2.0
"""BLEU and chrF of translations."""

import pytest

from edgestream.scoring.translation import quality

REFERENCES = ["Le chat dort sur la table.", "Il fait nuit et la porte est ouverte."]


def test_the_reference_is_as_good_as_can_be():
    found = quality(REFERENCES, REFERENCES)
    assert found.bleu == pytest.approx(100)
    assert found.chrf == pytest.approx(100)


def test_half_right_is_between_nothing_and_all():
    half = quality(["Le chat dort sous la chaise.", REFERENCES[1]], REFERENCES)
    wrong = quality(["xxx", "yyy"], REFERENCES)
    assert wrong.bleu < 1 < half.bleu < 100
    assert wrong.chrf < 10 < half.chrf < 100


def test_each_translation_has_a_reference():
    with pytest.raises(ValueError, match="1 translations, 2 references"):
        quality(["a"], REFERENCES)
