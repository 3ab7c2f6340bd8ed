# SPDX-License-Identifier: Apache-2.0
"""The forms of an answer, from lines that are known; and which model is asked."""

import json

import openai
import pytest
import tiny_whisper
from serve_server import running_server
from subtitle_parsers import parse_srt, parse_vtt

from edgestream.data import DATA
from edgestream.errors import UsageError
from edgestream.events import Final, Gap, Word
from edgestream.outlets.writers import open_writer, written
from edgestream.serve.asked import asked, plain_language
from edgestream.serve.limits import Limits
from edgestream.serve.models import Models
from edgestream.serve.openai.answers import answer
from edgestream.serve.openai.upload import Wish

PERSON = DATA / "person.flac"


def line(text, start_ms, end_ms):
    parts = text.split()
    step_ms = (end_ms - start_ms) / len(parts)
    words = tuple(
        Word(part, start_ms + n * step_ms, start_ms + (n + 1) * step_ms, end_ms)
        for n, part in enumerate(parts)
    )
    return Final(text, words, start_ms, end_ms)


def answered(form, *events):
    wish = Wish(None, None, None, (), form, frozenset(["word", "segment"]), False)
    about = {"task": "transcribe", "language": "en"}
    return answer(wish, events, about, 2.5).body.decode()


@pytest.mark.parametrize("text", ["<b>bold</b> words", "AT&T and R&D", "A --> B goes on"])
def test_subtitles_lose_no_marks(text):
    """BerriAI/litellm#40103, hyperaudio/hyperaudio-lite-editor#409."""
    ((_, _, lines),) = parse_vtt(answered("vtt", line(text, 0, 2000)))
    assert " ".join(lines) == text
    parse_srt(answered("srt", line(text, 0, 2000)))
    assert answered("text", line(text, 0, 2000)) == text + "\n"
    assert json.loads(answered("json", line(text, 0, 2000)))["text"] == text


@pytest.mark.parametrize(
    ("time_ms", "clock"),
    [
        (999.5, "00:00:01,000"),  # OpenWhispr/openwhispr#1293
        (59_999.99, "00:01:00,000"),  # zhouxiaoka/autoclip#133
        (3_599_999.9, "01:00:00,000"),
        (2_300.0, "00:00:02,300"),  # debpalash/VoiceStudio#2074
        (7_300_000.0, "02:01:40,000"),  # ggml-org/whisper.cpp#3162
    ],
)
def test_clocks_are_whole(time_ms, clock):
    found = answered("srt", line("some words here", time_ms, time_ms + 1500))
    assert f"\n{clock} --> " in found


def test_a_cue_ends_after_it_starts():
    """thewh1teagle/vibe#895: one word a cue."""
    lines = [line(f"word{n}", 1000 * n, 1000 * n + 1) for n in range(5)]
    cues = parse_srt(answered("srt", *lines))
    assert all(start < end for start, end, _ in cues)
    assert len(cues) == 5


@pytest.mark.parametrize("form", ["srt", "vtt", "text", "jsonl"])
def test_the_text_is_that_of_a_file(form, tmp_path):
    events = [line("One line here.", 0, 900), Gap(900, 950, "lost"), line("Another one.", 950, 2e3)]
    writer = open_writer(form, tmp_path / "out")
    for event in events:
        writer.push(event)
    writer.finish()
    assert written(form, events) == (tmp_path / "out").read_text(encoding="utf-8")


def test_nothing_said_is_an_answer_too():
    assert answered("vtt") == "WEBVTT\n\n"
    assert answered("srt") == ""
    found = json.loads(answered("verbose_json"))
    assert (found["text"], found["segments"], found["words"]) == ("", [], [])
    assert found["duration"] == 2.5


@pytest.fixture(scope="module")
def two_models(tmp_path_factory):
    """An English one first, then one of three languages that translates."""
    return ["synthetic-en", str(tiny_whisper.write(tmp_path_factory.mktemp("whisper") / "tiny"))]


def test_a_model_that_fits_is_found(two_models):
    models, limits = Models(two_models), Limits(prompt_characters=12)
    assert asked(models, limits).model == "synthetic-en"
    assert asked(models, limits, prompt="names", delay="low").options == {"delay": "low"}
    german = asked(models, limits, language="de-AT", prompt="x" * 99, keywords=["Ann"])
    assert german.model == "tiny"
    assert german.options == {"language": "de", "prompt": "x" * 12}
    assert asked(models, limits, task="translate").options == {"task": "translate"}
    with pytest.raises(UsageError, match="synthetic-en: does not hear the language 'de'"):
        asked(models, limits, model="synthetic-en", language="de")
    with pytest.raises(UsageError, match="does not hear the language 'fi'"):
        asked(models, limits, language="fi")


@pytest.mark.parametrize(
    ("given", "plain"), [("DE", "de"), ("pt_BR", "pt"), ("auto", None), ("", None), (None, None)]
)
def test_languages_are_plain(given, plain):
    assert plain_language(given) == plain


@pytest.mark.filterwarnings("ignore:deprecated")  # by OpenAI, in favour of nothing
def test_translations_are_made_by_a_model_that_can(two_models):
    """Of random weights; that it is asked to translate is seen by its other text."""
    with running_server(two_models) as server:
        client = openai.OpenAI(base_url=f"{server.http}/v1", api_key="x", max_retries=0)
        with client:
            found = client.audio.translations.create(
                model="whisper-1", file=PERSON, response_format="verbose_json"
            )
            said = client.audio.transcriptions.create(
                model="tiny", file=PERSON, response_format="verbose_json", language="en"
            )
    assert found.language == "en"
    assert found.to_dict()["task"] == "translate"
    assert said.to_dict()["task"] == "transcribe"
    assert found.text != said.text
