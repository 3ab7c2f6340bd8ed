# SPDX-License-Identifier: Apache-2.0
"""`edgestream convert`: checkpoints become the GGUF files they should be, whole or not at all."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import gguf
import numpy as np
import pytest
from tiny_checkpoint import DTYPES, config_of, write_checkpoint
from tiny_llama import TinyShape, random_weights, stored_weights, write_gguf

import edgestream as es
from edgestream.cli.start import run_command
from edgestream.convert.run import Wish, convert, new_folder
from edgestream.decoder import GgufModel, RingDecoder, load_decoder
from edgestream.errors import EdgestreamError, ModelError, UsageError
from edgestream.library.folders import sha256_of

ARCHITECTURES = ["llama", "smollm3", "qwen2", "qwen3", "gemma3"]
PICKLED = b"cos\nsystem\n(S'touch executed'\ntR."  # runs a command when it is unpickled


def tiny_shape(architecture, **others):
    local = {"local_window": 16, "local_period": 3} if architecture == "gemma3" else {}
    return TinyShape(architecture, n_layers=5, **(local | others))


def run(source, out, *, to="gguf", quant="f32", verify=False):
    told = []
    wish = Wish(to=to, quant=quant, verify=verify, n_threads=1)
    convert(str(source), out, wish, tell=told.append, progress=lambda *_: None)
    return told


def rounded(weights, kind):
    return {n: w.astype(DTYPES[kind]).astype(np.float32) for n, w in weights.items()}


def logits(model, tokens):
    ring = RingDecoder(model, n_sinks=0, window=64)
    return np.stack([ring.step(ring.token_embedding(int(t))[None]) for t in tokens])


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_tensor_is_that_of_the_same_decoder_written_as_gguf(tmp_path, architecture, kind):
    shape = tiny_shape(architecture)
    weights = rounded(random_weights(shape), kind)
    if shape.traits.is_gemma:  # stored as weight - 1
        norms = {n: w - np.float32(1) for n, w in weights.items() if w.ndim == 1}
        weights |= {n: w + np.float32(1) for n, w in rounded(norms, kind).items()}
    source = write_checkpoint(tmp_path / "source", shape, weights, kind=kind)
    run(source, tmp_path / "out", quant=kind)
    path = tmp_path / "out" / "decoder.gguf"
    given = stored_weights(path)
    assert given.keys() == weights.keys()
    for name, expected in weights.items():
        np.testing.assert_array_equal(given[name], expected, err_msg=name)
    matrices = [t for t in gguf.GGUFReader(path).tensors if len(t.shape) == 2]
    assert {t.tensor_type.name for t in matrices} == {kind.upper()}
    same = GgufModel(str(write_gguf(tmp_path / "same.gguf", shape, weights, kind)))
    tokens = np.random.default_rng(0).integers(0, shape.n_vocab, 40)
    np.testing.assert_array_equal(
        logits(load_decoder(tmp_path / "out").weights, tokens), logits(same, tokens)
    )


@pytest.mark.parametrize("scaling", ["linear", "yarn"])
def test_scaled_positions_turn_as_in_the_same_gguf(tmp_path, scaling):
    shape = tiny_shape("llama", rope_scaling=scaling, rope_factor=4.0)
    weights = random_weights(shape)
    source = write_checkpoint(tmp_path / "source", shape, weights)
    run(source, tmp_path / "out")
    same = GgufModel(str(write_gguf(tmp_path / "same.gguf", shape, weights)))
    tokens = np.random.default_rng(0).integers(0, shape.n_vocab, 40)
    given = logits(load_decoder(tmp_path / "out").weights, tokens)
    np.testing.assert_array_equal(given, logits(same, tokens))


@pytest.mark.parametrize("tied", [False, True])
def test_shards_give_the_file_that_one_gives(tmp_path, tied):
    shape = tiny_shape("llama", tied=tied)
    weights = random_weights(shape)
    for n_shards in (1, 3):
        source = write_checkpoint(tmp_path / f"{n_shards}", shape, weights, n_shards=n_shards)
        run(source, tmp_path / f"out{n_shards}")
    one, three = ((tmp_path / f"out{n}" / "decoder.gguf").read_bytes() for n in (1, 3))
    assert one == three


@pytest.mark.parametrize("quant", ["q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0"])
def test_quantized_weights_are_near_the_checkpoints(tmp_path, quant):
    shape = tiny_shape("qwen3")
    source = write_checkpoint(tmp_path / "source", shape, random_weights(shape), kind="bf16")
    told = run(source, tmp_path / "out", quant=quant)
    assert "became" in told[-1]
    bits = int(quant[1])
    for name, weight in rounded(random_weights(shape), "bf16").items():
        given = stored_weights(tmp_path / "out" / "decoder.gguf")[name]
        error = np.abs(given - weight).max() / np.abs(weight).max()
        assert error <= 1.1 / 2 ** (bits - 1), name
        assert weight.ndim == 1 or error > 0
    assert not list((tmp_path / "out").glob(".*")), "the plain file was left"


def test_onnx_weights_are_the_checkpoints(tmp_path):
    shape = tiny_shape("llama")
    source = write_checkpoint(tmp_path / "source", shape, random_weights(shape))
    run(source, tmp_path / "gguf")
    run(source, tmp_path / "onnx", to="onnx")
    tokens = np.random.default_rng(0).integers(0, shape.n_vocab, 40)
    ring = load_decoder(tmp_path / "onnx").ring(n_sinks=0, window=64)
    given = np.stack([ring.step(ring.token_embedding(int(t))[None]) for t in tokens])
    plain = RingDecoder(load_decoder(tmp_path / "gguf").weights, n_sinks=0, window=64,
                        kv_type="f32")  # fmt: skip
    expected = np.stack([plain.step(plain.token_embedding(int(t))[None]) for t in tokens])
    np.testing.assert_allclose(given, expected, atol=2e-3)
    run(source, tmp_path / "four", to="onnx", quant="q4")
    sizes = {n: (tmp_path / n / "decoder.onnx").stat().st_size for n in ("onnx", "four")}
    assert sizes["four"] < sizes["onnx"] / 4


def test_a_folder_says_what_it_is_and_where_it_came_from(tmp_path):
    shape = tiny_shape("qwen2")
    source = write_checkpoint(tmp_path / "some-model", shape, random_weights(shape))
    (source / "README.md").write_text("---\nlicense: apache-2.0\ntags: [x]\n---\n# card\n")
    (source / "LICENSE").write_text("the licence")
    run(source, tmp_path / "small", quant="q8_0")
    m = load_decoder(tmp_path / "small").manifest
    assert (m.name, m.license, m.source, m.quantization) == (
        "small", "apache-2.0", "some-model", "q8_0",
    )  # fmt: skip
    assert (tmp_path / "small" / "LICENSE").read_text() == "the licence"
    assert set(m.files) == {"decoder.gguf", "LICENSE"}
    for name, sha256 in m.files.items():
        assert sha256_of(tmp_path / "small" / name) == sha256
    damaged = bytearray((tmp_path / "small" / "decoder.gguf").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "small" / "decoder.gguf").write_bytes(damaged)
    with pytest.raises(ModelError, match="altered or damaged"):
        load_decoder(tmp_path / "small")


# What is refused, and what is left behind.


def tiny_source(tmp_path, **changes):
    shape = TinyShape()
    source = write_checkpoint(tmp_path / "source", shape, random_weights(shape))
    (source / "config.json").write_text(json.dumps(config_of(shape) | changes))
    return source


def refused(source, tmp_path, message):
    with pytest.raises((ModelError, UsageError), match=message) as caught:
        run(source, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not [p for p in tmp_path.iterdir() if p.name.lstrip(".").startswith("out")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "model_type 'bert' is not converted; known: llama"),
        ({"model_type": 7}, "model_type is 7, not of type str"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu' is not supported"),
        ({"attention_bias": True}, "attention_bias True is not supported"),
        ({"sliding_window": 64}, "sliding_window 64 is not supported"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantization_config"),
        ({"rope_scaling": {"rope_type": "dynamic"}}, "rope scaling 'dynamic'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "beta_fast": 8}}, "beta_fast 8"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "rope numbers are not usable"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000, it must be 1 to 1024"),
        ({"num_hidden_layers": 3}, r"model.layers.2.input_layernorm.weight is missing"),
        ({"num_hidden_layers": 1}, r"model.layers.1.* has no place in llama"),
        ({"hidden_size": 128, "head_dim": 64}, "embed_tokens.weight has the shape"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps is nan, it must be above 0"),
    ],
)
def test_a_config_that_is_not_supported_is_refused(tmp_path, changes, message):
    refused(tiny_source(tmp_path, **changes), tmp_path, message)


def test_pickles_are_refused_and_not_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tiny_source(tmp_path)
    (source / "model.safetensors").unlink()
    (source / "pytorch_model.bin").write_bytes(PICKLED)
    refused(source, tmp_path, "pickled weights, which can run programs")
    assert not (tmp_path / "executed").exists()
    assert not (source / "executed").exists()


@pytest.mark.parametrize("name", ["../other.safetensors", "/etc/passwd", "a/b", "", 7, "a\nb"])
def test_an_index_names_plain_files_only(tmp_path, name):
    source = tiny_source(tmp_path)
    shutil.copy(source / "model.safetensors", tmp_path / "other.safetensors")
    (source / "model.safetensors").unlink()
    index = {"weight_map": {"model.norm.weight": name}}
    (source / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(source, tmp_path, "is not the plain name of a file")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "LICENSE", "README.md"])
def test_links_that_leave_the_checkpoint_are_not_followed(tmp_path, name):
    source = tiny_source(tmp_path)
    outside = tmp_path / "elsewhere"
    if (source / name).exists():
        shutil.move(source / name, outside)
    else:
        outside.write_text("secret")
    (source / name).symlink_to(outside)
    refused(source, tmp_path, "a link that leaves the checkpoint")


def test_links_of_a_hubs_cache_are_followed(tmp_path):
    source = tiny_source(tmp_path)
    snapshot = tmp_path / "hub" / "snapshots" / "abc"
    (tmp_path / "hub" / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for file in source.iterdir():
        shutil.move(file, tmp_path / "hub" / "blobs" / file.name)
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    run(snapshot, tmp_path / "out")
    assert load_decoder(tmp_path / "out").weights.n_vocab == TinyShape().n_vocab


def test_weights_that_are_not_finite_are_refused(tmp_path):
    shape = TinyShape()
    weights = random_weights(shape)
    weights["blk.1.ffn_up.weight"][3, 3] = np.inf
    source = write_checkpoint(tmp_path / "source", shape, weights)
    refused(source, tmp_path, r"model.layers.1.mlp.up_proj.weight holds a number that is not")


def test_what_is_too_large_for_float16_is_refused(tmp_path):
    shape = TinyShape()
    weights = random_weights(shape)
    weights["blk.0.ffn_up.weight"][0, 0] = 70000
    source = write_checkpoint(tmp_path / "source", shape, weights)
    with pytest.raises(ModelError, match="float16 cannot; convert with --quant bf16"):
        run(source, tmp_path / "out", quant="f16")
    assert {p.name for p in tmp_path.iterdir()} == {"source"}


# The command.


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "edgestream", "convert", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_converts_and_says_the_sizes(tmp_path):
    done = command(tiny_source(tmp_path), "-o", tmp_path / "out", "--quant", "q4_0")
    assert (done.returncode, done.stdout) == (0, "")
    assert "became" in done.stderr
    assert load_decoder(tmp_path / "out").manifest.quantization == "q4_0"


def test_mistakes_are_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys):
    source = tiny_source(tmp_path)
    (tmp_path / "there").mkdir()
    for arguments, message in [
        ([tmp_path / "none", "-o", tmp_path / "out"], "not a folder"),
        ([source, "-o", tmp_path / "there"], "exists already"),
        ([source, "-o", tmp_path / "out", "--quant", "q9"], "gguf has q8_0, f32, f16, bf16, q6_k"),
        ([source, "-o", tmp_path / "out", "--to", "onnx", "--quant", "q8_0"], "onnx has q4, f32"),
    ]:
        monkeypatch.setattr(sys, "argv", ["edgestream", "convert", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            sys.exit(run_command())
        said = capsys.readouterr().err
        assert ended.value.code == 2
        assert message in said
        assert said.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"source", "there"}


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    import edgestream.convert.run as module

    monkeypatch.setattr(module, "NEEDED", ("gguf", "no_such_package"))
    with pytest.raises(UsageError, match=r"no_such_package is missing; pip install 'edgestream"):
        run(tiny_source(tmp_path), tmp_path / "out")


def hear_ctrl_c():
    """A shell starts what runs in its background deaf to Ctrl-C, and its children with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_half_written_is_left_by_an_end(tmp_path, ending):
    shape = TinyShape(n_layers=12, n_embd=512, n_ff=2048, n_vocab=4096)
    source = write_checkpoint(tmp_path / "source", shape, random_weights(shape))
    process = subprocess.Popen(
        [sys.executable, "-m", "edgestream", "convert", str(source), "-o", str(tmp_path / "out"),
         "--quant", "q4_k_m", "--threads", "1"], stderr=subprocess.PIPE, text=True,
        preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    part = tmp_path / ".out.part"
    while process.poll() is None and not list(part.glob(".*.gguf")):
        time.sleep(0.01)
    process.send_signal(getattr(signal, ending))
    said = process.communicate()[1]
    assert process.returncode in (130, -9), said
    assert not (tmp_path / "out").exists()
    if ending != "SIGKILL":
        assert not part.exists()
        assert said == "edgestream: interrupted, nothing was written\n"
    run(source, tmp_path / "out", quant="q4_k_m")  # what a kill left is no obstacle
    assert load_decoder(tmp_path / "out").weights.n_layers == 12
    assert not part.exists()


@pytest.mark.parametrize("ignored", ["SIGINT", "SIGHUP"])
def test_an_end_that_is_ignored_ends_nothing(tmp_path, ignored):
    """As `nohup` and a script's background jobs have it."""
    shape = TinyShape(n_layers=12, n_embd=512, n_ff=2048, n_vocab=4096)
    source = write_checkpoint(tmp_path / "source", shape, random_weights(shape))
    number = getattr(signal, ignored)
    process = subprocess.Popen(
        [sys.executable, "-m", "edgestream", "convert", str(source), "-o", str(tmp_path / "out"),
         "--quant", "q4_k_m", "--threads", "1"],
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN), start_new_session=True,
    )  # fmt: skip
    part = tmp_path / ".out.part"
    while process.poll() is None and not list(part.glob(".*.gguf")):
        time.sleep(0.01)
    os.killpg(process.pid, number)  # libllama's process too
    assert process.wait(timeout=120) == 0
    assert (tmp_path / "out" / "model.toml").exists()


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from pathlib import Path
from edgestream.cli.start import run_command
from edgestream.convert.gguf.quantize import quantize
sys.argv = sys.argv[1:]
if sys.argv[1] == "quantize":
    quantize(Path(sys.argv[2]), Path(sys.argv[3]), "q8_0", 1, lambda *_: None)
