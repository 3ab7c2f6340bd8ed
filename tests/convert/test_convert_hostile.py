# SPDX-License-Identifier: Apache-2.0
"""Checkpoints with altered bytes and fields: an error of one line, nothing executed or left."""

import json
import shutil

import pytest
import tiny_vision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_convert_tokenizer import STEPS, byte_level, tekken_of
from tiny_checkpoint import write_checkpoint
from tiny_llama import TinyShape, random_weights

from edgestream.convert.run import Wish, convert
from edgestream.errors import EdgestreamError

SHAPE = TinyShape(n_embd=32, n_ff=32, n_heads=2, n_kv_heads=1, n_vocab=600, n_layers=1)
NUMBERS = st.integers(-3, 1 << 40) | st.floats() | st.integers(-(10**400), 10**400)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FUZZ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Good checkpoints with each kind of tokenizer, and one in shards."""
    folder, weights = tmp_path_factory.mktemp("good"), random_weights(SHAPE)
    made = byte_level(STEPS["tekken"])
    texts = {"tokenizer.json": made.to_str(), "tekken.json": json.dumps(tekken_of(made)[0])}
    for name, text in texts.items():
        write_checkpoint(folder / name, SHAPE, weights)
        (folder / name / name).write_text(text)
        (folder / name / "tokenizer_config.json").write_text('{"bos_token": "<s>"}')
    write_checkpoint(folder / "shards", SHAPE, weights, n_shards=2)
    for seeing in ("tiny-smolvlm", "tiny-qwen3-vl"):
        shutil.copytree(tiny_vision.DATA / seeing, folder / seeing)
    return folder


@pytest.fixture
def tried(sources, tmp_path):
    """Converts a copy of a good checkpoint with one file replaced; True if that went well."""

    def convert_with(source, name, data):
        folder, out = tmp_path / "work" / "source", tmp_path / "work" / "out"
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
        shutil.copytree(sources / source, folder)
        (folder / name).write_bytes(data)
        wish = Wish(to="gguf", quant="f32", verify=False, n_threads=1)
        refused = None
        try:
            convert(str(folder), out, wish, tell=lambda _: None, progress=lambda *_: None)
        except EdgestreamError as error:
            refused = error
        assert str(refused).isprintable()
        left = {p.name for p in folder.parent.iterdir()}
        assert left == ({"source"} if refused else {"source", "out"})
        return refused is None

    return convert_with


PLACES = [
    ("shards", "config.json"),
    ("shards", "model.safetensors.index.json"),
    ("shards", "model-00001-of-00002.safetensors"),
    ("tokenizer.json", "tokenizer.json"),
    ("tokenizer.json", "tokenizer_config.json"),
    ("tekken.json", "tekken.json"),
    ("tiny-smolvlm", "config.json"),
    ("tiny-smolvlm", "preprocessor_config.json"),
    ("tiny-qwen3-vl", "config.json"),
    ("tiny-qwen3-vl", "model.safetensors"),
]


@pytest.mark.parametrize(("source", "name"), PLACES)
def test_the_good_checkpoints_are_converted(sources, tried, source, name):
    assert tried(source, name, (sources / source / name).read_bytes())


@pytest.mark.parametrize(("source", "name"), PLACES)
def test_altered_bytes_are_an_error_or_another_model(sources, tried, source, name):
    data = (sources / source / name).read_bytes()

    @given(st.data())
    @FUZZ
    def check(draw):
        changed = bytearray(data)
        within = min(len(data), 2000)  # of weights only the header says something
        for _ in range(draw.draw(st.integers(1, 4))):
            at = draw.draw(st.integers(0, within - 1))
            changed[at] = draw.draw(st.integers(0, 255))
        if draw.draw(st.booleans()):
            del changed[draw.draw(st.integers(0, len(changed))) :]
        tried(source, name, bytes(changed))

    check()


def places_in(tree):
    """Every table and key, every list and index of a JSON document, nested."""
    for key in tree if isinstance(tree, dict) else range(min(len(tree), 3)):
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from places_in(tree[key])


@pytest.mark.parametrize(
    ("source", "name"), [p for p in PLACES if not p[1].endswith(".safetensors")]
)
def test_altered_fields_are_an_error_or_another_model(sources, tried, source, name):
    text = (sources / source / name).read_text()
    n_places = len(list(places_in(json.loads(text))))

    @given(st.integers(0, n_places - 1), JSON, st.booleans())
    @FUZZ
    def check(place, value, gone):
        tree = json.loads(text)
        table, key = list(places_in(tree))[place]
        if gone:
            del table[key]
        else:
            table[key] = value
        tried(source, name, json.dumps(tree).encode())

    check()


@pytest.mark.parametrize("field", ["bos_token", "chat_template", "unk_token"])
def test_texts_of_a_tokenizer_are_never_run(sources, tried, tmp_path, field):
    marker = tmp_path / "executed"
    attack = (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}"
        f"{{% for x in cycler.__init__.__globals__.os.popen('touch {marker}') %}}{{% endfor %}}"
    )
    assert tried("tokenizer.json", "tokenizer_config.json", json.dumps({field: attack}).encode())
    assert not marker.exists()
