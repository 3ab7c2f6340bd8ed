# SPDX-License-Identifier: Apache-2.0
"""`edgestream convert --verify` of models that see, beside transformers; skipped without it."""

import pytest
import tiny_vision as tiny

from edgestream.convert.models import tower_qwen
from edgestream.convert.run import Wish, convert
from edgestream.errors import ConversionError

pytest.importorskip("torch")
pytest.importorskip("transformers")


def run(source, out, quant):
    told = []
    wish = Wish(to=None, quant=quant, verify=True, n_threads=1)
    convert(str(source), out, wish, tell=told.append, progress=lambda *_: None)
    return told


@pytest.fixture(scope="module", params=tiny.KINDS)
def source(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "checkpoint"
    return tiny.save(request.param, folder, seed=7)


def test_float32_writes_what_the_source_writes(source, tmp_path):
    told = run(source, tmp_path / "out", "f32")
    assert "rows of a picture 0.000" in told[0]
    assert "(bound 0.001)" in told[0]
    assert "same argmax 100.0% of 28" in told[0]


@pytest.mark.parametrize("quant", ["f16", "q8_0"])
def test_smaller_types_are_within_their_bounds(source, tmp_path, quant):
    assert "(bound 0.003)" in run(source, tmp_path / "out", quant)[0]


def test_a_defect_of_the_tower_fails(tmp_path, monkeypatch):
    source = tiny.save("qwen2_5_vl", tmp_path / "source", seed=7)
    monkeypatch.setattr(tower_qwen, "_whole_view_step", lambda vision, n_layers: 4)
    with pytest.raises(ConversionError, match="too far from it"):
        run(source, tmp_path / "out", "f32")
    assert not (tmp_path / "out").exists()
