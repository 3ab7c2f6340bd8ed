# SPDX-License-Identifier: Apache-2.0
"""The prompt's tokens against the library `tokenizers`, and their place before the transcript."""

from __future__ import annotations

import json

import pytest
import tiny_whisper as tiny
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from transformers_whisper import sound

from edgestream.errors import ModelError, UsageError
from edgestream.library.byte_letters import LETTER_BYTES
from edgestream.speech.reencoded.config import read_speech_config
from edgestream.speech.reencoded.model import ReencodedModel
from edgestream.speech.reencoded.prompt import MAX_TOKENS, prompt_tokens

MERGES = [
    ("h", "e"), ("Ġ", "t"), ("Ġt", "he"), ("i", "n"), ("in", "g"), ("Ġ", "a"), ("Ġa", "n"),
    ("Ġan", "d"), ("r", "e"), ("o", "u"), ("s", "s"), ("'", "s"), ("1", "9"), ("Ġ", "Ġ"),
    ("Ã", "¤"),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tiny.write(tmp_path_factory.mktemp("model") / "tiny")
    pieces = ["".join(pair) for pair in MERGES]
    vocab = LETTER_BYTES | {piece: tiny.N_BYTES + i for i, piece in enumerate(pieces)}
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    data = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "pre_tokenizer": {**bytes_, "use_regex": True},
        "post_processor": None, "decoder": bytes_,
        "model": {"type": "BPE", "vocab": vocab, "merges": [list(pair) for pair in MERGES]},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def known(folder):
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


words = st.sampled_from(["the", "and", "being", "we're", "it's", "1938", "süss", "a_b", "?!", "  "])


@given(st.lists(words | st.text("thean ginrsouä'19.,_\n", max_size=8), max_size=12))
def test_the_tokens_are_those_of_the_library(folder, known, parts):
    text, config = " ".join(parts), read_speech_config(folder)
    expected = known.encode(" " + text.strip()).ids[-MAX_TOKENS:]
    found = prompt_tokens(folder, config, text)
    assert found == ([tiny.PREVIOUS, *expected] if text.strip() else [])


def test_the_prompt_stands_before_the_start_and_changes_the_text(folder):
    model = ReencodedModel(folder)
    events = []
    for prompt in (None, "the and the house"):
        stream = model.stream(language="en", prompt=prompt, vad="off")
        events.append(stream.push(sound(3)) + stream.finish())
    tokens = stream.stages.decoder.prompt
    assert tokens[0] == tiny.PREVIOUS
    assert tokens[-4:] == [
        tiny.START, tiny.FIRST_LANGUAGE, tiny.TRANSCRIBE, tiny.FIRST_TIME,
    ]  # fmt: skip
    assert events[0] != events[1]


def test_what_has_no_prompt_or_no_merges_is_refused(folder, tmp_path):
    config = read_speech_config(folder)
    for merges in (None, "a b", [["a"]], ["a b c"], [[1, 2]]):
        data = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        data["model"]["merges"] = merges
        (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
        with pytest.raises(ModelError):
            prompt_tokens(tmp_path, config, "the")
    generation = {k: v for k, v in tiny.GENERATION.items() if k != "prev_sot_token_id"}
    other = tiny.write(tmp_path / "other", generation=generation)
    (other / "tokenizer.json").write_text(json.dumps({**tiny.tokenizer(), "added_tokens": []}))
    with pytest.raises(UsageError):
        ReencodedModel(other).stream(prompt="the")
