# SPDX-License-Identifier: Apache-2.0
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.captions.pieces import WORD_START, joined, piece_bytes, pieces
from edgestream.library.byte_letters import BYTE_LETTERS

words = st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=8)


@given(st.lists(words, min_size=1, max_size=5), st.lists(st.integers(0, 60), max_size=20))
def test_any_cutting_into_byte_tokens_gives_the_text(texts, cuts):
    data = " ".join(texts).encode()
    ends = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    letters = BYTE_LETTERS
    tokens = [
        "".join(letters[byte] for byte in data[start:end])
        for start, end in itertools.pairwise(ends)
    ]
    made = joined("".join(pieces(tokens, [1] * len(tokens), "gpt2")))
    assert made.replace(WORD_START, " ").split() == " ".join(texts).split()


def test_sentencepiece_spells_rare_letters_in_bytes():
    made = pieces(
        ["<unk>", "▁caf", "<0xC3>", "<0xA9>", "[BOS]", "[PAD5]"], [2, 1, 6, 6, 3, 5], "llama"
    )
    assert made[0] == made[4] == made[5] == ""
    assert joined("".join(made)) == "▁café"
    assert joined("".join(made[:3])) == "▁caf"


def test_a_file_that_states_no_types_has_plain_texts():
    assert pieces(["▁a", "<0x41>"], [], "llama") == ["▁a", "<0x41>"]


@pytest.mark.parametrize("text", ["<0xZZ>", "<0x", "byte"])
def test_a_damaged_byte_token_is_no_crash(text):
    assert pieces([text], [6], "llama") == [""]


def test_pieces_have_the_bytes_that_they_add():
    made = pieces(["▁caf", "<0xC3>", "<0xA9>", "\ud800s"], [1, 6, 6, 1], "llama")
    assert b"".join(map(piece_bytes, made)) == " cafés".encode()
