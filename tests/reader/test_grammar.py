# SPDX-License-Identifier: Apache-2.0
"""Whatever a model would like to write, what is written fits the grammar."""

import json
import os
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_schemas import schemas
from tiny_chat import byte_pair_tokens, opened, piece_tokens, write_chat

from edgestream.errors import OperationError, UsageError
from edgestream.reader.grammar import Grammar
from edgestream.reader.schema import misfit

LETTERS = len(byte_pair_tokens()) - 256  # token of byte 0x21, in the order of its bytes


@pytest.fixture(scope="module", params=[False, True], ids=["byte pairs", "pieces"])
def tokenizer(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("grammar") / "m.gguf"
    return opened(write_chat(path, pieces=request.param))[1]


def scores(tokenizer, text="", seed=0):
    """Random ones; tokens of a text are likelier."""
    logits = np.random.default_rng(seed).normal(size=tokenizer.n_tokens).astype(np.float32)
    logits[tokenizer.encode(text, add_special=False)] += 100
    return logits


def written(grammar, tokenizer, seed, n_most=600, wander=200):
    """A text of random scores, which lean to its end after a while: without, it may not come."""
    rng = np.random.default_rng(seed)
    closing = np.zeros(tokenizer.n_tokens, np.float32)
    for i, mark in enumerate(['"', "}", "]", ",", ":"]):
        closing[tokenizer.encode(mark, add_special=False)[-1]] = 90 - 10 * i
    tokens = []
    for i in range(n_most):
        logits = rng.normal(0, 3, tokenizer.n_tokens).astype(np.float32)
        token = grammar.allowed(logits + closing if i > wander else logits)
        grammar.accept(token)
        if grammar.done:
            return tokens
        tokens.append(token)
        if i > wander and grammar.may_end:
            return tokens
    raise AssertionError(f"no end: {tokenizer.decode(tokens)[-200:]}")


@settings(max_examples=60, deadline=None)
@given(schema=schemas(), seed=st.integers(0, 2**32 - 1), wander=st.integers(0, 150))
def test_whatever_the_scores_are_what_is_written_fits_the_schema(tokenizer, schema, seed, wander):
    grammar = Grammar(tokenizer, json_schema=schema)
    text = tokenizer.decode(written(grammar, tokenizer, seed, wander=wander))
    value = json.loads(text)
    jsonschema.Draft202012Validator(schema).validate(value)
    assert misfit(value, schema) == ""


def test_the_likeliest_token_that_fits_is_taken(tokenizer):
    grammar = Grammar(tokenizer, 'root ::= "yes" | "no"')
    logits = np.zeros(tokenizer.n_tokens, np.float32)
    letter = {c: tokenizer.encode(f"\n{c}", add_special=False)[-1] for c in "ynq"}
    logits[letter["q"]], logits[letter["n"]], logits[letter["y"]] = 3, 2, 1
    assert grammar.allowed(logits) == letter["n"]
    grammar.accept(letter["n"])
    assert not grammar.may_end
    with pytest.raises(ValueError, match="does not go on"):
        grammar.accept(letter["n"])
    grammar.accept(tokenizer.encode("\no", add_special=False)[-1])
    assert grammar.may_end
    assert not grammar.done
    end = grammar.allowed(logits)
    assert end in tokenizer.end_tokens()
    grammar.accept(end)
    assert grammar.done
    assert grammar.may_end
    with pytest.raises(ValueError, match="the text is over"):
        grammar.allowed(logits)
    with pytest.raises(ValueError, match="does not go on"):
        grammar.accept(end)
    grammar.reset()
    assert grammar.allowed(logits) == letter["n"]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_levels=st.integers(1, 6))
def test_the_fast_way_finds_what_trying_all_finds(tokenizer, seed, n_levels):
    """Few levels of scores, so that many are equal."""
    rng = np.random.default_rng(seed)
    grammar = Grammar(tokenizer, 'root ::= ([a-c] | "é" | "[" | "INST")+ "."')
    slow = Grammar(tokenizer, 'root ::= ([a-c] | "é" | "[" | "INST")+ "."')
    for _ in range(8):
        logits = rng.integers(0, n_levels, tokenizer.n_tokens).astype(np.float32)
        found = grammar.allowed(logits)
        order = np.lexsort((np.arange(len(logits)), -logits))
        for token in order:
            try:
                slow.accept(int(token))
            except ValueError:
                continue
            break
        assert found == token
        grammar.accept(found)
        if grammar.done:
            return


def test_special_tokens_and_damaged_characters_are_no_text(tokenizer):
    grammar = Grammar(tokenizer, r'root ::= "\"" [^"]* "\""')
    grammar.accept(tokenizer.encode('\n"', add_special=False)[-1])
    for name in ("<s>", "</s>", "<|im_start|>"):
        (special,) = tokenizer.encode(name, add_special=False, special=True)
        with pytest.raises(ValueError, match="does not go on"):
            grammar.accept(special)
    overlong = {bytes([byte]): None for byte in (0xC0, 0xC1, 0xF5, 0xFF, 0x80)}
    for token in range(tokenizer.n_tokens):
        if tokenizer.piece(token) in overlong:
            overlong.pop(tokenizer.piece(token))
            with pytest.raises(ValueError, match="does not go on"):
                grammar.accept(token)
    assert not overlong
    # Half of a surrogate pair, of which UTF-8 has none.
    first, half = (next(i for i in range(tokenizer.n_tokens) if tokenizer.piece(i) == byte)
                   for byte in (b"\xed", b"\xbb"))  # fmt: skip
    grammar.accept(first)
    with pytest.raises(ValueError, match="does not go on"):
        grammar.accept(half)


