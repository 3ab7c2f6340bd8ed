# SPDX-License-Identifier: Apache-2.0
"""Each way to translate against its definition in float64: the same drafts, commits and ends."""

import functools

import pytest
from float64_translation import Float64Memory
from tiny_translator import tiny_translator
from translation_definitions import Definition, Grouped, Interleaved, Reencoded

from edgestream.events import TranslationDraft
from edgestream.reader.model import ReaderModel
from edgestream.reader.reader import Reader
from edgestream.reader.text import TextStream
from edgestream.reader.translate import Translate
from edgestream.reader.translation import conversation, phrasing, reencoded, setting, trained
from edgestream.reader.translation.phrasing import phrase

TEXT = (
    "Ba da fo gi. Ko lu mi, no pe ra su. Ti ba? Da fo gi ko lu mi no pe ra su ti ba da fo gi ko."
    " Ra su! Ti ba da fo"
)
POLICIES = {  # of words read, words written, the lag of attention and agreement; hypotheses
    "local-agreement:2": (lambda read, written, lag, agreed: agreed, 2),
    "wait-k:2": (lambda read, written, lag, agreed: read >= 2 + written, 1),
    "alignatt:2": (lambda read, written, lag, agreed: lag >= 2, 1),
    "alignatt:1+wait-k:3": (lambda read, written, lag, agreed: lag >= 1 and read >= 3 + written, 1),
}
IN_ONE_GO = [policy for policy in POLICIES if "agreement" not in policy]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small enough for float64, and so that limits and windows are reached."""
    monkeypatch.setattr(phrasing, "SYSTEM", "Say it in {target}.")
    monkeypatch.setattr(phrasing, "examples", lambda *_: [("Ba da.", "No so.")])
    monkeypatch.setattr(reencoded, "LONGEST", Definition.longest)
    monkeypatch.setattr(reencoded, "MOST", Definition.most)
    monkeypatch.setattr(setting, "MOST_AT_ONCE", Definition.longest)
    monkeypatch.setattr(trained, "ROWS", Definition.window // 2)
    ring = functools.partialmethod(ReaderModel.ring, kv_type="f32")
    monkeypatch.setattr(ReaderModel, "ring", ring)
    for module in (reencoded, conversation):
        monkeypatch.setattr(module, "WINDOW", Definition.window)


def told(model, task):
    """(text, n_final) of each draft and (text, None) of each translation."""
    reader, stream = Reader(model, [task]), TextStream()
    events = [*stream.take(TEXT.encode()), *stream.finish()]
    said = [each for event in events for each in reader.push(event)] + reader.finish()
    assert len(said) > 4, "next to nothing was compared"
    return [
        (each.text, each.n_final if isinstance(each, TranslationDraft) else None) for each in said
    ]


@pytest.mark.parametrize("kind", ["chat", "plain"])
@pytest.mark.parametrize("policy", POLICIES)
def test_translated_anew_for_each_word(tmp_path, kind, policy):
    model = tiny_translator(tmp_path, kind=kind)
    assert told(model, Translate("fr", policy)) == Reencoded(model, TEXT).tell(*POLICIES[policy])


@pytest.mark.parametrize("policy", IN_ONE_GO)
def test_a_trained_model_with_source_and_target_in_regions(tmp_path, policy):
    model = tiny_translator(tmp_path, kind="trained")
    end, first = (model.tokenizer.encode(t, special=True)[-1] for t in ("<end>", "<grouped>"))
    definition = Grouped(
        model, TEXT, words_of(model), [end], before=[end], after_turn=[],
        memory=lambda *llama: Float64Memory(*llama, [first], [35, 35], n_sinks=1),
    )  # fmt: skip
    task = Translate("fr", policy, layout="grouped", attention_layers=definition.layers)
    assert told(model, task) == definition.tell(POLICIES[policy][0])


@pytest.mark.parametrize("policy", IN_ONE_GO)
def test_a_trained_model_with_source_and_target_in_turn(tmp_path, policy):
    model = tiny_translator(tmp_path, kind="trained")
    end, first = (model.tokenizer.encode(t, special=True)[-1] for t in ("<end>", "<interleaved>"))
    definition = Interleaved(
        model, TEXT, words_of(model), [end], ([], [], []),
        memory=lambda *llama: Float64Memory(*llama, [first], [70], n_sinks=1),
    )  # fmt: skip
    task = Translate("fr", policy, layout="interleaved", attention_layers=definition.layers)
    assert told(model, task) == definition.tell(POLICIES[policy][0])


@pytest.mark.parametrize("policy", IN_ONE_GO)
@pytest.mark.parametrize("kind", ["chat", "plain"])
def test_a_conversation_in_which_both_speak_at_once(tmp_path, kind, policy):
    model = tiny_translator(tmp_path, kind=kind)
    p = phrase(model.chat, model.tokenizer, "en", "fr")
    n_sentences = 0

    def tokens_of(words, first):
        nonlocal n_sentences
        n_sentences += first
        between = p.closes if first and n_sentences > 1 else []
        return [*between, *(t for word in words for t in p.word(word, first=first))]

    definition = Grouped(
        model, TEXT, tokens_of, p.ends, before=p.opens,
        after_turn=p.opens[1:] if p.opens[0] in p.ends else p.opens,
        memory=lambda *llama: Float64Memory(
            *llama, p.prompt, [35, 35], n_sinks=len(p.prompt), gap=35
        ),
    )  # fmt: skip
    task = Translate("fr", policy, layout="grouped", attention_layers=definition.layers)
    assert told(model, task) == definition.tell(POLICIES[policy][0])


@pytest.mark.parametrize(("policy", "n_words"), [("wait-k:2", 2), ("alignatt:2", 3)])
@pytest.mark.parametrize("kind", ["chat", "plain"])
def test_a_conversation_of_a_few_words_at_a_time(tmp_path, kind, policy, n_words):
    model = tiny_translator(tmp_path, kind=kind)
    p = phrase(model.chat, model.tokenizer, "en", "fr")
    definition = Interleaved(
        model, TEXT,
        lambda words, _: [t for i, w in enumerate(words) for t in p.word(w, first=i == 0)],
        p.ends, (p.opens, p.closes[1:], p.closes),
        memory=lambda *llama: Float64Memory(*llama, p.prompt, [70], n_sinks=len(p.prompt)),
    )  # fmt: skip
    task = Translate("fr", policy, layout="interleaved", attention_layers=definition.layers)
    always = lambda *_: True  # noqa: E731
    decide = always if policy.startswith("wait-k") else POLICIES[policy][0]
    assert told(model, task) == definition.tell(decide, n_words)


def words_of(model):
    return lambda words, _: model.tokenizer.encode(" ".join(words), add_special=False)
