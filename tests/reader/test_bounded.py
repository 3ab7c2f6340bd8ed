# SPDX-License-Identifier: Apache-2.0
"""Models, tiny and real, write calls of tools."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tiny_chat import opened, write_chat

from edgestream._native import RingDecoder
from edgestream.decoder.rows import token_rows
from edgestream.errors import OperationError
from edgestream.reader.bounded import write_bounded
from edgestream.reader.chat import chat_of
from edgestream.reader.grammar import Grammar
from edgestream.reader.tool import Tool, call_grammar, describe, read_call

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1, "maxLength": 12}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [Tool("weather", "The weather of a city.", ("true",), parameters=SCHEMA)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return opened(write_chat(tmp_path_factory.mktemp("bounded") / "m.gguf"))


def test_what_a_model_of_random_weights_writes_is_a_call(tiny):
    weights, tokenizer = tiny
    ring = RingDecoder(weights, n_sinks=4, window=252)
    grammar = Grammar(tokenizer, json_schema=SCHEMA)
    written = write_bounded(ring.fork(), weights, grammar, tokenizer.encode("Bern?"), max_tokens=99)
    value = json.loads(tokenizer.decode(written))
    assert 1 <= len(value["city"]) <= 12
    assert ring.pos == 0  # the fork alone has read


def test_each_token_is_the_likeliest_that_is_allowed(tiny):
    weights, tokenizer = tiny
    start = tokenizer.encode("Bern?")
    written = write_bounded(
        RingDecoder(weights, n_sinks=4, window=252), weights,
        Grammar(tokenizer, json_schema=SCHEMA), start, max_tokens=99,
    )  # fmt: skip
    ring, grammar = (
        RingDecoder(weights, n_sinks=4, window=252),
        Grammar(tokenizer, json_schema=SCHEMA),
    )
    logits = ring.step(token_rows(weights, start))
    for token in written:
        assert token == grammar.allowed(np.asarray(logits))
        grammar.accept(token)
        logits = ring.step(token_rows(weights, [token]))


def test_a_text_that_does_not_end_is_given_up(tiny):
    weights, tokenizer = tiny
    grammar = Grammar(tokenizer, 'root ::= [a-y]+ "z"')
    ring = RingDecoder(weights, n_sinks=4, window=60)
    with pytest.raises(OperationError, match="not whole after 2 tokens"):
        write_bounded(ring, weights, grammar, tokenizer.encode("a"), max_tokens=2)


def test_smollm2_calls_a_tool_within_the_grammar():
    if "EDGESTREAM_TEST_SMOLLM2" not in os.environ:
        pytest.skip("needs a file that EDGESTREAM_TEST_SMOLLM2 names")
    weights, tokenizer = opened(Path(os.environ["EDGESTREAM_TEST_SMOLLM2"]))
    chat = chat_of(weights, tokenizer)
    ring = RingDecoder(weights, n_sinks=4, window=508)
    ring.step(token_rows(weights, chat.prefix(describe(TOOLS))))
    asked = chat.question("What is the weather in Bern?", first=True)
    begin = chat.answer_prefix('{"tool":')
    free = Grammar(tokenizer, call_grammar(TOOLS))
    for token in begin:
        free.accept(token)  # it shall call
    written = write_bounded(ring.fork(), weights, free, [*asked, *begin], max_tokens=60)
    call = read_call(tokenizer.decode([*begin, *written]), TOOLS)
    assert call.tool.name == "weather"
    assert "Bern" in call.arguments["city"]
