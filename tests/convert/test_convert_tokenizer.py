# SPDX-License-Identifier: Apache-2.0
"""Tokenizers of checkpoints, written as GGUF: libllama cuts text as the original does."""

import base64
import io
import json
import shutil
import unicodedata
from itertools import pairwise

import pytest
import sentencepiece
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_checkpoint import write_checkpoint
from tiny_llama import TinyShape, random_weights
from tokenizers import Regex, decoders, normalizers, pre_tokenizers, processors

import edgestream as es
from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.gguf.decoder import write_vocabulary
from edgestream.convert.tokenizer.find import read_vocabulary
from edgestream.convert.tokenizer.json import PATTERNS, SPACE, TEKKEN_PATTERN
from edgestream.decoder import Tokenizer
from edgestream.errors import ModelError
from edgestream.onnx.session import open_session

CORPUS = [
    "The ferry left at 7:45 in the morning, and by noon nobody could see the shore.",
    "It's 1938, isn't it? They'll say we've gone; I'd stay. DON'T WORRY, THEY'RE HERE.",
    "def f(x):\n    return x ** 2  # twelve\n\n\nprint(f(12345))",
    "Der Fährmann wußte, daß die Brücke über den Fluß gesperrt war. ¿Dónde está la niña?",
    "Корабль ушёл в море. 今日は天気がいいですね。 नमस्ते दुनिया 🙂👩‍👩‍👧 café naïve",
] * 4
N_VOCAB = 600
# What people type; libllama's tables of Unicode classes are not those of the newest standard.
PIECES = st.sampled_from([
    "the", " ferry", "'s", "'LL", "\u2019re", "12", "3", "3456", " ", "  ", "\n", "\r\n", "\t",
    ".", "..", "!?", "_", "/", "é", "ß", "Ж", "да", "日本", "。", "न", "्", "🙂", "👩\u200d👧",
    "\u00a0", "A", "Bc", "(", "<s>", "<|x|>", "<0x41>", "▁", "\u0301", "x", "½", "Ⅷ",
])  # fmt: skip
TEXTS = st.lists(PIECES, max_size=12).map("".join) | st.text(
    st.characters(max_codepoint=0x24F, exclude_characters="\0"), max_size=30
)


def is_plain_for_tekken(text):
    """libllama's words of tekken take only A to Z for capitals and no marks for letters."""
    kinds = {unicodedata.category(c) for c in text if not c.isascii()}
    return not kinds & {"Lu", "Lt", "Mn", "Mc", "Me"}


def byte_level(pre):
    """A trained tokenizer over bytes that cuts words by the steps `pre`."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(pre) if len(pre) > 1 else pre[0]
    made.decoder = decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=N_VOCAB - 3, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    made.train_from_iterator(CORPUS, trainer)
    made.add_special_tokens(["<s>", "</s>"])
    made.add_tokens(["<|x|>"])
    return made


def split(pattern):
    return [
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]


STEPS = {
    **{name: split(pattern) for pattern, name in PATTERNS.items()},
    "gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "smollm": [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint without a tokenizer, for tests to put one in."""
    shape = TinyShape(n_vocab=N_VOCAB)
    return write_checkpoint(tmp_path_factory.mktemp("source"), shape, random_weights(shape))


def converted(folder, files):
    """libllama's tokenizer of these files of a checkpoint, by name."""
    for old in ("tokenizer.json", "tokenizer.model", "tekken.json", "tokenizer_config.json"):
        (folder / old).unlink(missing_ok=True)
    for name, data in files.items():
        data = json.dumps(data) if isinstance(data, dict) else data
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    vocabulary = read_vocabulary(Checkpoint(folder), N_VOCAB)
    write_vocabulary(folder / "vocabulary.gguf", "llama", vocabulary)
    return Tokenizer(folder / "vocabulary.gguf")


@pytest.mark.parametrize("name", STEPS)
def test_bytes_are_merged_as_by_the_original(folder, name):
    original = byte_level(STEPS[name])
    tokenizer = converted(folder, {"tokenizer.json": original.to_str()})

    @given(TEXTS.filter(is_plain_for_tekken) if name == "tekken" else TEXTS)
    @settings(max_examples=300)
    def check(text):
        expected = original.encode(text).ids
        assert tokenizer.encode(text, special=True) == expected
        assert tokenizer.decode(expected, special=True) == text

    check()


