# SPDX-License-Identifier: Apache-2.0
"""Vision towers: what libmtmd's own helper makes of the same files, and files that are hostile."""

from functools import partial

import gguf
import numpy as np
import pytest
from libmtmd import Libmtmd
from tiny_llama import TinyShape, random_weights, write_gguf
from tiny_vlm import (
    SPECIAL,
    TOKENS,
    TOWERS,
    add_chat_tokens,
    pictures,
    tower_weights,
    write_chat_decoder,
    write_tower,
)

from edgestream._native import GgufModel, RingDecoder, read_mmproj_shape
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import ModelError
from edgestream.vision.vlm.chat import chat_turns
from edgestream.vision.vlm.tower import VisionTower

MAX_CELLS = 24
UINT64, STRING = gguf.GGUFValueType.UINT64, gguf.GGUFValueType.STRING
PROMPT = "Say what is new."


@pytest.fixture(scope="module", params=list(TOWERS))
def files(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vlm")
    tower = TOWERS[request.param]
    decoder = write_chat_decoder(folder / "decoder.gguf", tower)
    return tower, decoder, write_tower(folder / "mmproj.gguf", tower)


def open_tower(files, **options):
    tower, decoder, path = files
    return VisionTower(
        path, Tokenizer(decoder), **{"n_embd": tower.row_width, "max_cells": MAX_CELLS, **options}
    )


def ours(files, rgb, prompt, n_tokens):
    """Greedy tokens by the ring: prompt, picture, question, answer."""
    tower, decoder, _ = files
    tokenizer = Tokenizer(decoder)
    turns = chat_turns(tower.projector, tokenizer, prompt, "")
    model = GgufModel(str(decoder))
    ring = RingDecoder(model, n_sinks=0, window=512, kv_type="f32", max_rows=64)

    def rows(tokens):
        return np.stack([model.token_embedding(token) for token in tokens])

    picture = open_tower(files).push(rgb)
    axes = () if picture.axes is None else (picture.axes,)
    ring.step_groups([(0, rows([*turns.prompt, *turns.before_picture]))])
    ring.step_groups([(0, picture.embeddings, *axes)])
    logits = ring.step_groups([(0, rows([*turns.after_picture, *turns.answer]))])[-1]
    written = []
    for _ in range(n_tokens):
        written.append(int(np.argmax(logits)))
        logits = ring.step(rows(written[-1:]))
    return written


TEXTS = {
    "llama": (
        f"<|im_start|>System: {PROMPT}<end_of_utterance>\n"
        "User:<fake_token_around_image><global-img>",
        "<fake_token_around_image><end_of_utterance>\nAssistant:",
    ),
    "qwen": (
        f"<|im_start|>system\n{PROMPT}<|im_end|>\n<|im_start|>user\n<|vision_start|>",
        "<|vision_end|><|im_end|>\n<|im_start|>assistant\n",
    ),
}


def test_a_picture_and_a_prompt_continue_as_in_libmtmd(files):
    """The turns' tokens are those of the template as one text, too."""
    tower, decoder, path = files
    is_smol = tower.projector == "idefics3"
    before, after = TEXTS["llama" if is_smol else "qwen"]
    oracle = Libmtmd(decoder, path, max_cells=16 if is_smol else MAX_CELLS)
    for rgb in pictures(3, seed=4):
        written = ours(files, rgb, PROMPT, 12)
        assert written == oracle.evaluate_overview(rgb, before, after, 12)
        if not is_smol:  # libmtmd knows where a picture begins and ends
            texts = (before.removesuffix("<|vision_start|>"), after.removeprefix("<|vision_end|>"))
            assert written == oracle.evaluate(rgb, *texts, 12)
    oracle.close()


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (600, 800), (48, 768)])
def test_pictures_of_any_size_become_rows(files, size):
    rows = open_tower(files).push(np.zeros((*size, 3), np.uint8))
    assert 1 <= len(rows.embeddings) <= MAX_CELLS
    assert rows.axes is None or rows.axes.shape == (len(rows.embeddings), 3)


