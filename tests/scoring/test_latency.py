# SPDX-License-Identifier: Apache-2.0
"""Latency of translations, against examples that were computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.events import Translation, TranslationDraft
from edgestream.scoring.latency import (
    Segment,
    average_lagging,
    commit_times,
    length_adaptive_lagging,
    shared_out,
    stream_lagging,
)


def test_wait_k_lags_k_words_behind_where_both_are_as_long():
    assert average_lagging([3, 4, 5, 5, 5], source=5, n_target=5) == 3  # 3, 3, 3; the rest is free
    assert average_lagging([1, 2, 3, 4, 5], source=5, n_target=5) == 1
    assert average_lagging([5, 5, 5], source=5, n_target=5) == 5  # all was read first


def test_a_target_that_is_twice_as_long_should_write_two_words_for_one():
    # 1 - 0, 1 - 0.5, 2 - 1, 2 - 1.5
    assert average_lagging([1, 1, 2, 2], source=2, n_target=4) == pytest.approx((1 + 0.5 + 1) / 3)


def test_words_too_many_do_not_count_as_early():
    delays = [2, 3, 3, 4, 4, 4]  # six words where two would do
    # AL, a word for two of the source: 2 - 0, 3 - 2, 3 - 4, 4 - 6
    assert average_lagging(delays, source=4, n_target=2) == pytest.approx((2 + 1 - 1 - 2) / 4)
    # LAAL, six words for four: 2, 3 - 2/3, 3 - 4/3, 4 - 2
    laal = (2 + (3 - 2 / 3) + (3 - 4 / 3) + (4 - 2)) / 4
    assert length_adaptive_lagging(delays, source=4, n_reference=2) == pytest.approx(laal)


def test_times_are_lengths_as_words_are():
    # 2000 ms for four words, 500 each: 1000, 1500 - 500, 2100 - 1000 and there the source is over
    delays = [1000, 1500, 2100, 2100]
    assert average_lagging(delays, source=2000, n_target=4) == pytest.approx(3100 / 3)


@pytest.mark.parametrize(("delays", "source", "n"), [([], 3, 3), ([1], 0, 1), ([1], 1, 0)])
def test_nothing_has_no_latency(delays, source, n):
    with pytest.raises(ValueError, match="latency"):
        average_lagging(delays, source, n)


SEGMENTS = [
    Segment("le chat dort .", start=0, length=3),
    Segment("il fait nuit", start=3, length=4),
    Segment("bonne nuit", start=7, length=2),
]


def test_a_stream_is_shared_out_with_the_fewest_errors():
    words = ["Le", "chat", "dort.", "Il", "fait", "bien", "nuit.", "Bonne", "nuit"]
    assert [list(share) for share in shared_out(words, SEGMENTS)] == [
        [0, 1, 2], [3, 4, 5, 6], [7, 8],
    ]  # fmt: skip


def test_a_sentence_without_words_is_left_out():
    words = ["le", "chat", "dort", "bonne", "nuit"]
    delays = [2, 3, 3, 8, 9]
    assert [len(share) for share in shared_out(words, SEGMENTS)] == [3, 0, 2]
    # 2, 3 - 3/4 and the source is over; 8 - 7, 9 - 7 - 1
    by_hand = ((2 + (3 - 3 / 4)) / 2 + (1 + 1) / 2) / 2
    assert stream_lagging(words, delays, SEGMENTS) == pytest.approx(by_hand)


def test_a_word_before_its_sentence_was_there_is_not_earlier_than_its_beginning():
    words = ["le", "chat", "dort", ".", "il", "fait", "nuit"]
    delays = [1, 2, 3, 3, 3, 3, 3]  # the second sentence is guessed
    first = (1 + (2 - 3 / 4) + (3 - 6 / 4)) / 3
    second = (0 - 4 / 3 - 8 / 3) / 3
    assert stream_lagging(words, delays, SEGMENTS[:2]) == pytest.approx((first + second) / 2)


@given(
    st.lists(st.sampled_from("abcd"), max_size=12),
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4), min_size=1, max_size=4),
)
def test_each_word_is_in_one_sentence_and_as_few_errors_are_left_as_can_be(words, sentences):
    segments = [Segment(" ".join(sentence), 0, 1) for sentence in sentences]
    shares = shared_out(words, segments)
    assert [i for share in shares for i in share] == list(range(len(words)))
    pairs = list(zip(sentences, shares, strict=True))
    errors = sum(_distance(s, [words[i] for i in share]) for s, share in pairs)
    assert errors == _distance([word for sentence in sentences for word in sentence], words)


def _distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        above, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            above, row[j + 1] = row[j + 1], min(row[j] + 1, row[j + 1] + 1, above + (x != y))
    return row[-1]


def test_a_word_counts_from_when_it_was_committed():
    def draft(text, n_final):
        return TranslationDraft(text, "fr", 0, 0, n_final)

    events = [
        (1, draft("Le gros chat", 2)),
        (2, draft("Le chat dort", 7)),
        (3, Translation("Le chat dort.", "fr", "The cat sleeps.", 0, 0, 0)),
        (4, draft("Il", 0)),
        (5, Translation("Il fait nuit.", "fr", "It is night.", 0, 0, 0)),
    ]
    words, times = commit_times(events)
    assert words == ["Le", "chat", "dort.", "Il", "fait", "nuit."]
    assert times == [1, 2, 3, 5, 5, 5]


def test_what_was_taken_back_gives_no_time_to_the_words_behind_it():
    """No translation here takes words back; others may."""
    events = [
        (1, TranslationDraft("Le gros chat", "fr", 0, 0, 12)),
        (2, Translation("Le chat.", "fr", "The cat.", 0, 0, 0)),
        (3, Translation("Il dort.", "fr", "It sleeps.", 0, 0, 0)),
    ]
    assert commit_times(events) == (["Le", "chat.", "Il", "dort."], [1, 1, 3, 3])
