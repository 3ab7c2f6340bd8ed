# SPDX-License-Identifier: Apache-2.0
"""Draws the rooms of edgestream/ and who imports whom into CONTRIBUTING.md, between its two marks.

    python tools/pictures/rooms.py            # draws
    python tools/pictures/rooms.py --check    # exit code 1 if the page shows something else

The drawing comes from the imports themselves. An arrow that follows from others is left out.
"""

import argparse
import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "edgestream"
PAGE = ROOT / "CONTRIBUTING.md"
DRAWING = re.compile(r"(?<=<!-- rooms -->\n).*?(?=<!-- /rooms -->)", re.S)

Graph = dict[str, set[str]]


def imported(path: Path) -> set[str]:
    """The modules that a file imports of edgestream, anywhere in it, as dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            # `from edgestream import events` names a room too, not something in one.
            found |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("edgestream.")}


def rooms() -> Graph:
    """Each room of edgestream/, a folder or a single file, and the rooms that it imports."""
    graph: Graph = {"_native": set()}
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]
    for path in files:
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        graph.setdefault(room, set()).update(name.split(".")[1] for name in imported(path))
    return {room: {other for other in graph[room] if other in graph} - {room} for room in graph}


def reached(graph: Graph, start: str) -> set[str]:
    """The rooms that `start` imports, and those that these import, and so on."""
    found, left = set(), [start]
    while left:
        for room in graph[left.pop()] - found:
            found.add(room)
            left.append(room)
    return found


def reduced(graph: Graph) -> Graph:
    """The same without arrows that follow from others."""
    return {
        room: {
            other
            for other in others
            if not any(other in reached(graph, third) for third in others - {other})
        }
        for room, others in graph.items()
    }


def drawn(graph: Graph) -> str:
    """The graph as Mermaid writes it."""
    lines = ['    native["native (C++)"]', '    main["python -m edgestream"]']
    for room in sorted(graph):
        # Underscores at the ends are for Python alone.
        lines += [f"    {room.strip('_')} --> {other.strip('_')}" for other in sorted(graph[room])]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```", ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="Change nothing; compare.")
    check = parser.parse_args().check
    before = PAGE.read_text(encoding="utf-8")
    if not DRAWING.search(before):
        sys.exit(f"{PAGE}: has no marks <!-- rooms --> and <!-- /rooms -->; put them in")
    drawing = drawn(reduced(rooms()))
    after = DRAWING.sub(lambda _: drawing, before)
    if check and after != before:
        print(f"{PAGE.name} shows other imports than there are; run tools/pictures/rooms.py")
        return 1
    if not check:
        PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