def test_special_texts_of_others_stay_text(folder):
    original = byte_level(STEPS["qwen2"])
    tokenizer = converted(folder, {"tokenizer.json": original.to_str()})
    special = original.token_to_id("<s>")
    assert special in tokenizer.encode("a<s>b", special=True)
    assert special not in tokenizer.encode("a<s>b")
    assert tokenizer.decode(tokenizer.encode("a<s>b")) == "a<s>b"


def test_the_tokens_around_a_text_are_those_of_the_template(folder):
    original = byte_level(STEPS["llama-bpe"])
    start = original.token_to_id("<s>")
    original.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B",
                                                            [("<s>", start)])  # fmt: skip
    tokenizer = converted(folder, {"tokenizer.json": original.to_str()})
    assert tokenizer.encode("ferry") == original.encode("ferry").ids
    assert tokenizer.encode("ferry")[0] == start
    assert start not in tokenizer.encode("ferry", add_special=False)


@pytest.fixture(scope="module", params=[True, False], ids=["prefix", "no prefix"])
def pieces(request):
    """A trained SentencePiece model, as bytes."""
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=file, vocab_size=N_VOCAB - 2,
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=request.param, minloglevel=2,
        character_coverage=0.98, hard_vocab_limit=False,
    )  # fmt: skip
    return file.getvalue()


def test_sentencepiece_is_cut_as_by_sentencepiece(folder, pieces):
    original = sentencepiece.SentencePieceProcessor(model_proto=pieces)
    tokenizer = converted(folder, {"tokenizer.model": pieces})

    @given(TEXTS)
    @settings(max_examples=300)
    def check(text):
        expected = original.encode(text)
        assert tokenizer.encode(text, add_special=False) == expected

    check()


def test_sentencepiece_rewritten_as_pairs_is_cut_as_by_the_original(folder):
    """As Gemma's tokenizer.json: spaces replaced, bytes for what is unknown."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>"))
    made.normalizer = normalizers.Replace(" ", SPACE)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=N_VOCAB, show_progress=False, max_token_length=12,
        special_tokens=["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256))],
    )  # fmt: skip
    made.train_from_iterator(CORPUS, trainer)
    data = json.loads(made.to_str())
    bytes_too = [t for t in data["added_tokens"] if not t["content"].startswith("<0x")]
    data["added_tokens"] = bytes_too
    original = tokenizers.Tokenizer.from_str(json.dumps(data))
    tokenizer = converted(folder, {"tokenizer.json": data})

    @given(TEXTS)
    @settings(max_examples=300)
    def check(text):
        assert tokenizer.encode(text, add_special=False, special=True) == original.encode(text).ids

    check()


def tekken_of(original, **changes):
    """tekken.json with the ranks of a trained tokenizer, as Mistral's files have them."""
    letters = {letter: byte for byte, letter in enumerate(_letters())}
    merged = [
        bytes(letters[c] for c in text)
        for text, _ in sorted(original.get_vocab(False).items(), key=lambda item: item[1])
        if len(text) > 1
    ]
    pieces = [bytes([byte]) for byte in range(256)] + merged
    n_special = 4
    config = {
        "pattern": TEKKEN_PATTERN, "default_num_special_tokens": n_special,
        "default_vocab_size": n_special + len(pieces),
    }  # fmt: skip
    special = [{"rank": i, "token_str": s} for i, s in enumerate(["<unk>", "<s>", "</s>"])]
    vocab = [{"rank": i, "token_bytes": base64.b64encode(p).decode()} for i, p in enumerate(pieces)]
    return {"config": config, "vocab": vocab, "special_tokens": special} | changes, pieces


def _letters():
    """GPT-2's letters of bytes, from the tokenizers library."""
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    two = [cut.pre_tokenize_str(chr(c))[0][0] for c in range(0x80, 0x800)]
    by_byte = {chr(c).encode()[i]: text[i] for c, text in enumerate(two, 0x80) for i in (0, 1)}
    by_byte |= {byte: cut.pre_tokenize_str(chr(byte))[0][0] for byte in range(0x80)}
    return [by_byte.get(byte, chr(byte)) for byte in range(256)]


def by_rank(text, pieces):
    """Tokens of tiktoken's algorithm: whole words, else the neighbours of lowest rank first."""
    ranks = {piece: rank for rank, piece in enumerate(pieces)}
    found = []
    for word, _ in split(TEKKEN_PATTERN)[0].pre_tokenize_str(text):
        parts = [word.encode()[i : i + 1] for i in range(len(word.encode()))]
        while len(parts) > 1:
            made = [ranks.get(a + b, 1 << 30) for a, b in pairwise(parts)]
            if min(made) == 1 << 30:
                break
            at = made.index(min(made))
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        found += [ranks[part] for part in parts]
    return found


