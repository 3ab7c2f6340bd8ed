# SPDX-License-Identifier: Apache-2.0
"""`edgestream convert --verify` beside transformers itself; skipped where it is not installed."""

import pytest
from hypothesis import given, settings
from test_convert_tokenizer import STEPS, TEXTS, byte_level, is_plain_for_tekken

from edgestream.convert.run import Wish, convert
from edgestream.decoder import load_decoder
from edgestream.errors import ConversionError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
    "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 6, "vocab_size": 300,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64, "rope_theta": 10000.0}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32,
        "rope_theta": 10000.0}  # fmt: skip
LINEAR = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
KINDS = {
    "llama": ("LlamaConfig", {}),
    "llama, tied": ("LlamaConfig", {"tie_word_embeddings": True}),
    "llama, llama3": ("LlamaConfig", {"rope_parameters": LLAMA3}),
    "llama, yarn": ("LlamaConfig", {"rope_parameters": YARN}),
    "llama, linear": ("LlamaConfig", {"rope_parameters": LINEAR}),
    "mistral": ("MistralConfig", {"sliding_window": None}),
    "smollm3": ("SmolLM3Config", {}),
    "qwen2": ("Qwen2Config", {}),
    "qwen3": ("Qwen3Config", {"head_dim": 64}),
    "gemma3": ("Gemma3TextConfig",
               {"head_dim": 64, "query_pre_attn_scalar": 64, "sliding_window": 16}),
}  # fmt: skip


def save_random(folder, kind, dtype, n_vocab=300):
    name, others = KINDS[kind]
    config = getattr(transformers, name)(**SIZES | others | {"vocab_size": n_vocab})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    for name, weight in model.named_parameters():
        centre = 1.0 if "norm" in name and not kind.startswith("gemma") else 0.0
        is_matrix = weight.ndim == 2
        std = weight.shape[1] ** -0.5 if is_matrix else 0.2
        torch.nn.init.normal_(weight, 0.0 if is_matrix else centre, std)
    model.to(dtype).save_pretrained(folder)


def run(source, out, quant, to="gguf"):
    told = []
    wish = Wish(to=to, quant=quant, verify=True, n_threads=1)
    convert(str(source), out, wish, tell=told.append, progress=lambda *_: None)
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_transformers_computes_the_same(tmp_path, kind):
    save_random(tmp_path / "source", kind, torch.bfloat16)
    for quant, bound in (("f32", 0.0005), ("q8_0", 0.08)):
        said, sizes = run(tmp_path / "source", tmp_path / quant, quant)
        assert float(said.split("rms ")[1].split("%")[0]) / 100 <= bound
        assert "became" in sizes
        assert load_decoder(tmp_path / quant).manifest.quantization == quant


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_every_type_of_weights_is_read(tmp_path, dtype):
    save_random(tmp_path / "source", "qwen3", getattr(torch, dtype))
    assert "same argmax 100.0%" in run(tmp_path / "source", tmp_path / "out", "f32")[0]


@pytest.mark.parametrize("quant", ["f32", "q4"])
def test_an_onnx_decoder_is_compared_too(tmp_path, quant):
    save_random(tmp_path / "source", "llama, llama3", torch.float32)
    assert "max|dlogit|" in run(tmp_path / "source", tmp_path / "out", quant, to="onnx")[0]


@pytest.mark.parametrize("name", STEPS)
def test_text_is_cut_as_by_transformers(tmp_path, name):
    save_random(tmp_path / "source", "qwen3", torch.float32, n_vocab=600)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=byte_level(STEPS[name]))
    fast.save_pretrained(tmp_path / "source")
    assert "text cut alike" in run(tmp_path / "source", tmp_path / "out", "f32")[0]
    original = transformers.AutoTokenizer.from_pretrained(tmp_path / "source")
    tokenizer = load_decoder(tmp_path / "out").tokenizer

    @given(TEXTS.filter(is_plain_for_tekken) if name == "tekken" else TEXTS)
    @settings(max_examples=200)
    def check(text):
        expected = original.encode(text, add_special_tokens=False)
        assert tokenizer.encode(text, special=True) == expected

    check()


def test_text_that_is_cut_otherwise_fails(tmp_path, monkeypatch):
    save_random(tmp_path / "source", "qwen3", torch.float32, n_vocab=600)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=byte_level(STEPS["gpt-2"]))
    fast.save_pretrained(tmp_path / "source")
    monkeypatch.setattr("edgestream.convert.tokenizer.json._pre", lambda _: "smollm")
    with pytest.raises(ConversionError, match="too far from it"):
        run(tmp_path / "source", tmp_path / "out", "f32")
    assert not (tmp_path / "out").exists()
