# SPDX-License-Identifier: Apache-2.0
"""Vision-language models as commentators: what enters the memory, what is said, for how long."""

import hashlib
import json
import math
import subprocess
import sys
import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libmtmd import Libmtmd
from test_vision_tower import TEXTS
from tiny_vlm import TOWERS, pictures, write_chat_decoder, write_tower

from edgestream.errors import ModelError, UsageError
from edgestream.events import Comment, Gap
from edgestream.sources.picture import Picture
from edgestream.vision.gates import RowGate
from edgestream.vision.governor import Pace
from edgestream.vision.vlm.chat import chat_turns
from edgestream.vision.vlm.model import VlmModel
from edgestream.vision.vlm.stages import whole_sentences
from edgestream.vision.vlm.units import UnitTemplate

LAYOUTS = ["interleaved", "group", "gap", "overlap"]


def write_model(folder, tower, **tables):
    """A folder with `model.toml`; `tables` replace keys, as decoder={"text_sink": 8}."""
    folder.mkdir(exist_ok=True)
    write_chat_decoder(folder / "decoder.gguf", tower)
    write_tower(folder / "mmproj.gguf", tower)
    lines = ["format = 1", 'name = "tiny"', 'family = "vlm"', 'description = "random"',
             'languages = ["en"]', 'license = "Apache-2.0"']  # fmt: skip
    defaults = {
        "tower": {"file": "mmproj.gguf"},
        "decoder": {"file": "decoder.gguf", "text_sink": 48, "text_window": 64,
                    "vision_window_s": 4.0, "kv_type": "f32"},
        "prompt": {"system": "Say what is new.", "silence": "no reply"},
        "pictures": {"fps": 1.0, "max_rows": 24},
        "policy": {"asks": "pictures", "max_tokens": 6, "min_change": 0.0,
                   "repetition_penalty": 1.0},
    }  # fmt: skip
    for table, values in defaults.items():
        lines.append(f"[{table}]")
        for key, value in (values | tables.get(table, {})).items():
            shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
            lines.append(f"{key} = {shown}")
    lines.append("[files]")
    for name in ("decoder.gguf", "mmproj.gguf"):
        lines.append(f'"{name}" = "{hashlib.sha256((folder / name).read_bytes()).hexdigest()}"')
    (folder / "model.toml").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module", params=list(TOWERS))
def folder(request, tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("vlm") / request.param, TOWERS[request.param])


@pytest.fixture(scope="module")
def model(folder):
    return VlmModel(folder)


def shown(n, **options):
    """A moving square as Pictures, one a second."""
    return [Picture(rgb, 1000.0 * i) for i, rgb in enumerate(pictures(n, **options))]


def open_stream(model, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.stream(chattiness=1.0, **options)


def said(stream, taken):
    return [*stream.push(taken), *stream.finish()]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_grouping_of_pictures_says_the_same(model, layout):
    taken = shown(9)
    stream = open_stream(model, layout=layout)
    whole = said(stream, taken)
    assert any(isinstance(event, Comment) for event in whole)
    stream.reset()
    apart = [event for picture in taken for event in stream.push(picture)] + stream.finish()
    assert apart == whole
    again = open_stream(model, layout=layout)
    assert again.push(taken[:5]) + said(again, taken[5:]) == whole


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(0, 9), max_size=4))
def test_any_cutting_says_the_same_with_comments_that_go_on(going_on, cuts):
    taken = shown(9)
    stream = open_stream(going_on)
    whole = said(stream, taken)
    stream.reset()
    pieces = np.split(np.arange(9), sorted(cuts))
    apart = [e for piece in pieces for e in stream.push([taken[i] for i in piece])]
    assert apart + stream.finish() == whole


@pytest.fixture(scope="module")
def going_on(tmp_path_factory):
    policy = {"continues": True, "max_tokens": 2}
    where = tmp_path_factory.mktemp("vlm") / "on"
    return VlmModel(write_model(where, TOWERS["qwen2.5vl"], policy=policy))