def test_tekken_is_cut_as_by_rank(folder):
    tekken, pieces = tekken_of(byte_level(STEPS["tekken"]))
    tokenizer = converted(folder, {"tekken.json": tekken})

    @given(TEXTS.filter(is_plain_for_tekken))
    @settings(max_examples=300)
    def check(text):
        expected = [4 + rank for rank in by_rank(text, pieces)]
        assert tokenizer.encode(text, add_special=False) == expected
        assert tokenizer.encode(text) == [1, *expected]  # <s> comes first

    check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "Unigram", "vocab": []}}, "of the type 'Unigram'; converted is BPE"),
        ({"model": {"type": "WordPiece"}}, "'WordPiece'"),
        ({"normalizer": {"type": "Lowercase"}}, "libllama has none such"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "libllama has no such rules"),
        ({"pre_tokenizer": None}, "libllama has no such rules"),
        ({"model": {"type": "BPE", "vocab": {"a": 0, "b": "x"}, "merges": []}}, "has the id 'x'"),
        ({"model": {"type": "BPE", "vocab": {"a": 10**9}, "merges": []}}, "has the id 1000000000"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}}, "not of two parts"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}, "not of its tokens"),
        ({"model": {"type": "BPE", "vocab": {"": 0}, "merges": []}}, "token 0 is empty"),
        ({"model": {"type": "BPE", "vocab": {"\ud800": 0}, "merges": []}}, "not Unicode"),
        ({"added_tokens": [{"id": 0, "content": "ferry", "special": True}] * 2}, ""),
        ({"added_tokens": [{"id": 10**8, "content": "z"}]}, "it must be 0 to|has the id"),
        ({"added_tokens": [{"id": 1, "content": "!"}, {"id": 2, "content": "!"}]}, "are both '!'"),
        ({"added_tokens": 7}, "added_tokens is 7, not of type list"),
    ],
)
def test_what_libllama_would_cut_otherwise_or_die_of_is_refused(folder, change, message):
    data = json.loads(byte_level(STEPS["gpt-2"]).to_str())
    if not message:
        converted(folder, {"tokenizer.json": data | change})  # the same token twice is harmless
        return
    with pytest.raises(ModelError, match=message):
        converted(folder, {"tokenizer.json": json.dumps(data | change)})


def test_bytes_without_tokens_are_refused(folder):
    """libllama would throw through its C interface at the first unknown letter."""
    data = {"model": {"type": "BPE", "byte_fallback": True, "vocab": {"a": 0, "<0x00>": 1},
                      "merges": []}, "normalizer": {"type": "Replace", "content": SPACE,
                                                    "pattern": {"String": " "}}}  # fmt: skip
    with pytest.raises(ModelError, match="without tokens for all bytes"):
        converted(folder, {"tokenizer.json": data})


@pytest.mark.parametrize("kind", ["unigram", "nmt"])
def test_sentencepiece_that_libllama_has_not_is_refused(folder, kind):
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=file, vocab_size=400, minloglevel=2,
        model_type="unigram" if kind == "unigram" else "bpe", byte_fallback=True,
        normalization_rule_name="nmt_nfkc" if kind == "nmt" else "identity",
        hard_vocab_limit=False, character_coverage=0.98,
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"not BPE|changes the text"):
        converted(folder, {"tokenizer.model": file.getvalue()})


def test_another_tekken_pattern_is_refused(folder):
    tekken, _ = tekken_of(byte_level(STEPS["tekken"]))
    tekken["config"]["pattern"] = r"\w+"
    with pytest.raises(ModelError, match="by a pattern that libllama does not have"):
        converted(folder, {"tekken.json": tekken})


def test_tokens_that_are_none_have_no_text(folder):
    tokenizer = converted(folder, {"tokenizer.json": byte_level(STEPS["gpt-2"]).to_str()})
    for token in (-1, tokenizer.n_tokens):
        with pytest.raises(ValueError, match="tokens are 0 to 599"):
            tokenizer.decode([token])


# Fields that change a result are implemented, or refused by name.


def with_model(original, **changes):
    data = json.loads(original.to_str())
    data["model"] |= changes
    return data


