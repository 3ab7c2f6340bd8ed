# SPDX-License-Identifier: Apache-2.0
"""Memory of a model that reads along is told about as it is taken."""

import pytest
from tiny_reader import real_reader, tiny_reader

from edgestream.library.gguf_header import read_shape
from edgestream.reader.needs import PROMPT_ROWS, TASK_ROWS, reader_needs
from edgestream.reader.shared import MAX_FORKS


@pytest.fixture(params=["tiny", "smollm2", "gemma"])
def model(request, tmp_path):
    return tiny_reader(tmp_path) if request.param == "tiny" else real_reader(request.param)


@pytest.mark.parametrize("window", [256, 2048])
def test_a_memory_takes_what_is_told(model, window):
    shape = read_shape(model.path.open("rb").read, "model")
    needs = reader_needs(model.path.stat().st_size, shape, window)
    regions = [("text", window), ("notes", TASK_ROWS)]
    ring = model.ring(n_sinks=PROMPT_ROWS, window=regions)
    told = (needs.kv_bytes + needs.activation_bytes) / (1 + MAX_FORKS)
    assert told == pytest.approx(ring.state_bytes, rel=0.15, abs=500_000)  # of graphs
