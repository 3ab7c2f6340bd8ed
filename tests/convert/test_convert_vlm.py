# SPDX-License-Identifier: Apache-2.0
"""Models that see: checkpoints are converted; transformers says what they see and write."""

import json
import shutil
import sys

import gguf
import numpy as np
import pytest
import tiny_vision as tiny
from safetensors.numpy import load_file, save_file

from edgestream.cli.start import run_command
from edgestream.convert.run import Wish, convert
from edgestream.convert.verify.decoder import BOUNDS, bound_of
from edgestream.convert.verify.vlm import ROW_BOUNDS, relative, run_result
from edgestream.errors import ModelError, UsageError
from edgestream.vision.vlm.model import VlmModel

KINDS = list(tiny.KINDS)


def source_of(kind):
    return tiny.DATA / f"tiny-{kind.replace('_', '-')}"


def run(source, out, quant="f32", to=None):
    wish = Wish(to=to, quant=quant, verify=False, n_threads=1)
    convert(str(source), out, wish, tell=lambda _: None, progress=lambda *_: None)
    return out


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    return run(source_of(kind), tmp_path_factory.mktemp("vlm") / kind)


@pytest.fixture
def checkpoint(kind, tmp_path):
    return shutil.copytree(source_of(kind), tmp_path / "checkpoint")


def change(folder, name, edit):
    fields = json.loads((folder / name).read_text())
    edit(fields)
    (folder / name).write_text(json.dumps(fields))


def rename(folder, renamed):
    tensors = load_file(folder / "model.safetensors")
    save_file({renamed(name): x for name, x in tensors.items()}, folder / "model.safetensors")


def paths(folder):
    return folder / "decoder.gguf", folder / "mmproj.gguf"


def seen_by(folder, kind):
    """Rows of the picture, and the tokens that are written greedily, each behind the one that
    transformers wrote before."""
    before, after = tiny.prompt()
    expected = np.load(source_of(kind) / "expected.npz")
    written = expected["written"].tolist()
    rows, logits = run_result(*paths(folder), tiny.picture(kind), before, [*after, *written])
    return rows, logits[len(after) - 1 : -1].argmax(axis=1).tolist(), expected


def test_a_picture_and_the_text_behind_it_are_those_of_transformers(folder, kind):
    rows, written, expected = seen_by(folder, kind)
    assert rows.shape == expected["rows"].shape
    assert relative(rows, expected["rows"]) <= ROW_BOUNDS["f32"] == 1e-3
    assert written == expected["written"].tolist()
    assert len(set(written)) > 3


def test_the_picture_is_seen_at_all(folder, kind):
    """The comparison notices another picture, by far."""
    _, _, expected = seen_by(folder, kind)
    turned = np.ascontiguousarray(tiny.picture(kind)[::-1])
    rows, _ = run_result(*paths(folder), turned, [], [1])
    assert relative(rows, expected["rows"]) > 0.1


@pytest.mark.parametrize("quant", ["f16", "bf16", "q8_0", "q4_k_m"])
def test_quantized_decoders_keep_a_tower_of_float16(kind, quant, tmp_path):
    folder = run(source_of(kind), tmp_path / "out", quant)
    rows, _, expected = seen_by(folder, kind)
    assert relative(rows, expected["rows"]) <= ROW_BOUNDS["f16"]
    kinds = {t.name: t.tensor_type.name for t in gguf.GGUFReader(folder / "mmproj.gguf").tensors}
    assert kinds["v.blk.0.attn_out.weight"] == "F16"
    assert kinds["v.patch_embd.weight"] == kinds["v.blk.0.attn_out.bias"] == "F32"
    decoder = {t.name: t.tensor_type.name for t in gguf.GGUFReader(folder / "decoder.gguf").tensors}
    assert bound_of(folder / "decoder.gguf") == BOUNDS[quant]
    matrix = decoder["blk.0.attn_q.weight"].lower()
    assert matrix == quant if quant in ("f16", "bf16", "q8_0") else matrix.startswith("q")


def test_the_folder_is_a_model_that_watches(folder, kind):
    model = VlmModel(folder)
    m = model.manifest
    assert (m.decoder.file, m.tower.file, m.license) == ("decoder.gguf", "mmproj.gguf", "unknown")
    assert set(m.files) == {"decoder.gguf", "mmproj.gguf"}
    assert "three dots" in m.prompt.system
    tokens = model.tokenizer.encode("the <|im_start|> in", special=True)
    assert tokens == [257, 32, tiny.FIRST_SPECIAL, 32, 258]
    assert "for message" in model.decoder.metadata("tokenizer.chat_template")


