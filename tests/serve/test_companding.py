# SPDX-License-Identifier: Apache-2.0
"""G.711 against Python's own tables, where Python still has them."""

import numpy as np
import pytest

from edgestream.serve.openai.companding import Companded, a_law_table, mu_law_table

EVERY_BYTE = bytes(range(256))


@pytest.mark.parametrize(("table", "name"), [(mu_law_table, "ulaw"), (a_law_table, "alaw")])
def test_each_byte_is_what_the_standard_says(table, name):
    audioop = pytest.importorskip("audioop")
    wanted = np.frombuffer(getattr(audioop, f"{name}2lin")(EVERY_BYTE, 2), "<i2")
    np.testing.assert_array_equal(Companded(table()).push(EVERY_BYTE) * 32768, wanted)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (mu_law_table, {0x00: -32124, 0x80: 32124, 0x7F: 0, 0xFF: 0, 0x8F: 16764, 0x70: -120}),
        (a_law_table, {0x55: -8, 0xD5: 8, 0x2A: -32256, 0xAA: 32256, 0x80: 5504}),
    ],
)
def test_some_bytes_of_the_standard(table, values):
    """ITU-T G.711, tables 1a to 2b, on the scale of 16 bits."""
    found = table() * 32768
    assert {code: int(found[code]) for code in values} == values


def test_any_cutting_gives_the_same_samples():
    whole = Companded(mu_law_table())
    parts = [whole.push(EVERY_BYTE[at : at + 13]) for at in range(0, 256, 13)]
    np.testing.assert_array_equal(np.concatenate(parts), whole.push(EVERY_BYTE))
