# SPDX-License-Identifier: Apache-2.0
"""What generation_config.json lacks is taken from the tokenizer, and what it has stands."""

from __future__ import annotations

import json

import pytest
import tiny_whisper as tiny

from edgestream.errors import UsageError
from edgestream.speech.reencoded.config import read_speech_config
from edgestream.speech.reencoded.model import ReencodedModel
from edgestream.speech.reencoded.special_tokens import completed

KEYS = ["no_timestamps_token_id", "prev_sot_token_id", "lang_to_id", "task_to_id"]


def folder_without(place, *keys, **changes):
    generation = {k: v for k, v in tiny.GENERATION.items() if k not in keys} | changes
    return tiny.write(place, generation=generation)


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    return read_speech_config(tiny.write(tmp_path_factory.mktemp("whole") / "m"))


@pytest.mark.parametrize("keys", [*[[key] for key in KEYS], KEYS])
def test_the_tokenizer_knows_what_is_missing(tmp_path, complete, keys):
    assert read_speech_config(folder_without(tmp_path / "m", *keys)) == complete


def test_a_null_counts_as_missing(tmp_path, complete):
    assert read_speech_config(folder_without(tmp_path / "m", prev_sot_token_id=None)) == complete


def test_a_prompt_is_taken_without_its_key(tmp_path):
    model = ReencodedModel(folder_without(tmp_path / "m", "prev_sot_token_id"))
    decoder = model.stream(prompt="a").stages.decoder
    assert decoder.prompt[0] == tiny.PREVIOUS


def test_without_the_key_and_the_token_a_prompt_is_refused(tmp_path):
    folder = folder_without(tmp_path / "m", "prev_sot_token_id")
    data = tiny.tokenizer()
    data["added_tokens"] = [each for each in data["added_tokens"] if each["id"] != tiny.PREVIOUS]
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UsageError, match="knows no prompt"):
        ReencodedModel(folder).stream(prompt="a")


def test_an_english_model_has_no_languages_though_its_tokenizer_has(tmp_path):
    gone = ("lang_to_id", "task_to_id")
    read = read_speech_config(folder_without(tmp_path / "a", *gone, is_multilingual=False))
    assert (read.languages, read.tasks) == ({}, {})
    small = read_speech_config(folder_without(tmp_path / "b", *gone, "is_multilingual"))
    assert small.languages == {}
    tokens = {"<|startoftranscript|>": 5, "<|en|>": 6, "<|translate|>": 7, "<|transcribe|>": 8}
    large = completed({}, tokens, 51865)  # by its size alone
    assert large["lang_to_id"] == {"<|en|>": 6}
    assert large["is_multilingual"] is True
    assert "lang_to_id" not in completed({}, tokens, 51864)


@pytest.mark.parametrize("added", [3, [3], [{"id": "x", "content": "<|startofprev|>"}],
                                   [{"id": 1 << 40, "content": "<|startofprev|>"}]])  # fmt: skip
def test_hostile_added_tokens_are_none(tmp_path, added):
    folder = folder_without(tmp_path / "m", "prev_sot_token_id")
    data = {**tiny.tokenizer(), "added_tokens": added}
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    assert read_speech_config(folder).previous is None