def test_the_first_comment_is_the_text_that_libmtmd_s_helper_gives(folder, model):
    before, after = TEXTS["llama" if model.tower.shape.projector == "idefics3" else "qwen"]
    files = folder / "decoder.gguf", folder / "mmproj.gguf"
    oracle = Libmtmd(*files, max_cells=model.tower.max_rows)
    for picture in shown(4, seed=3):
        stages = open_stream(model).commentator
        rows = stages.tower.push(picture.rgb)
        unit = stages.template.push(rows, stages.row_gate.push(rows.embeddings))
        stages.loop.set_outside(1.0)
        tokens = stages.loop.push_unit(*unit)[0].tolist()
        assert tokens == oracle.evaluate_overview(picture.rgb, before, after, 6)[: len(tokens)]
        assert tokens
    oracle.close()


def test_a_still_scene_is_looked_at_once(model):
    still = [replace(shown(1)[0], time_ms=1000.0 * i) for i in range(20)]
    stream = open_stream(model)
    events = said(stream, still)
    assert len(events) <= 1
    assert (stream.counts.pictures, stream.counts.encoded) == (20, 1)


def test_what_is_said_again_is_no_news(model):
    """Where only what is new is drawn again, a comment like the last one is not said."""
    quiet = model.stream(chattiness=0.0)
    chatty = open_stream(model)
    taken = [replace(p, time_ms=500.0 * i) for i, p in enumerate(shown(2) * 8)]
    spoken, told = said(quiet, taken), said(chatty, taken)
    assert len(spoken) <= len(told)
    texts = [event.text for event in spoken]
    assert len(set(texts)) == len(texts)


def test_a_change_of_shot_cuts_off_what_is_being_said(going_on):
    other = Picture(np.full((64, 96, 3), (250, 20, 90), np.uint8), 3000.0)
    stream = open_stream(going_on)
    before = stream.push(shown(3, seed=1))
    assert before
    assert not any(isinstance(event, Comment) for event in before)
    cut, *_ = stream.push(other)
    assert isinstance(cut, Comment)
    assert cut.picture_ms == 0.0
    assert cut.text.startswith(before[-1].text.removesuffix(".")[:1])
    assert cut.text.endswith(("\u2026", ".", "!", "?"))


def test_a_gap_ends_what_is_being_said_and_the_next_picture_is_a_first_one(going_on):
    taken = shown(3, seed=1)
    stream = open_stream(going_on)
    stream.push(taken)
    encoded = stream.counts.encoded
    gap = Gap(2000.0, 5000.0, "camera lost")
    events = stream.lose(gap)
    assert events[-1] == gap
    assert any(isinstance(event, Comment) for event in events)
    stream.push(replace(taken[2], time_ms=6000.0))
    assert stream.counts.encoded == encoded + 1


def test_little_change_is_not_worth_a_comment(tmp_path):
    where = write_model(tmp_path / "m", TOWERS["smolvlm"], policy={"min_change": 0.45})
    model = VlmModel(where)
    stream = model.stream(chattiness=0.5)
    events = [stream.push(picture) for picture in shown(12)]
    assert len(events[0]) == 1  # all of a first picture is new
    assert sum(map(len, events[1:4])) == 0
    assert stream.counts.encoded > 4  # they are looked at and remembered all the same
    assert sum(map(len, events[4:])) >= 1  # and add up


def test_the_phrase_of_silence_is_not_said(model):
    stages = open_stream(model).commentator
    tokenizer = model.tokenizer
    for text, events in (("No reply.", 0), (" no REPLY ", 0), ("...", 0), (" \n", 0), ("A", 1)):
        stages._tokens = tokenizer.encode(text, add_special=False)
        assert len(stages._say(stopped=False)) == events


def test_a_slow_machine_s_pictures_cost_less(model):
    """Fewer tokens, and fewer rows where pictures may have any size."""
    stages = open_stream(model).commentator
    first, second = shown(2)
    stages.push(first)
    whole = stages.counts.rows
    assert stages.cost.n_tokens == 6
    assert stages.cost.cut_off
    stages.limit(Pace(max_tokens=2, interval_ms=2000.0, picture_tokens=8), math.inf)
    stages.push(second)
    rows = stages.counts.rows - whole
    least, most = (whole, whole) if model.tower.is_fixed else (4, 8)
    assert least <= rows <= most
    assert stages.cost.n_tokens <= 2
    assert stages.cost.read_ms > 0
    stages.limit(Pace(max_tokens=6, interval_ms=2000.0), 0.0)
    stages.push(shown(3)[2])
    assert stages.cost.n_tokens <= 1  # no time is left, and one may always be written


