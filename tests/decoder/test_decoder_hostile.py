# SPDX-License-Identifier: Apache-2.0
"""Damaged and foreign GGUF files: a clear ValueError, never the end of the process."""

import dataclasses
import re
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import TinyShape, add_metadata, random_weights, write_gguf

from edgestream._native import GgufModel, RingDecoder

SHAPE = TinyShape(n_layers=1, n_embd=32, n_ff=32, n_heads=2, n_kv_heads=1, n_vocab=8)
MUTATIONS_OF_A_HEAD = 4000
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    return write_gguf(folder / "tiny.gguf", SHAPE, random_weights(SHAPE), "q8_0")


def try_bytes(folder, data):
    """Loads `data` as a model and, if that is accepted, uses it. Any error but the two fails."""
    path = folder / "mutated.gguf"
    path.write_bytes(data)
    try:
        model = GgufModel(str(path))
        model.token_texts()
        decoder = RingDecoder(model, n_sinks=1, window=4)
        decoder.step(np.stack([model.token_embedding(t) for t in (0, 1, 2)]))
    except (ValueError, RuntimeError) as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
    return message


def head_bytes(path):
    """Where the tensors' data begin: all that is parsed lies before."""
    return int(gguf.GGUFReader(path).data_offset)


@pytest.fixture(
    scope="module",
    params=[
        {},
        {"rope_scaling": "yarn", "rope_factor": 4.0},
        {"architecture": "smollm3", "n_layers": 4},
        {"architecture": "qwen3vl", "head_width": 64, "n_layers": 2, "n_deepstack": 1},
        {"architecture": "gemma3", "n_layers": 2, "local_window": 3, "local_period": 2},
    ],
    ids=lambda changes: changes.get("architecture", changes.get("rope_scaling", "llama")),
)
def tiny_of_a_kind(request, tmp_path_factory):
    shape = dataclasses.replace(SHAPE, **request.param)
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return write_gguf(path, shape, random_weights(shape), "q8_0")


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_changed_bytes_are_an_error_or_harmless(tiny_of_a_kind, tmp_path_factory, data):
    tiny = tiny_of_a_kind
    content = bytearray(tiny.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, head_bytes(tiny) - 1))
        content[at] = data.draw(st.integers(0, 255))
    try_bytes(tmp_path_factory.getbasetemp(), bytes(content))


