# SPDX-License-Identifier: Apache-2.0
"""A Whisper hears which language is spoken: when it is sure, what waits for that, what changes."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_silero
import tiny_whisper as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers_whisper import sound

from edgestream.events import Final
from edgestream.speech.reencoded.language import LEAD, LEAST_ROWS, MOST_ROWS, SURE, LanguageEar
from edgestream.speech.reencoded.model import ReencodedModel
from edgestream.speech.reencoded.voice import VOICE_FILE

PAUSE = np.zeros(32000, np.float32)
EN, DE, FR = range(3)


def logits(**probabilities):
    """Scores of en, de and fr; what is not named shares the rest."""
    left = (1 - sum(probabilities.values())) / max(1, 3 - len(probabilities))
    given = [probabilities.get(name, left) for name in tiny.LANGUAGES]
    return np.log(np.array(given, np.float32)) + 5


def test_a_clear_language_is_sure_at_once_but_not_of_a_short_window():
    ear = LanguageEar()
    assert ear.hear(logits(de=0.99), LEAST_ROWS - 1) == DE
    assert not ear.is_sure
    assert ear.hear(logits(de=0.99), LEAST_ROWS) == DE
    assert ear.is_sure


def test_a_doubtful_language_is_sure_once_the_window_is_long():
    ear = LanguageEar()
    for n_rows in range(40, MOST_ROWS, 40):
        assert ear.hear(logits(fr=SURE - 0.2), n_rows) == FR
        assert not ear.is_sure
    ear.hear(logits(fr=SURE - 0.2), MOST_ROWS)
    assert ear.is_sure


def test_one_doubtful_window_changes_nothing():
    ear = LanguageEar()
    for n_rows in (40, 80, 120):
        ear.hear(logits(de=0.7), n_rows)
    assert ear.hear(logits(en=0.6), 160) == DE
    ear.begin()
    assert ear.hear(logits(en=0.6), 160) == EN


def test_the_language_of_the_utterances_before_has_a_lead():
    ear = LanguageEar()
    ear.hear(logits(en=0.95), 200)
    lead = LEAD / (1 + LEAD)  # so likely is that language if the window says nothing
    for likely, heard in ((lead - 0.03, EN), (lead + 0.03, DE)):
        ear.begin()
        assert ear.hear(logits(de=0.99), LEAST_ROWS - 1) == EN
        assert not ear.is_sure
        assert ear.hear(logits(de=likely, en=1 - likely - 1e-6), 100) == heard
    ear.forget()
    assert ear.hear(logits(de=0.5, en=0.4), 100) == DE


def test_an_utterance_that_was_never_sure_gives_no_lead():
    ear = LanguageEar()
    ear.hear(logits(fr=0.6), 60)
    ear.begin()
    assert ear.hear(logits(de=0.5, fr=0.45), 60) == DE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a voice gate of its own, to which what is loud is a voice."""
    folder = tiny.write(tmp_path_factory.mktemp("model") / "tiny")
    tiny_silero.write_loudness(folder / VOICE_FILE)
    return folder


@pytest.fixture
def spoken(folder, monkeypatch):
    """A model, and what it hears: logits of en, de and fr by the rows of a window; and how often
    it was asked."""
    model, heard, asked = ReencodedModel(folder), {0: logits(en=0.95)}, []
    hear = LanguageEar.hear

    def ask(self, _, n_rows):
        asked.append(n_rows)
        return hear(self, heard[max(n for n in heard if n <= n_rows)], n_rows)

    monkeypatch.setattr(LanguageEar, "hear", ask)
    return model, heard, asked


def language_of(stream, samples):
    stream.push(samples)
    decoder = stream.stages.decoder
    assert decoder._tokens[1] == decoder.language
    return tiny.LANGUAGES[decoder.language - tiny.FIRST_LANGUAGE]


def test_the_language_is_heard_again_after_a_pause(spoken):
    model, heard, asked = spoken
    stream = model.stream()
    assert language_of(stream, sound(0, 5.0)) == "en"
    n_asked = len(asked)
    assert n_asked > 1  # the first window was too short
    heard[0] = logits(de=0.95)
    assert language_of(stream, sound(1, 3.0)) == "en"  # nor does it change while somebody speaks
    assert len(asked) == n_asked
    stream.push(PAUSE)
    assert language_of(stream, sound(2, 4.0)) == "de"
    heard[0] = logits(de=0.4, fr=0.5)  # not clearly another
    stream.push(PAUSE)
    assert language_of(stream, sound(3, 4.0)) == "de"
    stream.reset()
    assert language_of(stream, sound(3, 4.0)) == "fr"


