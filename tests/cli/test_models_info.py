# SPDX-License-Identifier: Apache-2.0
"""`edgestream models info FILE.gguf`: a model that reads along, before it is loaded."""

import pytest
from tiny_reader import tiny_reader
from typer.testing import CliRunner

from edgestream.cli.models import app
from edgestream.errors import ModelError, UsageError


def info(*arguments):
    result = CliRunner().invoke(app, ["info", *map(str, arguments)])
    if result.exception:
        raise result.exception
    return dict(line.split(":", 1) for line in result.output.splitlines())


def test_a_file_is_told_of_with_the_memory_of_its_window(tmp_path):
    path = tiny_reader(tmp_path).path
    told = info(path)
    assert told["name"].strip() == "reader.gguf"
    assert told["window"].strip() == "2048 rows (tokens) of text"
    assert told["fits"].strip() == "yes"
    assert "300 rows" in info(path, "--window", 300)["window"]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["no.gguf"], ModelError, "no.gguf: No such file"),
        (["{}", "--window", "3"], UsageError, "give 16 to"),
        (["synthetic-en", "--window", "100"], UsageError, "GGUF file"),
        (["damaged.gguf"], ModelError, "not a GGUF file"),
    ],
)
def test_what_cannot_be_told_of_is_one_line(tmp_path, monkeypatch, arguments, error, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged.gguf").write_bytes(b"GGUB" + bytes(100))
    path = tiny_reader(tmp_path).path
    with pytest.raises(error, match=says) as caught:
        info(*(argument.format(path) for argument in arguments))
    assert "\n" not in str(caught.value)