else:
    sys.exit(run_command())
"""


def limited(n_bytes, *arguments):
    """Runs a command that may write files of no more than `n_bytes`."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(n_bytes), *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX's")
def test_a_disk_that_takes_no_more_is_named(tmp_path):
    source = tiny_source(tmp_path)
    done = limited(300_000, "convert", source, "-o", tmp_path / "out", "--quant", "f32")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"edgestream: .*out: cannot be written \(.*\)\n", done.stderr)
    assert {p.name for p in tmp_path.iterdir()} == {"source"}
    run(source, tmp_path / "out")
    plain = tmp_path / "out" / "decoder.gguf"
    done = limited(300_000, "quantize", plain, tmp_path / "small.gguf")
    assert "OutputError: small.gguf: cannot be written; is the disk full?" in done.stderr


def test_two_conversions_to_one_place_do_not_mix(tmp_path):
    with new_folder(tmp_path / "out") as part:
        (part / "half").touch()
        with pytest.raises(UsageError, match="another process is converting to it"):
            run(tiny_source(tmp_path), tmp_path / "out")
        assert (part / "half").exists()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["half"]


def test_a_result_too_far_from_its_source_is_not_kept(tmp_path, monkeypatch):
    import edgestream.convert.models.decoder as decoder
    from edgestream.convert.verify import decoder as verify
    from edgestream.convert.verify import source

    far = verify.Comparison(10, 9.0, 1.4, 0.0, verify.BOUNDS["f32"], None)
    monkeypatch.setattr(decoder, "compare", lambda checkpoint, folder: far)
    monkeypatch.setattr(source, "require_transformers", lambda: None)
    with pytest.raises(EdgestreamError, match="too far from it") as caught:
        run(tiny_source(tmp_path), tmp_path / "out", verify=True)
    assert caught.value.exit_code == 1
    assert {p.name for p in tmp_path.iterdir()} == {"source"}


def test_a_decoder_alone_is_not_taken_for_a_model_that_hears(tmp_path):
    run(tiny_source(tmp_path), tmp_path / "out")
    with pytest.raises(ModelError, match="only a decoder, the part that writes; it cannot hear"):
        es.load(tmp_path / "out")