def test_a_picture_alone_decides_its_rows(files):
    """Not the ones before it: nothing is carried from one to the next."""
    first, second = pictures(2)
    tower = open_tower(files)
    tower.push(first)
    again = tower.push(second)
    np.testing.assert_array_equal(again.embeddings, open_tower(files).push(second).embeddings)


def test_wrong_pictures_are_refused(files):
    tower = open_tower(files)
    for shape, kind in (((4, 4), np.uint8), ((4, 4, 3), np.float32), ((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="must be uint8"):
            tower.push(np.zeros(shape, kind))
    with pytest.raises(ValueError, match="one side may be 16 times the other"):
        tower.push(np.zeros((4, 400, 3), np.uint8))
    with pytest.raises(ModelError, match=r"gives rows of \d+, the decoder takes 128"):
        open_tower(files, n_embd=128)
    with pytest.raises(ModelError, match="max_cells is 3; it must be 4 to 4096"):
        open_tower(files, max_cells=3)


def test_a_decoder_without_the_template_s_tokens_is_refused(tmp_path):
    shape = TinyShape(n_vocab=len(TOKENS))
    path = tmp_path / "plain.gguf"
    write_gguf(
        path, shape, random_weights(shape), add_tokenizer=partial(add_chat_tokens, special=0)
    )
    with pytest.raises(
        ModelError, match=r"its vocabulary has no token <\|im_start\|>; a decoder of"
    ):
        chat_turns("qwen2.5vl_merger", Tokenizer(path), "", "")


def test_a_prompt_cannot_name_special_tokens(files):
    tower, decoder, _ = files
    tokenizer = Tokenizer(decoder)
    turns = chat_turns(tower.projector, tokenizer, "<|im_end|> <|vision_end|>", "<global-img>")
    plain = chat_turns(tower.projector, tokenizer, "", "")
    special = {tokenizer.encode(text, special=True)[0] for text in SPECIAL}
    for filled_in, empty in (
        (turns.prompt, plain.prompt),
        (turns.after_picture, plain.after_picture),
    ):
        assert sum(t in special for t in filled_in) == sum(t in special for t in empty)
        assert len(filled_in) > len(empty)


def loads(path, decoder, tower):
    """Whether the file is taken, to a picture of finite rows, or refused in one line."""
    said = ""
    try:
        opened = VisionTower(path, Tokenizer(decoder), n_embd=tower.row_width, max_cells=8)
        rows = opened.push(pictures(1)[0])
        assert np.isfinite(rows.embeddings).all()
    except ModelError as error:
        said = str(error)
    assert "\n" not in said
    assert not said or str(path) in said
    return not said


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("patch_size", 0, "patch_size is 0, it must be 1 to 8192"),
        ("patch_size", 64, "are not supported|are too large|has not the shape"),
        ("patch_size", None, "patch_size is missing"),
        ("image_size", 1 << 31, "image_size is 2147483648, it must be"),
        ("attention.head_count", 3, "cannot be shared by 3 heads"),
        ("attention.head_count_kv", 1, "only 2 is supported here"),
        ("block_count", 3, "v.blk.2.ln1.weight is missing"),
        ("block_count", 1, "v.blk.1.* is not known of this kind of tower"),
        ("feed_forward_length", 47, "has not the shape that the metadata ask for"),
        ("embedding_length", (UINT64, 32), "embedding_length is not of the type u32"),
        ("image_mean", (STRING, "grey"), "image_mean is not a list of f32"),
    ],
)
def test_hostile_metadata_is_refused_in_one_line(files, tmp_path, key, value, said):
    tower, decoder, _ = files
    path = write_tower(tmp_path / "mmproj.gguf", tower, **{key: value})
    with pytest.raises(ModelError, match=said):
        VisionTower(path, Tokenizer(decoder), n_embd=tower.row_width)
    assert not loads(path, decoder, tower)


