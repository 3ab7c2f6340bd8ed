# SPDX-License-Identifier: Apache-2.0
"""OpenAI's HTTP routes, asked by OpenAI's own client."""

import io
from itertools import pairwise

import httpx
import numpy as np
import openai
import pytest
import soundfile
from serve_server import running_server
from subtitle_parsers import parse_srt, parse_vtt

import edgestream as es
from edgestream.data import DATA
from edgestream.serve.told_text import joined

PERSON = DATA / "person.flac"
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def client(speech_server):
    with openai.OpenAI(base_url=f"{speech_server.http}/v1", api_key="x", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def finals():
    """What the library says of the same recording."""
    return [event for event in es.listen(PERSON, fast=True) if isinstance(event, es.Final)]


def ask(client, **more):
    return client.audio.transcriptions.create(**{"model": "whisper-1", "file": PERSON, **more})


def sound(samples, form="WAV"):
    """A file in memory, with a name that leads elsewhere."""
    file = io.BytesIO()
    soundfile.write(file, np.asarray(samples, np.float32), RATE_HZ, format=form)
    return ("../../etc/passwd.wav", file.getvalue())


def speech():
    return soundfile.read(PERSON, dtype="float32")[0]


def test_json_has_the_text_of_all_lines(client, finals):
    found = ask(client)
    assert found.text == joined(final.text for final in finals)
    assert found.usage.type == "duration"
    assert found.usage.seconds == pytest.approx(soundfile.info(PERSON).duration, abs=0.01)


def test_text_is_the_text_alone(client, finals):
    assert ask(client, response_format="text") == joined(f.text for f in finals) + "\n"


@pytest.mark.parametrize(("form", "parse"), [("srt", parse_srt), ("vtt", parse_vtt)])
def test_subtitles_have_every_word(client, finals, form, parse):
    cues = parse(ask(client, response_format=form))
    shown = " ".join(line for _, _, lines in cues for line in lines)
    assert shown.split() == " ".join(final.text for final in finals).split()
    assert cues[0][0] == round(finals[0].words[0].start_ms)


def test_verbose_json_has_lines_and_words_with_times(client, finals):
    found = ask(client, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert found.language == "en"
    assert found.duration == pytest.approx(soundfile.info(PERSON).duration, abs=0.01)
    assert "".join(each.text for each in found.segments).strip() == found.text
    assert [(each.start, each.end) for each in found.segments] == [
        (round(f.start_ms / 1000, 3), round(f.end_ms / 1000, 3)) for f in finals
    ]
    assert [word.word for word in found.words] == [w.text for f in finals for w in f.words]
    assert all(a.start <= b.start for a, b in pairwise(found.words))
    known = {"id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob"}
    assert known | {"compression_ratio", "no_speech_prob"} == set(found.segments[0].to_dict())


@pytest.mark.parametrize("asked", [["word"], ["segment"], None])
def test_only_what_is_asked_for_is_there(client, asked):
    more = {"timestamp_granularities": asked} if asked else {}
    found = ask(client, response_format="verbose_json", **more)
    assert (found.words is not None) == (asked == ["word"])
    assert (found.segments is not None) == (asked != ["word"])


def test_granularities_without_brackets_are_known(speech_server):
    data = {"timestamp_granularities": "word", "response_format": "verbose_json"}
    with PERSON.open("rb") as file:
        got = httpx.post(
            f"{speech_server.http}/v1/audio/transcriptions",
            data=data, files={"file": file}, timeout=60,
        ).json()  # fmt: skip
    assert got["words"]
    assert "segments" not in got


def test_a_stream_tells_what_is_final_and_then_all(client, finals):
    events = list(ask(client, stream=True))
    assert [event.type for event in events[:-1]] == ["transcript.text.delta"] * (len(events) - 1)
    assert len(events) > 3
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert events[-1].text == joined(final.text for final in finals)
    assert events[-1].type == "transcript.text.done"
    assert events[-1].usage.seconds > 3


def test_a_stream_ends_with_done(speech_server):
    with PERSON.open("rb") as file:
        got = httpx.post(
            f"{speech_server.http}/v1/audio/transcriptions",
            data={"stream": "true"}, files={"file": file}, timeout=60,
        )  # fmt: skip
    assert got.headers["content-type"].startswith("text/event-stream")
    assert got.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("name", ["whisper-tiny.en", "gpt-4o-transcribe", "whisper-1"])
def test_names_that_programs_have_built_in_are_taken(client, name):
    assert ask(client, model=name, file=sound(np.zeros(1600))).text == ""


def test_another_model_is_not_found_as_openai_says_it(client):
    with pytest.raises(openai.NotFoundError) as refused:
        ask(client, model="gpt-9")
    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"
    assert "The model `gpt-9` does not exist" in refused.value.message


def test_models_are_listed(client):
    (model,) = client.models.list().data
    assert (model.id, model.object, model.owned_by) == ("whisper-tiny.en", "model", "edgestream")
    assert client.models.retrieve("whisper-tiny.en").created == model.created
    assert client.models.retrieve("whisper-1").id == "whisper-tiny.en"


@pytest.mark.parametrize(
    ("more", "param", "way_out"),
    [
        ({"response_format": "diarized_json"}, "response_format", "verbose_json"),
        ({"response_format": "yaml"}, "response_format", "json, text, srt"),
        ({"language": "de"}, "model", "it hears en"),
        ({"timestamp_granularities": ["letter"]}, "timestamp_granularities", "word or segment"),
        ({"extra_body": {"stream": "perhaps"}}, "stream", "true or false"),
        ({"file": ("a.wav", b"no sound at all")}, None, "wav, flac, ogg or mp3"),
        ({"file": ("a.wav", b"")}, None, "file"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_the_way_out(client, more, param, way_out):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, **more)
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"
    assert way_out in refused.value.message
    assert "\n" not in refused.value.message


def test_what_no_model_here_can_be_told_does_no_harm(client, finals):
    found = ask(
        client, language="en-GB", temperature=0.7, chunking_strategy="auto", include=["logprobs"],
        extra_body={"known_speaker_names[]": ["Ann"]},
    )  # fmt: skip
    assert found.text == joined(final.text for final in finals)


def test_words_to_expect_go_before_the_transcript(client):
    plain = ask(client).text
    assert ask(client, prompt="Earlier words, and names.") != plain
    assert ask(client, extra_body={"keywords[]": ["Kennedy", "Congress"]}).text


@pytest.mark.filterwarnings("ignore:deprecated")  # by OpenAI, in favour of nothing
def test_translations_say_which_model_can(client):
    with pytest.raises(openai.BadRequestError, match=r"does not translate.*whisper-base"):
        client.audio.translations.create(model="whisper-1", file=PERSON)


@pytest.mark.parametrize("n_samples", [0, 1, 2, 15])
def test_hardly_any_sound_is_no_fault(client, n_samples):
    """ggml-org/llama.cpp#27693, k2-fsa/sherpa-onnx#3685."""
    if n_samples == 0:
        with pytest.raises(openai.BadRequestError, match="no sound in it"):
            ask(client, file=sound(np.zeros(0)))
    else:
        assert ask(client, file=sound(np.zeros(n_samples))).text == ""


def test_a_short_word_is_heard(client):
    """VocaHQ/vocamac#255: "Hello" in half a second."""
    first = speech()[int(0.25 * RATE_HZ) : int(0.95 * RATE_HZ)]
    assert ask(client, file=sound(first)).text.strip()


def test_a_gap_between_words_stays_in_the_times(client):
    """ggml-org/whisper.cpp#3634: a word, 10 s of silence, a word."""
    word, silence = speech()[: 2 * RATE_HZ], np.zeros(10 * RATE_HZ, np.float32)
    found = ask(
        client, file=sound(np.concatenate([word, silence, word])),
        response_format="verbose_json", timestamp_granularities=["word", "segment"],
    )  # fmt: skip
    starts = [word.start for word in found.words]
    assert max(b - a for a, b in pairwise(starts)) > 9
    assert all(word.end >= word.start for word in found.words)
    assert found.segments[-1].start > 11.5


def test_the_same_sound_packed_in_other_ways_is_heard_alike(client):
    texts = {ask(client, file=sound(speech(), form)).text for form in ("WAV", "FLAC")}
    assert len(texts) == 1


def test_a_token_is_the_key(finals):
    with running_server(["synthetic-en"], token="a secret that is long") as running:
        base = f"{running.http}/v1"
        wrong = openai.OpenAI(base_url=base, api_key="wrong", max_retries=0)
        with wrong as client, pytest.raises(openai.AuthenticationError):
            client.models.list()
        with openai.OpenAI(base_url=base, api_key="a secret that is long") as client:
            assert client.models.list().data[0].id == "synthetic-en"
