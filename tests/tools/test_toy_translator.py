# SPDX-License-Identifier: Apache-2.0
"""The toy translator that ships, through the loops of the package, on sentences it never saw."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools" / "train" / "translator"


@pytest.fixture(scope="module", autouse=True)
def _tools_on_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(TOOLS), *sys.path])
        yield


@pytest.fixture(scope="module")
def model():
    from edgestream.decoder import load_decoder

    return load_decoder("toy-translator")


@pytest.fixture(scope="module")
def pairs(_tools_on_path):
    from toy_translate import held_out

    return held_out(60, seed=3)


def exact(texts, pairs) -> float:
    return sum(t == p.target for t, p in zip(texts, pairs, strict=True)) / len(pairs)


# Shares of exact sentences. Of these 60 there were 0.95 under k=3 and all under k=9.
STREAM_FLOOR = 0.9
FLOORS = {
    ("grouped", 3): 0.85,
    ("grouped", 9): 0.95,
    ("interleaved", 3): 0.85,
    ("interleaved", 9): 0.95,
}


@pytest.mark.parametrize(("layout", "k"), list(FLOORS))
def test_the_model_translates_held_out_sentences_under_wait_k(model, pairs, layout, k) -> None:
    from toy_translate import Translator

    from edgestream.policy import WaitK

    translator = Translator(model, layout, WaitK(k))
    assert exact([translator.sentence(pair) for pair in pairs], pairs) >= FLOORS[layout, k]


@pytest.mark.parametrize("layout", ["grouped", "interleaved"])
def test_waiting_longer_translates_better(model, pairs, layout) -> None:
    """Word order differs: who writes after one word has to guess."""
    from toy_translate import Translator

    from edgestream.policy import WaitK

    early, late = (
        exact([translator.sentence(pair) for pair in pairs], pairs)
        for translator in (Translator(model, layout, WaitK(k)) for k in (1, 9))
    )
    assert early < late - 0.2


@pytest.mark.parametrize("layout", ["grouped", "interleaved"])
def test_a_stream_of_sentences_goes_on_while_the_window_forgets(model, pairs, layout) -> None:
    from toy_translate import BySentence, Translator

    translator = Translator(model, layout, BySentence(5))
    done = translator.stream(pairs).texts
    assert exact(done, pairs) >= STREAM_FLOOR
    assert translator.ring.pos > 8 * 97
    assert exact(done[-20:], pairs[-20:]) >= STREAM_FLOOR  # as good as the first ones


@pytest.mark.parametrize("layout", ["grouped", "interleaved"])
def test_attention_says_when_to_write(model, pairs, layout) -> None:
    """Under AlignAtt little is written early and wrong, with the layer that the manifest names."""
    from toy_translate import BySentence, Translator

    from edgestream.policy import AlignAtt

    layers = list(model.manifest.decoder.attention_layers)
    guided = Translator(model, layout, BySentence(0, AlignAtt(1)), layers).stream(pairs)
    blind = Translator(model, layout, BySentence(1)).stream(pairs)
    assert exact(guided.texts, pairs) >= exact(blind.texts, pairs) + 0.2


def test_every_word_of_the_sentences_is_a_token_of_the_file(model, pairs) -> None:
    for pair in pairs:
        for word in pair.english:
            tokens = model.tokenizer.encode(word, add_special=False)
            assert model.tokenizer.decode(tokens) == " " + word
            assert len(tokens) == 1 + (word[-1] in ".,?")