def test_a_live_stream_gives_up_what_its_family_can(model):
    levers = model._levers(1.0)
    assert levers.max_tokens == (6,)
    assert levers.interval_ms[0] == 1000.0
    assert levers.picture_tokens == (() if model.tower.is_fixed else (24,))
    stream = open_stream(model, keep_up=True, now_ms=lambda: 3000.0)
    assert isinstance(said(stream, shown(3)), list)
    assert stream.counts.pictures == 3


def test_a_phrase_of_one_token_is_silence_for_the_policy(tmp_path):
    where = write_model(tmp_path / "m", TOWERS["smolvlm"], prompt={"silence": "..."},
                        policy={"silence": 0.0, "min_change": 0.0})  # fmt: skip
    model = VlmModel(where)
    silence = model.tokenizer.encode("...", add_special=False)
    assert len(silence) == 1
    stages = model.stream(chattiness=0.5).commentator
    for picture in shown(4):
        rows = stages.tower.push(picture.rgb)
        unit = stages.template.push(rows, stages.row_gate.push(rows.embeddings))
        stages.loop.set_outside(1.0)
        assert silence[0] not in stages.loop.push_unit(*unit)[0].tolist()


def test_a_text_that_was_stopped_keeps_its_whole_sentences():
    assert whole_sentences("") == ""
    assert whole_sentences("A dog") == "A dog\u2026"
    assert whole_sentences("A dog. It ru") == "A dog."
    assert whole_sentences("A dog. It runs!") == "A dog. It runs!"
    assert whole_sentences("At 3.5 m") == "At 3.5 m\u2026"


def test_dropped_rows_shift_no_other_rows_place(folder, model):
    tokenizer, projector = model.tokenizer, model.tower.shape.projector
    turns = chat_turns(projector, tokenizer, "", "Now?")
    template = UnitTemplate(model.decoder, turns)
    rows = model.tower.push(shown(1)[0].rgb)
    n = len(rows.embeddings)
    whole, places = template.push(rows, np.ones(n, bool))
    rng = np.random.default_rng(0)
    for _ in range(5):
        kept = rng.random(n) < 0.4
        unit, kept_places = template.push(rows, kept)
        n_before, n_after = len(turns.before_picture), len(turns.after_picture)
        mask = np.concatenate([np.ones(n_before, bool), kept, np.ones(n_after, bool)])
        np.testing.assert_array_equal(unit, whole[mask])
        if places is None:
            assert kept_places is None  # one axis: they follow one another
        else:
            np.testing.assert_array_equal(kept_places, places[mask])


def test_places_are_those_of_libmtmd(folder, model):
    """Behind a picture goes on what libmtmd counts as its positions."""
    if not model.tower.has_axes:
        pytest.skip("one axis")
    turns = chat_turns(model.tower.shape.projector, model.tokenizer, "", "")
    template = UnitTemplate(model.decoder, turns)
    rows = model.tower.push(shown(1)[0].rgb)
    _, places = template.push(rows, np.ones(len(rows.embeddings), bool))
    n_before = len(turns.before_picture)
    height, width = rows.axes.max(0)[1:] + 1
    assert places[n_before].tolist() == [n_before] * 3
    assert places[-len(turns.after_picture)].tolist() == [n_before + max(height, width)] * 3


def test_a_row_gate_starts_anew_where_the_grid_changes():
    gate = RowGate(4, max_cosine=0.9, memory_rows=100, rows_besides=2)
    rows = np.ones((6, 4), np.float32)
    assert gate.push(rows).all()
    assert not gate.push(rows).any()
    assert gate.push(np.ones((8, 4), np.float32)).all()