def test_a_character_may_come_in_parts(tokenizer):
    grammar = Grammar(tokenizer, 'root ::= "é"')
    first, second = tokenizer.encode("\né", add_special=False)[-2:]
    grammar.accept(first)
    assert not grammar.may_end
    with pytest.raises(ValueError, match="does not go on"):
        grammar.accept(first)
    grammar.accept(second)
    assert grammar.may_end


@pytest.mark.parametrize(
    ("gbnf", "reason"),
    [
        ("", "a text of 1 to 262144 characters is wanted"),
        ("x" * (1 << 18) + "x", "a text of 1 to 262144"),
        ("root ::= \0", "a text of 1 to 262144"),
        ('root ::= "a" x', "Undefined rule identifier 'x'"),
        ('foo ::= "a"', "grammar: "),
        ('root ::= root "a" | "b"', "a rule begins with itself"),
        ('root ::= "a', "unexpected end of input"),
        ('root ::= "a"{1000000}', "number of repetitions exceeds sane defaults"),
        ("root ::= " + "(" * 99999 + '"a"' + ")" * 99999, "at most 300 deep"),
        ("\x1b[31m ::=", "grammar: "),
    ],
    ids=range(10),
)
def test_what_is_no_grammar_is_one_line(tokenizer, gbnf, reason, capfd):
    with pytest.raises(UsageError) as caught:
        Grammar(tokenizer, gbnf)
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()
    assert capfd.readouterr().err == ""


def test_brackets_within_quotes_are_letters(tokenizer):
    values = ["(" * n for n in range(1, 40)]
    assert Grammar(tokenizer, json_schema={"type": "string", "enum": values})


def test_a_grammar_is_given_in_one_way(tokenizer):
    with pytest.raises(UsageError, match="either gbnf or json_schema"):
        Grammar(tokenizer)
    with pytest.raises(UsageError, match=r"json_schema\.type: 'any'; one of"):
        Grammar(tokenizer, json_schema={"type": "any"})


def test_scores_that_are_none_are_refused(tokenizer):
    grammar = Grammar(tokenizer, 'root ::= "a"')
    with pytest.raises(ValueError, match="scores wanted"):
        grammar.allowed(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="scores wanted"):
        grammar.allowed(np.zeros((1, tokenizer.n_tokens), np.float32))
    logits = scores(tokenizer)
    logits[5] = np.nan
    with pytest.raises(ValueError, match="no number"):
        grammar.allowed(logits)
    for token in (-1, tokenizer.n_tokens):
        with pytest.raises(ValueError, match="does not go on"):
            grammar.accept(token)


@pytest.mark.parametrize("value", [-np.inf, np.inf])
def test_scores_may_be_without_bounds(tokenizer, value):
    grammar = Grammar(tokenizer, 'root ::= "a"')
    token = grammar.allowed(np.full(tokenizer.n_tokens, value, np.float32))
    assert tokenizer.decode([token]).strip() == "a"


def test_a_vocabulary_that_cannot_spell_it(tmp_path):
    from tiny_llama import TinyShape, random_weights, write_gguf

    shape = TinyShape(n_layers=1, n_embd=32, n_ff=32, n_heads=2, n_vocab=8)
    tokenizer = opened(write_gguf(tmp_path / "m.gguf", shape, random_weights(shape)))[1]
    grammar = Grammar(tokenizer, 'root ::= "a"')
    with pytest.raises(OperationError, match="no token of the vocabulary goes on"):
        grammar.allowed(np.zeros(8, np.float32))


def test_the_vocabularies_here_have_all_bytes():
    assert len(set(byte_pair_tokens())) == LETTERS + 256
    assert sum(token.startswith("<0x") for token in piece_tokens()) == 256


@pytest.mark.parametrize("name", ["EDGESTREAM_TEST_SMOLLM2", "EDGESTREAM_TEST_GEMMA"])
@pytest.mark.parametrize("seed", range(3))
def test_real_vocabularies_keep_to_a_schema(name, seed):
    if name not in os.environ:
        pytest.skip(f"needs a file that {name} names")
    _, tokenizer = opened(Path(os.environ[name]))
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "days": {"type": "integer"},
            "on": {"type": "string", "format": "date"},
            "units": {"type": "string", "enum": ["metric", "imperial"]},
        },
        "required": ["city", "on"],
    }
    grammar = Grammar(tokenizer, json_schema=schema)
    text = tokenizer.decode(written(grammar, tokenizer, seed, wander=30))
    jsonschema.validate(json.loads(text), schema)
