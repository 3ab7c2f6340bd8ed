# SPDX-License-Identifier: Apache-2.0
"""What rows of a streaming model and the words wanted after them must be like in training."""


def expect_words_in_order(rows, targets, *, begins, ends, silence):
    """What follows each row is the next row, silence before the next one seen, or not asked.

    Rows below 0 are things that are seen; the others are words.
    """
    for row, target, after in zip(rows, targets, [*rows[1:], -99], strict=True):
        if target == silence:
            assert row < 0
            assert after < 0
        elif target == -1:
            assert row in (begins, ends)
        else:
            assert target == after