def test_thousands_of_pictures_take_no_more_memory(tmp_path):
    """And the ring's windows are full of them many times over."""
    where = write_model(
        tmp_path / "m", TOWERS["qwen3vl"], policy={"max_tokens": 2}, pictures={"max_rows": 8}
    )
    model = VlmModel(where)
    stream = open_stream(model)
    frames = pictures(12)
    n_said, before = 0, 0
    for i in range(2400):
        n_said += len(stream.push(Picture(frames[i % 12], 1000.0 * i)))
        if i == 600:
            before = resident_bytes()
    assert resident_bytes() - before < 3_000_000
    assert stream.counts.encoded == 2400
    assert n_said > 0


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_ways_to_lay_out_are_named_and_warned_of(model):
    for layout in LAYOUTS[1:]:
        with pytest.warns(UserWarning, match=f"layout '{layout}': tiny may say worse things"):
            model.stream(layout=layout)
    with pytest.raises(UsageError, match="layout is 'across'; it must be one of interleaved"):
        model.stream(layout="across")


def test_requests_that_cannot_be_met_are_one_line(model):
    with pytest.raises(UsageError, match="fps is 2000; it must lie between"):
        model.stream(fps=2000.0)
    with pytest.raises(UsageError, match="chattiness is 2; it must lie between 0 and 1"):
        model.stream(chattiness=2.0)
    with pytest.raises(UsageError, match=r"a prompt of \d+ tokens, its memory keeps 48"):
        model.stream(prompt="word " * 40)
    with pytest.raises(UsageError, match="one side may be 16 times the other"):
        open_stream(model).push(Picture(np.zeros((2, 200, 3), np.uint8), 0.0))


@pytest.mark.parametrize(
    ("table", "values", "said"),
    [
        ("decoder", {"layout": "sideways"}, "decoder.layout must be one of"),
        ("decoder", {"vision_window_s": 0.0}, "vision_window_s must be above 0"),
        ("pictures", {"max_rows": 3}, "pictures.max_rows must be 4 to 4096"),
        ("policy", {"max_tokens": 0}, "policy.max_tokens must be 1 to 1024"),
        ("decoder", {"kv_type": "f8"}, "decoder.kv_type must be one of f32, f16"),
        ("policy", {"silenc": 1}, "unknown key 'silenc'"),
    ],
)
def test_a_manifest_out_of_range_is_refused(tmp_path, table, values, said):
    where = write_model(tmp_path / "m", TOWERS["smolvlm"], **{table: values})
    with pytest.raises(ModelError, match=said):
        VlmModel(where)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    where = write_model(tmp_path / "m", replace(TOWERS["smolvlm"], decoder="qwen2vl"))
    with pytest.raises(ModelError, match="a vision tower of another family than the decoder"):
        VlmModel(where)
    wide = replace(TOWERS["smolvlm"], n_out=128)
    where = write_model(tmp_path / "n", TOWERS["smolvlm"])
    write_tower(where / "mmproj.gguf", wide)
    with pytest.raises(ModelError, match="altered or damaged"):
        VlmModel(where)


def test_the_command_comments_on_a_video_file(tmp_path):
    """The real command on a real file: comments as JSONL, and a request that cannot be met."""
    where = write_model(tmp_path / "model", TOWERS["smolvlm"], pictures={"fps": 5.0})
    clip = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(clip, cv2.VideoWriter_fourcc(*"MJPG"), 5.0, (96, 64))
    for rgb in pictures(15):
        writer.write(np.ascontiguousarray(rgb[:, :, ::-1]))
    writer.release()
    command = [sys.executable, "-m", "edgestream", "watch", clip, "-m", str(where), "--fast"]

    def run(*options):
        return subprocess.run([*command, *options], capture_output=True, text=True, timeout=300)

    done = run("--prompt", "Watch the square.", "--chattiness", "1", "--format", "jsonl", "--stats")
    assert done.returncode == 0, done.stderr
    comments = [json.loads(line) for line in done.stdout.splitlines()]
    assert comments
    assert all(c["type"] == "final" and c["text"] for c in comments)
    assert "15 pictures" in done.stderr
    refused = run("--prompt", "word " * 40)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "its memory keeps 48; make it shorter" in refused.stderr
