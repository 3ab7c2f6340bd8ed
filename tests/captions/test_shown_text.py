# SPDX-License-Identifier: Apache-2.0
"""One filter for every outlet, and the width of what passes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.captions.shown_text import columns, filtered, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [(" a\x1b[31mb\x00\n\u2028c\ud800\t d ", "a[31mb c d"), ("a\u202eb\u2067c\u2069", "abc"),
     ("\x9b2Ja\x85b", "2Ja b"), ("\ufeffa\ufffdb", "ab"), ("می\u200cروم", "می\u200cروم"),
     ("👩\u200d👧", "👩\u200d👧"), ("ශ්\u200dරී", "ශ්\u200dරී"), ("א\u200f!", "א\u200f!"), ("", "")],
)  # fmt: skip
def test_what_is_shown(text, shown):
    assert printable(text) == shown


@given(st.text())
def test_what_was_filtered_passes_again(text):
    assert filtered(filtered(text)) == filtered(text)
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("漢字", 4), ("ที่", 1), ("e\u0301", 1), ("می\u200cروم", 5)]
)
def test_width_is_counted_in_cells(text, width):
    assert columns(text) == width
