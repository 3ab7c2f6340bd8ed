# SPDX-License-Identifier: Apache-2.0
"""The ring against libllama on trained weights, cells and rows pinned: what is equal to the bit.

The files are named by EDGESTREAM_TEST_GEMMA (Gemma 3 270M, q4_k_m) and EDGESTREAM_TEST_SMOLLM2
(SmolLM2 135M, q4_1); docs/decoder.md says what differs, and why.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from libllama import Libllama
from own_heads import write_own_heads

from edgestream._native import GgufModel, RingDecoder
from edgestream.bench.decoder.libllama import LibllamaModel, LibllamaStream
from edgestream.decoder.tokenizer import Tokenizer

TEXT = (
    "Printing, in the only sense with which we are at present concerned, differs from most if not"
    " from all the arts and crafts represented in the exhibition. And so my fellow Americans, ask"
    " not what your country can do for you, ask what you can do for your country. It was nice to"
    " meet you. Do you want to grab a coffee before the meeting?"
)
N_ROWS = 64
# What a sum in another order comes to after 18 layers that round activations to 8 bits, as a share
# of the logits' spread; libllama with flash attention against itself without it: 0.05.
OTHER_ORDER = 0.08


def file_of(variable):
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"{variable} names no file")
    return Path(path)


@pytest.fixture(scope="module", params=["EDGESTREAM_TEST_GEMMA", "EDGESTREAM_TEST_SMOLLM2"])
def trained(request):
    return file_of(request.param)


def rows_of(model, path):
    tokens = Tokenizer(path).encode(TEXT)[:N_ROWS]
    assert len(tokens) == N_ROWS
    return np.stack([model.token_embedding(token) for token in tokens])


def by_chunks(decoder, rows, n):
    return np.stack([decoder.step(rows[at : at + n]) for at in range(0, len(rows), n)])


def test_every_logit_is_libllamas_when_each_head_has_its_own_keys(trained, tmp_path):
    path = write_own_heads(trained, tmp_path / "own.gguf")
    model = GgufModel(str(path))
    rows = rows_of(model, path)
    with LibllamaModel(path, repack=False) as peer:
        for n in (1, 2):
            ours = by_chunks(RingDecoder(model, n_sinks=4, window=508), rows, n)
            oracle = LibllamaStream(peer, 512, flash=False, max_rows=n)
            np.testing.assert_array_equal(ours, by_chunks(oracle, rows, n))
            oracle.close()


def test_with_shared_keys_it_is_another_order_of_sums(trained):
    model = GgufModel(str(trained))
    rows = rows_of(model, trained)
    ours = by_chunks(RingDecoder(model, n_sinks=4, window=508), rows, 1)
    with Libllama(trained) as oracle:
        theirs = by_chunks(oracle, rows, 1)
    np.testing.assert_array_equal(ours[0], theirs[0])  # of one key there is nothing to sum
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < OTHER_ORDER * theirs.std()
    assert np.mean(ours.argmax(1) == theirs.argmax(1)) > 0.85