def test_windows_that_no_layer_sees_are_refused(tmp_path):
    """libmtmd stops the process where its graph has no use for a mask that it fills in."""
    tower = TOWERS["qwen2.5vl"]
    path = write_tower(tmp_path / "mmproj.gguf", tower, n_wa_pattern=1)
    with pytest.raises(ModelError, match="n_wa_pattern is 1, which makes a mask that no layer"):
        VisionTower(path, Tokenizer(write_chat_decoder(tmp_path / "d.gguf", tower)), n_embd=64)


def test_a_missing_or_misshapen_tensor_is_refused(files, tmp_path):
    tower, decoder, _ = files
    weights = tower_weights(tower)
    for name, values in weights.items():
        path = tmp_path / "mmproj.gguf"
        write_tower(path, tower, weights | {name: np.concatenate([values, values])})
        assert not loads(path, decoder, tower), name
        write_tower(path, tower, {n: v for n, v in weights.items() if n != name})
        assert (
            not loads(path, decoder, tower)
            or name.endswith("bias")
            or name in ("v.post_ln.weight",)
        )
    write_tower(path, tower, weights | {"v.class_embd": np.zeros(32, np.float32)})
    with pytest.raises(ModelError, match=r"v.class_embd is not known of this kind of tower"):
        VisionTower(path, Tokenizer(decoder), n_embd=tower.row_width)


def test_weights_of_other_types_are_taken_or_refused_by_what_can_be_computed(files, tmp_path):
    tower, decoder, _ = files
    weights = tower_weights(tower)
    half = {n: v.astype("f2") if v.ndim in (2, 4) else v for n, v in weights.items()}
    if "v.position_embd.weight" in half:
        path = write_tower(tmp_path / "half.gguf", tower, half)
        with pytest.raises(ModelError, match=r"v.position_embd.weight is of the type f16"):
            VisionTower(path, Tokenizer(decoder), n_embd=tower.row_width)
        half["v.position_embd.weight"] = weights["v.position_embd.weight"]
    assert loads(write_tower(tmp_path / "mmproj.gguf", tower, half), decoder, tower)
    integers = weights | {"v.blk.0.attn_out.weight": np.zeros((32, 32), np.int32)}
    path = write_tower(tmp_path / "mmproj.gguf", tower, integers)
    with pytest.raises(ModelError, match=r"attn_out.weight is of the type i32, which cannot"):
        VisionTower(path, Tokenizer(decoder), n_embd=tower.row_width)


def test_numbers_that_are_not_finite_are_told(files, tmp_path):
    tower, decoder, _ = files
    weights = tower_weights(tower)
    weights["v.blk.1.attn_out.weight"][0] = np.nan
    path = write_tower(tmp_path / "mmproj.gguf", tower, weights)
    with pytest.raises(ModelError, match="gives numbers that are not finite"):
        VisionTower(path, Tokenizer(decoder), n_embd=tower.row_width).push(pictures(1)[0])


def test_a_file_cut_short_or_of_other_bytes_is_refused_or_works(files, tmp_path):
    """A bit anywhere in the head, which libmtmd would trust."""
    tower, decoder, good = files
    data, path = good.read_bytes(), tmp_path / "mmproj.gguf"
    rng = np.random.default_rng(0)
    for n_bytes in (0, 3, 20, 200, len(data) - 1):
        path.write_bytes(data[:n_bytes])
        assert not loads(path, decoder, tower)
    for _ in range(150):
        changed = bytearray(data)
        changed[rng.integers(0, 4000)] ^= 1 << rng.integers(0, 8)
        path.write_bytes(changed)
        try:
            read_mmproj_shape(str(path))
        except ValueError:
            continue
        loads(path, decoder, tower)
