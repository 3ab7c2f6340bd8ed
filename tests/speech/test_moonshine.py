# SPDX-License-Identifier: Apache-2.0
"""Moonshine: parity with transformers, the streaming law."""

from __future__ import annotations

import json

import moonshine_assets
import numpy as np
import pytest
import tiny_moonshine
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers_moonshine import ANSWERS
from transformers_whisper import SEEDS, sound

import edgestream
from edgestream._native import WaitK
from edgestream.errors import ModelError, OperationError
from edgestream.events import Final
from edgestream.speech.reencoded.binary_tokenizer import read_pieces, text_of
from edgestream.speech.reencoded.model import ReencodedModel, WindowSpec
from edgestream.speech.reencoded.rules import HypothesisRules

EXPECTED = json.loads(ANSWERS.read_text(encoding="utf-8"))
SPOKEN = np.concatenate([sound(i, 3.3) for i in range(4)])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_input_gives_the_tokens_of_transformers(tmp_path, monkeypatch, seed):
    """All sound as one unit, no guards; 7.3 s are no whole number of rows, and none is padded."""
    monkeypatch.setattr(HypothesisRules, "is_loop", lambda self, written: False)
    monkeypatch.setattr("edgestream.speech.reencoded.model.CROWD_ROWS", 0)
    folder = tiny_moonshine.write(tmp_path / "m", seed)
    model = ReencodedModel(folder, WindowSpec(unit_ms=30000, keep_ms=30000, max_ms=30000))
    stream = model.stream(policy=WaitK(0), vad="off")
    written: list[int] = []
    stream.stages.caption.push = lambda tokens, *_, **__: written.extend(tokens) or []
    stream.push(sound(seed))
    stream.finish()
    assert len(set(written)) > 1
    expected = [token for token in EXPECTED[str(seed)] if token != tiny_moonshine.END]
    assert written[: len(expected)] == expected


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tiny_moonshine.write(tmp_path_factory.mktemp("model") / "m", 2)
    return ReencodedModel(folder, WindowSpec(unit_ms=500, keep_ms=1500, max_ms=4000))


@settings(max_examples=8)
@given(st.lists(st.integers(1, 30000), min_size=1, max_size=4))
def test_any_cutting_gives_the_captions_of_the_whole(short, sizes):
    def events(cuts):
        stream, found, at = short.stream(vad="off"), [], 0
        for i in range(len(SPOKEN)):
            size = cuts[i % len(cuts)]
            found += stream.push(SPOKEN[at : at + size])
            at += size
            if at >= len(SPOKEN):
                break
        return found + stream.finish(), stream

    (whole, _), (pieces, stream) = events([len(SPOKEN)]), events([*sizes, 9000])
    assert pieces == whole
    assert any(isinstance(event, Final) for event in whole)
    assert stream.stages.loop.n_left > 500  # rows: the window is trimmed without times too


def test_a_moment_of_sound_is_too_short_for_the_convolutions_and_no_error(short):
    stream = short.stream(vad="off")
    assert stream.push(sound(0)[:200]) == []
    assert all(isinstance(event, Final) for event in stream.finish())


@pytest.fixture(scope="module")
def makers(tmp_path_factory):
    """The same weights in the public layout, without and with masks, and in .ort files."""
    place = tmp_path_factory.mktemp("makers")
    plain = tiny_moonshine.write(place / "plain", 2)
    masked = tiny_moonshine.write(place / "masked", 2)
    moonshine_assets.with_masks(masked)
    return plain, masked, moonshine_assets.write(place / "assets", masked)


def captions(folder):
    stream = edgestream.load(folder).stream(vad="off")
    return stream.push(SPOKEN) + stream.finish()


def test_exports_with_masks_and_the_makers_folders_write_the_same(makers):
    plain, masked, assets = makers
    expected = captions(plain)
    assert any(isinstance(event, Final) for event in expected)
    assert captions(masked) == expected
    assert [event.text for event in captions(assets)] == [event.text for event in expected]
    assert not (assets / "config.json").exists()


def test_a_mask_of_states_fails_in_such_a_graph(makers):
    """So the test before holds for a reason."""
    model = ReencodedModel(makers[1])
    model.weights._mask_step = 1
    rows = np.ones((300, 161), np.float32)
    rows[:, 0] = -160
    states = model.weights.encode(rows)
    with pytest.raises(OperationError, match="onnxruntime failed"):
        model.weights.decode([1], states, {})


def test_pieces_of_any_length_come_back(tmp_path):
    pieces = [b"<unk>", b"<s>", b"</s>", b"", b"\xff", "\u2581word".encode()]
    pieces += [b"x" * 127, b"y" * 128, b"z" * 5000, b"<<ST_7>>"]
    data = b"".join(
        (bytes([len(p)]) if len(p) < 128 else bytes([128 + len(p) % 128, len(p) // 128])) + p
        for p in pieces
    )
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(data)
    assert read_pieces(path) == pieces
    assert [text_of(p) for p in pieces[:6]] == [b"", b"", b"", b"", b"\xff", b" word"]
    assert text_of(pieces[-1]) == b""
    assert text_of(b"<a>") == b"<a>"
    for cut in (1, 3, len(data) - 1):
        path.write_bytes(data[:cut])
        with pytest.raises(ModelError, match=r"cut off|no <s>"):
            read_pieces(path)


@pytest.mark.parametrize(
    ("file", "data", "said"),
    [
        ("tokenizer.bin", b"", "no <s>"),
        ("encoder_model.ort", b"ORTM", "onnxruntime cannot load it"),
        ("decoder_model_merged.ort", None, "has no decoder_model_merged.ort"),
    ],
)
def test_a_damaged_makers_folder_is_one_line(makers, tmp_path, file, data, said):
    folder = moonshine_assets.write(tmp_path / "m", makers[1])
    (folder / file).write_bytes(data) if data is not None else (folder / file).unlink()
    with pytest.raises(ModelError, match=said) as caught:
        edgestream.load(folder)
    assert str(caught.value).isprintable()