def test_a_translation_waits_for_what_comes(folder):
    model = ReencodedModel(folder)
    delays = [model.stream(**o).delay_ms for o in ({"task": "translate"}, {"delay": "sure"}, {})]
    assert delays[0] == delays[1] > delays[2]
    assert model.stream(task="translate", delay="low").delay_ms < delays[2]


def test_a_language_that_was_given_stays(spoken):
    model, heard, asked = spoken
    heard[0] = logits(de=0.95)
    stream = model.stream(language="fr")
    for i in range(2):
        assert language_of(stream, sound(i, 4.0)) == "fr"
        stream.push(PAUSE)
    assert not asked


def test_nothing_is_committed_before_the_language_is_sure(spoken):
    model, heard, _ = spoken
    heard[0], heard[160] = logits(en=0.5), logits(en=1 - 1e-6)
    written = {}
    for name, options in (("heard", {}), ("told", {"language": "en"})):
        stream = model.stream(vad="off", policy="wait-k:2", **options)
        loop, written[name] = stream.stages.loop, []
        for block in np.split(sound(0, 3.6), 9):
            stream.push(block)
            written[name].append(loop.written)
    assert written["told"][4] > 0
    assert written["heard"][:5] == [0] * 5  # up to the window in which it became sure
    assert written["heard"][5] > 0


def test_the_end_of_an_utterance_commits_what_waited(spoken):
    model, heard, _ = spoken
    heard[0] = logits(en=0.5)
    stream = model.stream(vad="off")
    assert not any(isinstance(event, Final) for event in stream.push(sound(0, 2.0)))
    assert any(isinstance(event, Final) for event in stream.finish())


def test_a_window_whose_language_changes_is_decoded_anew(spoken, monkeypatch):
    """However loyal the loop is to its last hypothesis: nothing of a wrong language stays."""
    monkeypatch.setattr("edgestream.speech.reencoded.model.LOYALTY", 1e9)
    model, heard, _ = spoken
    samples = sound(0, 4.0)[: 160 * 200 + 400]
    heard[0], heard[180] = logits(en=0.5), logits(de=1 - 1e-6)
    found = {}
    for name, options in (("heard", {}), ("en", {"language": "en"}), ("de", {"language": "de"})):
        stream = model.stream(vad="off", **options)
        if name == "de":  # all at once: no hypothesis before
            monkeypatch.setattr(stream.stages.pace, "rows_to_go", lambda n: 200 - n)
            monkeypatch.setattr(stream.stages.pace, "is_due", lambda n: n == 200)
        stream.push(samples)
        found[name] = stream.stages.loop.hypothesis
    assert found["heard"] == found["de"] != found["en"]


SPOKEN = np.concatenate([sound(0, 3.0), PAUSE, sound(1, 2.6), PAUSE, sound(2, 5.0)])


def events_of(model, sizes):
    stream, events, at, i = model.stream(), [], 0, 0
    while at < len(SPOKEN):
        events += stream.push(SPOKEN[at : at + sizes[i % len(sizes)]])
        at, i = at + sizes[i % len(sizes)], i + 1
    return events + stream.finish()


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(1, 30000), min_size=1, max_size=4))
def test_any_cutting_gives_the_captions_of_the_whole(folder, sizes):
    """Also where the language changes, within an utterance and from one to the next."""
    model, hear, languages = ReencodedModel(folder), LanguageEar.hear, []

    def ask(self, _, n_rows):
        scores = logits(**{tiny.LANGUAGES[n_rows // 90 % 3]: 0.7})
        languages.append(hear(self, scores, n_rows))
        return languages[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LanguageEar, "hear", ask)
        whole = events_of(model, [len(SPOKEN)])
        assert events_of(model, [*sizes, 9000]) == whole
    assert any(isinstance(event, Final) for event in whole)
    assert set(languages) == {EN, DE, FR}


def test_a_reset_stream_is_a_new_one(folder):
    model = ReencodedModel(folder)
    stream = model.stream()
    stream.push(SPOKEN[::-1].copy())
    stream.reset()
    assert stream.push(SPOKEN) + stream.finish() == events_of(model, [len(SPOKEN)])


def test_a_prompt_does_not_lead_what_is_heard(folder, monkeypatch):
    """The scores of the languages are those that the model gives of the sound alone."""
    model, hear, scores = ReencodedModel(folder), LanguageEar.hear, []

    def ask(self, given, n_rows):
        scores[-1].append(given.copy())
        return hear(self, given, n_rows)

    monkeypatch.setattr(LanguageEar, "hear", ask)
    for prompt in (None, "the house of green"):
        scores.append([])
        model.stream(vad="off", prompt=prompt).push(sound(0, 2.1))
    assert len(scores[0]) == 2
    assert np.allclose(scores[0], scores[1], atol=1e-4)