def files_of(folder):
    return [(folder / name).read_bytes() for name in ("decoder.gguf", "mmproj.gguf")]


@pytest.mark.parametrize("kind", ["qwen2_5_vl"], indirect=True)
def test_older_and_newer_layouts_of_a_checkpoint_are_the_same_model(folder, checkpoint, tmp_path):
    def flatten(config):
        text = config.pop("text_config") | {"tie_word_embeddings": False}
        del text["model_type"]
        rope = text.pop("rope_parameters")
        text |= {"rope_theta": rope["rope_theta"]}
        text["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
        config |= text
        del config["vision_config"]["rope_parameters"]

    change(checkpoint, "config.json", flatten)
    assert files_of(run(checkpoint, tmp_path / "old")) == files_of(folder)
    newer = {"visual.": "model.visual.", "model.": "model.language_model."}

    def renamed(name):
        start = next((start for start in newer if name.startswith(start)), "")
        return newer.get(start, "") + name.removeprefix(start)

    rename(checkpoint, renamed)
    assert files_of(run(checkpoint, tmp_path / "new")) == files_of(folder)


def test_what_is_done_to_pictures_may_stand_with_the_processor(folder, checkpoint, tmp_path):
    settings = json.loads((checkpoint / "preprocessor_config.json").read_text())
    (checkpoint / "preprocessor_config.json").unlink()
    (checkpoint / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    assert files_of(run(checkpoint, tmp_path / "out")) == files_of(folder)


def output_of(folder):
    names = {t.name for t in gguf.GGUFReader(folder / "decoder.gguf").tensors}
    return "output.weight" in names


TIED = [  # what the whole and its text part say, whether there is an output, what is written
    (False, False, True, True), (True, False, True, False), (None, True, True, False),
    (None, None, True, True), (False, True, False, False), (True, None, False, False),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["qwen3_vl"], indirect=True)
@pytest.mark.parametrize(("whole", "text", "has_head", "written"), TIED)
def test_an_output_of_its_own_is_used_unless_it_is_tied(
    checkpoint, tmp_path, whole, text, has_head, written
):
    def say(config):
        config["tie_word_embeddings"] = whole
        config["text_config"]["tie_word_embeddings"] = text

    change(checkpoint, "config.json", say)
    if not has_head:
        tensors = load_file(checkpoint / "model.safetensors")
        del tensors["lm_head.weight"]
        save_file(tensors, checkpoint / "model.safetensors")
    assert output_of(run(checkpoint, tmp_path / "out")) == written


@pytest.mark.parametrize("kind", ["qwen2_5_vl"], indirect=True)
def test_layers_that_all_see_the_whole_picture_need_no_windows(checkpoint, tmp_path, kind):
    change(
        checkpoint, "config.json",
        lambda c: c["vision_config"].update(fullatt_block_indexes=[0, 1, 2, 3]),
    )  # fmt: skip
    rows, _, expected = seen_by(run(checkpoint, tmp_path / "out"), kind)
    assert np.isfinite(rows).all()
    assert relative(rows, expected["rows"]) > 0.01, "windows matter"


VISION, TEXT = "vision_config", "text_config"
REFUSED = [
    ("smolvlm", VISION, {"hidden_act": "gelu"}, "hidden_act 'gelu' is not supported"),
    ("smolvlm", VISION, {"image_size": 60}, "60 pixels are not whole patches of 7 in groups of 2"),
    ("smolvlm", VISION, {"num_attention_heads": 3}, "3 heads of rows of 16"),
    ("smolvlm", VISION, {"intermediate_size": 16}, "takes for an older kind of file"),
    ("smolvlm", VISION, {"num_hidden_layers": 3}, "layers.2.layer_norm1.weight is missing"),
    ("smolvlm", VISION, {"num_hidden_layers": 1}, "has no place in smolvlm"),
    ("smolvlm", TEXT, {"hidden_size": 64}, "has the shape [32, 64], its config asks for [64, 64]"),
    ("smolvlm", TEXT, {"model_type": "mistral"}, "model_type 'mistral' is not supported"),
    ("qwen2_5_vl", VISION, {"window_size": 56}, "window_size 56 is not supported"),
    ("qwen2_5_vl", VISION, {"spatial_merge_size": 4}, "spatial_merge_size 4 is not supported"),
    ("qwen2_5_vl", VISION, {"fullatt_block_indexes": [1, 2]}, "are not every so-many-th of 4"),
    ("qwen2_5_vl", VISION, {"fullatt_block_indexes": []}, "are not every so-many-th of 4"),
    ("qwen2_5_vl", VISION, {"out_hidden_size": 64}, "out_hidden_size 64 is not supported"),
    ("qwen2_5_vl", TEXT, {"rope_parameters": {"rope_type": "yarn"}}, "'yarn' of qwen2vl"),
    ("qwen2_5_vl", TEXT, {"rope_parameters": {"mrope_section": [2, 2, 2]}}, "3 counts that make 8"),
    ("qwen3_vl", VISION, {"num_position_embeddings": 35}, "35 is no square"),
    ("qwen3_vl", VISION, {"deepstack_visual_indexes": [2, 0]}, "are not layers in order"),
    ("qwen3_vl", VISION, {"deepstack_visual_indexes": [0, 1, 2]}, "3 deepstack layers"),
    ("qwen3_vl", VISION, {"deepstack_visual_indexes": [0]}, "has no place in qwen3_vl"),
    ("qwen3_vl", TEXT, {"rope_parameters": {"mrope_interleaved": False,
                                            "mrope_section": [3, 3, 2]}}, "mrope_interleaved"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "part", "changes", "said"), REFUSED, ids=[r[3] for r in REFUSED], indirect=["kind"]
)
def test_what_is_not_computed_is_refused_by_name(checkpoint, tmp_path, part, changes, said):
    change(checkpoint, "config.json", lambda config: config[part].update(changes))
    with pytest.raises(ModelError) as refused:
        run(checkpoint, tmp_path / "out")
    assert said in str(refused.value)
    assert str(refused.value).isprintable()
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("kind", ["smolvlm"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_mean": [0.5]}, "image_mean is [0.5], not 3 numbers"),
        ({"image_std": [0.5, 0, 0.5]}, "image_std [0.5, 0.0, 0.5] must be above 0"),
        ({"do_normalize": False}, "do_normalize False is not supported"),
        ({"max_image_size": {"longest_edge": 28}}, "max_image_size 28 is not the tower's 56"),
    ],
)
def test_other_treatment_of_pictures_is_refused(checkpoint, tmp_path, changes, said):
    change(checkpoint, "preprocessor_config.json", lambda settings: settings.update(changes))
    with pytest.raises(ModelError) as refused:
        run(checkpoint, tmp_path / "out")
    assert said in str(refused.value)


@pytest.mark.parametrize("kind", ["qwen2_5_vl"], indirect=True)
def test_one_tensor_under_two_names_is_refused(checkpoint, tmp_path):
    tensors = load_file(checkpoint / "model.safetensors")
    tensors["model.language_model.norm.weight"] = tensors["model.norm.weight"]
    save_file(tensors, checkpoint / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.norm\.weight"):
        run(checkpoint, tmp_path / "out")


@pytest.mark.parametrize("missing", ["tokenizer.json", "preprocessor_config.json"])
def test_a_file_that_is_missing_is_named(checkpoint, tmp_path, missing):
    (checkpoint / missing).unlink()
    with pytest.raises(ModelError, match=missing.partition(".")[0]):
        run(checkpoint, tmp_path / "out")


def test_there_is_no_onnx_of_it(kind, tmp_path):
    with pytest.raises(UsageError, match="--to onnx"):
        run(source_of(kind), tmp_path / "out", to="onnx", quant=None)


@pytest.mark.parametrize("kind", ["qwen3_vl"], indirect=True)
def test_the_command_converts_and_says_in_one_line_what_it_cannot(
    checkpoint, tmp_path, monkeypatch, capsys
):
    def command(out):
        told = ["edgestream", "convert", str(checkpoint), "-o", str(tmp_path / out)]
        monkeypatch.setattr("sys.argv", [*told, "--quant", "q8_0"])
        with pytest.raises(SystemExit) as ended:
            sys.exit(run_command())
        return ended.value.code, capsys.readouterr().err

    assert command("out")[0] == 0
    assert VlmModel(tmp_path / "out")
    change(checkpoint, "config.json", lambda config: config["vision_config"].pop("depth"))
    code, said = command("other")
    assert code == 2
    assert "depth is missing" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "other").exists()
