# SPDX-License-Identifier: Apache-2.0
"""Model directories: found, verified before they are parsed, and refused when damaged."""

import hashlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import edgestream as es
from edgestream.errors import ModelError

# Run apart: a file that made a parser abort must not take the test run with it.
HOSTILE = """
import hashlib, random, sys
from pathlib import Path
import numpy as np
import edgestream as es
folder, name, seed, reach = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
good, manifest = (folder / name).read_bytes(), (folder / "model.toml").read_text()
sha256 = hashlib.sha256(good).hexdigest()
assert sha256 in manifest
rng, refused = random.Random(seed), 0
for _ in range(25):
    bad = bytearray(good)
    for _ in range(rng.randint(1, 8)):
        near = rng.randrange(reach)  # headers and metadata lie at the ends of a file
        bad[rng.choice([near, len(bad) - 1 - near, rng.randrange(len(bad))])] = rng.randrange(256)
    if rng.random() < 0.1:
        del bad[rng.randrange(len(bad)):]
    (folder / name).write_bytes(bad)
    new_sha256 = hashlib.sha256(bad).hexdigest()
    (folder / "model.toml").write_text(manifest.replace(sha256, new_sha256))
    try:
        es.load(folder).stream().push(np.zeros(3200, np.float32))
    except es.EdgestreamError as error:
        assert chr(10) not in str(error)
        refused += 1
print("refused", refused)
"""


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(es.load("synthetic-en").folder, copy)
    return copy


def test_the_default_model_loads_by_name_and_by_folder(folder):
    assert es.load("synthetic-en").manifest == es.load(folder).manifest


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ModelError, match="synthetic-en"):
        es.load("no-such-model")


def test_a_folder_without_a_manifest_is_not_a_model(tmp_path):
    with pytest.raises(ModelError, match=r"model\.toml"):
        es.load(tmp_path)


def test_a_folder_of_the_same_name_does_not_hide_a_model(tmp_path, monkeypatch):
    (tmp_path / "synthetic-en").mkdir()
    monkeypatch.chdir(tmp_path)
    assert es.load("synthetic-en").manifest == es.load("synthetic-en").manifest
    with pytest.raises(ModelError, match=r"model\.toml"):
        es.load("./synthetic-en")


def test_a_name_too_long_for_a_file_is_unknown():
    with pytest.raises(ModelError, match="no such model"):
        es.load(5000 * "a")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("fft_size = 512", "fft_size = 514", "514"), ("pad = 0", "pad = 1001", "token pad is 1001")],
)
def test_numbers_that_the_native_stages_refuse(folder, old, new, said):
    manifest = folder / "model.toml"
    manifest.write_text(manifest.read_text().replace(old, new, 1))
    with pytest.raises(ModelError, match=rf"model\.toml: .*{said}"):
        es.load(folder).stream()


def test_an_altered_file_is_refused_before_it_is_parsed(folder):
    path = folder / "decoder.gguf"
    path.write_bytes(b"GGUF" + path.read_bytes()[4:-1] + b"x")
    with pytest.raises(ModelError, match="sha256"):
        es.load(folder)


def test_a_token_that_does_not_exist_is_refused(folder):
    manifest = folder / "model.toml"
    manifest.write_text(re.sub(r"bos = \d+", "bos = 99999", manifest.read_text()))
    with pytest.raises(ModelError, match="99999"):
        es.load(folder)


def test_checksums_name_every_file_but_manifest_and_card():
    model = es.load("synthetic-en")
    named = set(model.manifest.files)
    assert {p.name for p in model.folder.iterdir()} - named <= {"model.toml", "README.md"}
    for name, sha256 in model.manifest.files.items():
        assert hashlib.sha256((model.folder / name).read_bytes()).hexdigest() == sha256


def test_the_default_model_is_small():
    assert sum(p.stat().st_size for p in es.load("synthetic-en").folder.iterdir()) <= 16e6


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("name", "reach"),
    [("encoder.onnx", 6000), ("decoder.gguf", 6000), ("decoder.gguf", 30_000)],
    ids=["encoder", "decoder", "tokenizer"],  # its texts, scores and types fill 26 kB of metadata
)
def test_hostile_files_with_a_right_checksum_end_in_errors(folder, name, reach, seed):
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, str(folder), name, str(seed), str(reach)],
        capture_output=True, text=True, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 5


def test_streams_of_one_model_do_not_mix():
    model = es.load("synthetic-en")
    speech = np.random.default_rng(5).standard_normal(32000).astype(np.float32) * 0.1
    alone = model.stream().push(speech)
    one, other = model.stream(), model.stream(delay_ms=240)
    events = []
    for part in np.array_split(speech, 9):
        events += one.push(part)
        other.push(part[::-1].copy())
    assert events == alone
