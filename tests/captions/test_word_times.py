# SPDX-License-Identifier: Apache-2.0
"""Cross-attention: where words were heard, and AlignAtt."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import tiny_moonshine
import tiny_whisper
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers_whisper import ANSWERS, attention, sound
from typer.testing import CliRunner

from edgestream._native import TokenAligner
from edgestream.captions.clock import Clock
from edgestream.captions.segment_caption import SegmentCaption
from edgestream.captions.steady_draft import SteadyDraft
from edgestream.cli.main import app
from edgestream.errors import ModelError, UsageError
from edgestream.events import Final
from edgestream.policy import AlignAtt, ChosenPolicy
from edgestream.speech.reencoded.model import ReencodedModel, WindowSpec

EXPECTED = json.loads(ANSWERS.read_text(encoding="utf-8"))
SPOKEN = np.concatenate([sound(i, 2.5) for i in range(4)])
SHORT = WindowSpec(unit_ms=500, keep_ms=1500, max_ms=4000)


@pytest.mark.parametrize("seed", range(20))
def test_tokens_begin_where_transformers_says(seed):
    weights, n_before = attention(seed)
    begins = TokenAligner().align(weights, n_before=n_before)
    assert begins.tolist() == EXPECTED["begins"][seed]


@given(
    st.integers(1, 4), st.integers(1, 12), st.integers(1, 40), st.integers(0, 99), st.integers(0, 3)
)
def test_begins_never_fall_and_lie_in_the_input(heads, tokens, rows, seed, n_before):
    weights = np.random.default_rng(seed).random((heads, tokens, rows)).astype(np.float32)
    n_before = min(n_before, tokens - 1)
    begins = TokenAligner().align(weights, n_before=n_before)
    assert len(begins) == tokens - n_before
    assert begins[0] == 0
    assert (np.diff(begins) >= 0).all()
    assert begins[-1] < rows


def test_one_aligner_serves_shapes_of_all_sizes():
    aligner, shapes = TokenAligner(), [(2, 9, 50), (1, 2, 3), (3, 20, 70), (2, 9, 50)]
    for i, shape in enumerate(shapes):
        weights = np.random.default_rng(i % 3).random(shape).astype(np.float32)
        assert np.array_equal(aligner.align(weights), TokenAligner().align(weights))


@pytest.mark.parametrize(
    ("weights", "n_before"),
    [(np.ones((1, 3, 4)), 3), (np.ones((1, 3, 4)), -1), (np.ones((0, 3, 4)), 0),
     (np.ones((2, 0, 4)), 0), (np.ones((2, 3, 0)), 0), (np.full((1, 2, 2), np.nan), 0)],
)  # fmt: skip
def test_what_is_no_attention_is_refused(weights, n_before):
    with pytest.raises(ValueError, match="token aligner"):
        TokenAligner().align(weights.astype(np.float32), n_before=n_before)


def without_attention(folder):
    """As the usual public export: no output of cross-attention."""
    path = folder / "onnx" / "decoder_model_merged.onnx"
    model = onnx.load(path)
    outputs = [each for each in model.graph.output if not each.name.startswith("cross_")]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    onnx.save(model, path)
    return folder


@pytest.fixture(scope="module", params=["whisper", "moonshine"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "m"
    if request.param == "moonshine":
        return ReencodedModel(tiny_moonshine.write(folder, 5), SHORT)
    return ReencodedModel(tiny_whisper.write(folder), SHORT)


def words_of(events):
    return [word for event in events if isinstance(event, Final) for word in event.words]


def stream_of(model, **options):
    language = "en" if model.config.languages else None
    return model.stream(language=language, vad="off", **options)


def events_of(stream, sizes):
    events, at, i = [], 0, 0
    while at < len(SPOKEN):
        events += stream.push(SPOKEN[at : at + sizes[i % len(sizes)]])
        at, i = at + sizes[i % len(sizes)], i + 1
    return events + stream.finish()


@pytest.mark.parametrize("policy", ["local-agreement", "alignatt:20", "alignatt"])
def test_times_of_words_rise_and_never_run_ahead(model, policy):
    words = words_of(events_of(stream_of(model, policy=policy), [len(SPOKEN)]))
    assert len(words) > 3
    at = 0.0
    for word in words:
        assert at <= word.start_ms <= word.end_ms <= word.emitted_ms
        at = word.end_ms


@settings(max_examples=3)
@given(
    st.lists(st.integers(1, 30000), min_size=1, max_size=3),
    st.sampled_from(["alignatt:20", "local-agreement:3", "wait-k:3"]),
)
def test_any_cutting_gives_the_captions_of_the_whole(model, sizes, policy):
    whole = events_of(stream_of(model, policy=policy), [len(SPOKEN)])
    assert events_of(stream_of(model, policy=policy), [*sizes, 20000]) == whole


@pytest.fixture
def whole(monkeypatch):
    """Captions are given each hypothesis whole, as the policy saw it."""
    monkeypatch.setattr("edgestream.speech.reencoded.model.CROWD_ROWS", 0)
    monkeypatch.setattr(SteadyDraft, "shown", lambda self, hypothesis, *_: list(hypothesis))


def test_alignatt_commits_what_is_heard_before_the_last_frames_alone(model, whole):
    """Against the attention itself, read when each token was committed; with drafts and without."""
    frames, written = 20, []
    for n_draft in (0, 64):
        stream = stream_of(model, times=False)
        stages = stream.stages
        decides = ChosenPolicy(AlignAtt(frames), 1)
        stages.loop = loop = model.loop(
            stages.decoder, decides, stages.decoder.prompt, times=False, n_draft=n_draft
        )
        committed = []

        def push(tokens, hypothesis, *, stages=stages, loop=loop, found=committed, **_):
            decoder, found_now = stages.decoder, len(tokens)
            found.append(list(tokens))
            first = len(decoder._tokens) - len(hypothesis) - found_now
            newest = loop.n_left + decoder._n_input - 1
            for i in range(found_now + bool(hypothesis)):
                weights = decoder._seen[first + i - 1].mean(0)
                places = np.arange(decoder._n_input)
                spread = weights[places * len(weights) // len(places)]
                looked = newest - int(np.argmax(spread[::-1]))
                assert (newest // 2 - looked // 2 >= frames) == (i < found_now)
            return []

        stages.caption.push = push
        stages.push(SPOKEN)
        written.append(committed)
    assert written[0] == written[1]
    assert sum(map(len, written[0])) > 3


def test_wait_k_keeps_the_newest_tokens_back(model, whole):
    """Of each hypothesis; the end of the sound brings them, too."""
    stream, n_kept, committed = stream_of(model, times=False, policy="wait-k:4"), [], []
    usual = stream.stages.caption.push

    def push(tokens, hypothesis, **options):
        if not tokens:
            assert len(hypothesis) <= 4
        n_kept.extend([len(hypothesis)] * bool(tokens))
        committed.extend(tokens)
        return usual(tokens, hypothesis, **options)

    stream.stages.caption.push = push
    stream.push(SPOKEN)
    assert set(n_kept) == {4}
    assert len(committed) > 3
    assert words_of(stream.finish())
    assert n_kept[-1] == 0


def test_padding_is_not_looked_at(tmp_path):
    model = ReencodedModel(tiny_whisper.write(tmp_path / "m"), SHORT)
    model.weights.padded = True
    stream = model.stream(language="en", policy="alignatt:20", vad="off")
    words = words_of(stream.push(sound(0, 3.0)) + stream.finish())
    assert words
    decoder = stream.stages.decoder
    assert {len(seen[0]) for seen in decoder._seen} == {decoder._n_input // 2}  # of 1500
    assert all(word.end_ms <= 3040 for word in words)


def test_without_cross_attention_there_are_times_of_segments_and_no_alignatt(tmp_path):
    folder = without_attention(tiny_whisper.write(tmp_path / "m"))
    model = ReencodedModel(folder, SHORT)
    assert model.weights.aligned_heads == []
    assert words_of(events_of(stream_of(model), [len(SPOKEN)]))
    for policy in ("alignatt", AlignAtt(25)):
        with pytest.raises(UsageError, match="gives its cross-attention"):
            stream_of(model, policy=policy)


BAD_POLICIES = ["alignatt:0", "wait-k:x", "agree", "alignatt:9999", "local-agreement:65"]


@pytest.mark.parametrize("policy", BAD_POLICIES)
def test_a_policy_that_is_none_is_refused_in_one_line(tmp_path, policy):
    folder = tiny_whisper.write(tmp_path / "m")
    result = CliRunner().invoke(app, ["listen", "-m", str(folder), "--policy", policy, "-"])
    assert result.exit_code == 2
    assert "local-agreement:2, alignatt:25, wait-k:3" in result.output
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize("heads", [[[9, 0]], [[0, 9]], [[0]], "all", [[0, -1]], [[True, 0]]])
def test_wrong_alignment_heads_are_refused(tmp_path, heads):
    generation = {**tiny_whisper.GENERATION, "alignment_heads": heads}
    folder = tiny_whisper.write(tmp_path / "m", generation=generation)
    with pytest.raises(ModelError, match="alignment_heads"):
        ReencodedModel(folder)


def test_the_heads_that_are_named_are_looked_at(tmp_path):
    generation = {**tiny_whisper.GENERATION, "alignment_heads": [[0, 3], [1, 1]]}
    folder = tiny_whisper.write(tmp_path / "m", generation=generation)
    model = ReencodedModel(folder)
    model.weights.silence_rows = 0
    assert model.weights.aligned_heads == [(0, 3), (1, 1)]
    rows = np.ones((200, 81), np.float32)
    rows[:, 1:] = np.random.default_rng(0).normal(-1, 0.3, (200, 80))
    states = model.weights.encode(rows)
    both = model.weights.decode([model.config.start, 5, 6], states, {}, look=True).attention
    assert both.shape == (2, 3, 100)
    assert both.sum(2) == pytest.approx(np.ones((2, 3)), abs=1e-5)
    _, cache, _ = model.weights.decode([model.config.start, 5], states, {})
    after = model.weights.decode([6], states, cache, look=True).attention
    assert np.abs(after[:, 0] - both[:, 2]).max() < 1e-6


def captions(tokens, begins_ms):
    texts = [b" the", b" ha", b"t", b",", b" it"]
    caption = SegmentCaption(texts, Clock())
    events = caption.push(
        tokens, [], begins_ms=begins_ms, window_ms=0, known_ms=900, now_ms=2000
    ) + caption.finish()  # fmt: skip
    return [(w.text, w.start_ms, w.end_ms) for w in words_of(events)]


def test_a_word_lasts_from_its_first_letter_to_its_last():
    found = captions([0, 1, 2, 3, 4], [100, 300, 400, 600, 800, 950])
    assert found == [("the", 100, 300), ("hat,", 300, 600), ("it", 800, 950)]
