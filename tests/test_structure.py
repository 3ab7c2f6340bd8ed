# SPDX-License-Identifier: Apache-2.0
"""The rooms: imports go down their list, files stay small, private names stay at home."""

import ast
import collections
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgestream
from edgestream.cli.libraries import LLAMA_CPP_PYTHON

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "edgestream"
# In the order that data takes, and models before it. A room imports only rooms above it.
ROOMS = [
    "errors", "events", "data", "system", "library", "sources", "onnx", "decoder", "policy",
    "captions", "session", "speech", "vision", "reader", "outlets", "speaking", "batch", "hub",
    "scoring", "convert", "bench", "serve", "cli", "__main__",
]  # fmt: skip
FILE_LINES = 300
FUNCTION_LINES = 40


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def module_of(path):
    """The dotted name below edgestream; a folder's is its `__init__`'s."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """What a file imports of edgestream, anywhere: (module, names)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            base, _, module = (node.module or "").partition(".")
            if base == "edgestream":
                yield module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                base, _, module = alias.name.partition(".")
                if base == "edgestream":
                    yield module, []


def imported(path):
    """The modules that a file imports, by name."""
    known = {module_of(other) for other in FILES}
    for module, names in imports(path):
        inner = {f"{module}.{name}".lstrip(".") for name in names} & known
        yield from inner or {module} & known


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_room_imports_only_rooms_above_it(path):
    room = module_of(path).split(".")[0]
    for other in {module.split(".")[0] for module in imported(path)} - {room}:
        assert ROOMS.index(other) < ROOMS.index(room), f"{path} imports from {other}, below it"


def test_no_file_imports_itself_by_way_of_others():
    graph = {module_of(path): set(imported(path)) for path in FILES}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert len(order) >= len(FILES)


def test_every_room_has_its_place_and_says_what_it_is_for():
    assert {module_of(path).split(".")[0] for path in FILES} == set(ROOMS)
    for folder in {path.parent for path in FILES} - {PACKAGE}:
        tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
        assert len((ast.get_docstring(tree) or "").splitlines()[0]) > 20
        if folder.name not in ("data", "decoder"):  # a constant; names that are public
            assert len(tree.body) == 1, f"{folder.name}/__init__.py does more than say so"


def private_names(tree):
    """Private names that a file imports, or reaches for in things that are not its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgestream"):
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        ):
            yield node.attr


def own_names(tree):
    """Private names that a file gives."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.attr if node.value.id in ("self", "cls") else node.value.id


def test_private_names_stay_in_their_room():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
    given = collections.defaultdict(set)
    for path, tree in trees.items():
        for name in own_names(tree):
            if re.match(r"_[a-z]", name) and name != "_native":
                given[name].add(module_of(path).split(".")[0])
    for path, tree in trees.items():
        room = module_of(path).split(".")[0]
        for name in set(private_names(tree)) & given.keys():
            assert room in given[name], f"{path} uses {name} of {given[name]}"


def test_public_names_are_these():
    assert sorted(edgestream.__all__) == [
        "Alert", "Answer", "Comment", "Draft", "EdgestreamError", "EveryLine", "EveryMs",
        "EveryWord", "Final", "Gap", "Lag", "Note", "Notice", "Task", "Thought", "ToolCall",
        "Translate", "Translation", "TranslationDraft", "Word", "listen", "load", "load_reader",
        "load_watcher", "read", "watch",
    ]  # fmt: skip
    for name in edgestream.__all__:
        assert getattr(edgestream, name) is not None


@pytest.mark.parametrize(
    "path",
    [*PACKAGE.rglob("*.py"), *(ROOT / "native").rglob("*.cc"), *(ROOT / "native").rglob("*.h")],
    ids=lambda p: p.name,
)
def test_files_are_small_and_licensed(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "SPDX-License-Identifier: Apache-2.0" in lines[0]
    if "tests" not in path.parts:
        assert len(lines) <= FILE_LINES


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_functions_are_small(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            # A signature with help texts is a table and a docstring is prose: neither is code.
            first = node.body[1] if ast.get_docstring(node) and node.body[1:] else node.body[0]
            assert node.end_lineno - first.lineno < FUNCTION_LINES, f"{path.name}: {node.name}"


def test_a_start_with_one_family_loads_no_other():
    code = "import sys, edgestream; edgestream.load('synthetic-en'); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "edgestream.speech.concatenated.model" in run.stdout.split()
    assert "edgestream.speech.reencoded.model" not in run.stdout.split()


def test_the_core_knows_neither_python_nor_ggml():
    for path in (ROOT / "native" / "core").rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r'#include\s+[<"](Python\.h|nanobind|ggml|gguf|llama)', text)
        assert not found, f"{path.name} includes {found}"


def test_there_are_no_rooms_for_leftovers():
    names = {p.stem for p in PACKAGE.rglob("*")} | {p.stem for p in (ROOT / "native").rglob("*")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "base", "misc"}


def test_versions_are_the_same_everywhere():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pins = re.findall(r"llama-cpp-python==([\d.]+)", project)
    pins += re.findall(r"llama-cpp-python==([\d.]+)", (ROOT / "Makefile").read_text("utf-8"))
    assert len(pins) >= 3
    assert set(pins) == {LLAMA_CPP_PYTHON}
    assert re.search(r'^version = "(.+)"', project, re.M)[1] == edgestream.__version__