@pytest.mark.parametrize("name", ["lstrip", "rstrip", "single_word"])
@pytest.mark.parametrize("special", [True, False])
def test_added_tokens_that_take_spaces_along_are_refused(folder, name, special):
    data = json.loads(byte_level(STEPS["gpt-2"]).to_str())
    added = {"id": 300, "content": "<|new|>", "special": special, name: True}
    with pytest.raises(ModelError, match=f"added_tokens: {name} True is not supported"):
        converted(folder, {"tokenizer.json": data | {"added_tokens": [added]}})


@pytest.mark.parametrize(
    ("field", "value"),
    [("dropout", 0.1), ("continuing_subword_prefix", "##"), ("end_of_word_suffix", "</w>")],
)
def test_fields_of_the_model_that_change_results_are_refused(folder, field, value):
    data = with_model(byte_level(STEPS["gpt-2"]), **{field: value})
    with pytest.raises(ModelError, match=f"model: {field}"):
        converted(folder, {"tokenizer.json": data})


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("ignore_merges", [True, False])
def test_words_that_are_tokens_are_as_in_the_original_or_refused(folder, name, ignore_merges):
    data = with_model(byte_level(STEPS[name]), ignore_merges=ignore_merges)
    original = tokenizers.Tokenizer.from_str(json.dumps(data))
    tokenizer = converted(folder, {"tokenizer.json": data})
    for text in filter(is_plain_for_tekken, CORPUS):
        assert tokenizer.encode(text, special=True) == original.encode(text).ids
    letters = "qzj"  # a word that merges do not make
    data["model"]["vocab"][letters] = len(data["model"]["vocab"])
    for each in data["added_tokens"]:
        each["id"] += 1
    original = tokenizers.Tokenizer.from_str(json.dumps(data))
    if ignore_merges == (name in ("llama-bpe", "tekken")):
        tokenizer = converted(folder, {"tokenizer.json": data})
        assert tokenizer.encode(letters, special=True) == original.encode(letters).ids
    else:
        with pytest.raises(ModelError, match=f"ignore_merges is {ignore_merges}"):
            converted(folder, {"tokenizer.json": data})


def test_texts_are_brought_into_the_form_that_the_original_wants(folder):
    original = byte_level(STEPS["qwen2"])
    original.normalizer = normalizers.NFC()
    tokenizer = converted(folder, {"tokenizer.json": original.to_str()})
    for text in ("cafe\u0301", "A\u030a ngstro\u0308m", "\u1112\u1161\u11ab", "plain"):
        assert tokenizer.encode(text) == original.encode(text).ids


def test_templates_and_decoders_that_libllama_has_not_are_refused(folder):
    original = byte_level(STEPS["gpt-2"])
    original.post_processor = processors.TemplateProcessing(
        "<s> </s> $A", special_tokens=[("<s>", 597), ("</s>", 598)]
    )
    with pytest.raises(ModelError, match="post_processor"):
        converted(folder, {"tokenizer.json": original.to_str()})
    data = json.loads(byte_level(STEPS["gpt-2"]).to_str())
    with pytest.raises(ModelError, match=r"decoder.*WordPiece"):
        converted(folder, {"tokenizer.json": data | {"decoder": {"type": "WordPiece"}}})


def opened_whole(folder):
    """Reads the weights' names and the tokenizer of a checkpoint."""
    checkpoint = Checkpoint(folder)
    with checkpoint.opened():
        return read_vocabulary(checkpoint, N_VOCAB)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "tokenizer.model", "config.json", "tekken.json"]
)
def test_a_git_lfs_pointer_is_called_one(tmp_path, name):
    shape = TinyShape(n_vocab=N_VOCAB)
    folder = write_checkpoint(tmp_path, shape, random_weights(shape))
    (folder / name).write_text(POINTER)
    with pytest.raises(ModelError, match=f"{name}: a Git LFS pointer, not the file itself"):
        opened_whole(folder)


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.gguf", "model.toml", "tokenizer.json"])
def test_a_git_lfs_pointer_in_a_models_folder_is_called_one(tmp_path, name):
    folder = tmp_path / "model"
    shutil.copytree(es.load("synthetic-en").folder, folder)
    (folder / name).write_text(POINTER)
    with pytest.raises(ModelError, match=f"{name}: a Git LFS pointer"):
        es.load(folder)
    if name.endswith(".onnx"):
        with pytest.raises(ModelError, match="a Git LFS pointer"):
            open_session(folder / name)