@settings(max_examples=60, deadline=None)
@given(fraction=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_an_error(tiny, tmp_path_factory, fraction):
    content = tiny.read_bytes()
    # The last tensor may be padded; a cut inside the padding takes nothing away.
    end = int(fraction * (len(content) - gguf.GGUF_DEFAULT_ALIGNMENT))
    assert try_bytes(tmp_path_factory.getbasetemp(), content[:end])


def test_thousands_of_damaged_heads_do_not_end_the_process(tiny, tmp_path):
    # Whole words are overwritten too: sizes, offsets and counts are what a parser trusts.
    script = textwrap.dedent(
        f"""
        import random, struct, sys
        from pathlib import Path
        sys.path[:0] = {[str(HERE), str(HERE.parent / "support")]!r}
        from test_decoder_hostile import head_bytes, try_bytes
        tiny, folder = Path({str(tiny)!r}), Path({str(tmp_path)!r})
        content, head, rng = tiny.read_bytes(), head_bytes(tiny), random.Random(7)
        words = [0, 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 0x7ff0 << 48]
        accepted = 0
        for _ in range({MUTATIONS_OF_A_HEAD}):
            changed = bytearray(content)
            at = rng.randrange(4, head - 8)
            if rng.random() < 0.5:
                changed[at] = rng.randrange(256)
            else:
                changed[at : at + 8] = struct.pack("<Q", rng.choice(words))
            accepted += not try_bytes(folder, changed)
        print("accepted", accepted)
        """
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.startswith("accepted ")


def rewritten(folder, edit, weights=None, architecture="llama"):
    """A file whose metadata `edit(writer)` adds to, or whose weights are others."""
    path = folder / "edited.gguf"
    writer = gguf.GGUFWriter(path, architecture)
    add_metadata(writer, SHAPE)
    edit(writer)
    for name, values in (weights or random_weights(SHAPE)).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def without(name):
    return {k: v for k, v in random_weights(SHAPE).items() if k != name}


@pytest.mark.parametrize(
    ("edit", "weights", "message"),
    [
        (lambda w: w.add_expert_count(8), None, "llama.expert_count is 8, it must be 0 to 0"),
        (
            lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE),
            None,
            "rope scaling of the type 'longrope' is not supported; supported: none, linear, yarn",
        ),
        (lambda w: w.add_key_length(15), None, "dimension_count is 16, it must be 15 to 15"),
        (lambda w: w.add_value_length(8), None, "value_length is 8, it must be 16 to 16"),
        (
            lambda w: w.add_final_logit_softcapping(30.0),
            None,
            "llama.final_logit_softcapping other than 0 is not supported",
        ),
        (
            lambda w: w.add_rope_scaling_yarn_beta_fast(16.0),
            None,
            "llama.rope.scaling.yarn_beta_fast other than 32 is not supported",
        ),
        (lambda w: w.add_causal_attention(False), None, "not causal"),
        (
            lambda w: None,
            without("blk.0.ffn_up.weight"),
            "the tensor blk.0.ffn_up.weight is missing",
        ),
        (
            lambda w: None,
            random_weights(SHAPE) | {"blk.0.attn_output.bias": np.zeros(32, np.float32)},
            "the tensor blk.0.attn_output.bias has no place in the llama architecture",
        ),
        (
            lambda w: None,
            random_weights(SHAPE) | {"blk.0.attn_k.weight": np.zeros((32, 32), np.float32)},
            "the tensor blk.0.attn_k.weight is [32, 32, 1, 1], the metadata asks for [32, 16]",
        ),
        (
            lambda w: None,
            random_weights(SHAPE) | {"blk.0.attn_k.weight": np.zeros((16, 32), np.int32)},
            "is of the type i32, which cannot be computed with here",
        ),
        (
            lambda w: None,
            random_weights(SHAPE) | {"output_norm.weight": np.zeros(32, np.float16)},
            "is of the type f16, which cannot be computed with here",
        ),
    ],
)
def test_what_is_not_supported_is_named(tmp_path, edit, weights, message):
    path = rewritten(tmp_path, edit, weights)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: .*{re.escape(message)}"):
        GgufModel(str(path))


@pytest.mark.parametrize("sections", [None, [8, 8, 0, 0], [4, 4], [-1, 5, 4, 0], [2**31 - 1] * 4])
def test_axes_that_do_not_make_half_a_head_are_refused(tmp_path, sections):
    def edit(writer):
        if sections is not None:
            writer.add_rope_dimension_sections(sections)

    path = rewritten(tmp_path, edit, architecture="qwen2vl")
    reason = "must be 4 counts that make 8, half a head" if sections else "is missing"
    with pytest.raises(ValueError, match=f"qwen2vl.rope.dimension_sections {reason}"):
        GgufModel(str(path))


def test_names_from_a_file_stay_on_one_line_and_are_no_terminal_codes(tmp_path):
    path = rewritten(tmp_path, lambda w: None, random_weights(SHAPE) | {"a\n\x1b[2Jé": np.zeros(3)})
    with pytest.raises(ValueError, match=r"the tensor a\?\?\[2J\?\? has no place"):
        GgufModel(str(path))


def test_another_architecture_is_refused_before_its_tensors_are_looked_at(tmp_path):
    path = rewritten(tmp_path, lambda w: None, {"unheard.of": np.zeros(3)}, architecture="bert")
    message = r"the architecture 'bert' is not supported; supported: llama, smollm3, qwen2, "
    with pytest.raises(ValueError, match=message):
        GgufModel(str(path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "failed to read magic"),
        (b"RIFF" + bytes(64), "invalid magic characters: 'RIFF'"),
        (b"GGUF" + struct.pack("<IQQ", 99, 0, 0), "version 99"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**40, 2**40), "failed to read key-value pairs"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "the key general.architecture is missing"),
    ],
)
def test_what_is_no_gguf_is_said_to_be_none(tmp_path, content, reason):
    assert reason in try_bytes(tmp_path, content)


def test_the_parser_prints_nothing(tmp_path, capfd):
    assert try_bytes(tmp_path, b"GGUF" + bytes(100))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("path", ["/nowhere/x.gguf", "/", "/dev/null"])
def test_what_is_no_file_is_refused(path):
    with pytest.raises(ValueError, match="no such file"):
        GgufModel(path)
