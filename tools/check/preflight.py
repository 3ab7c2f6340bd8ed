# SPDX-License-Identifier: Apache-2.0
"""Says in one line what a fresh machine lacks before anything is built. Exit code 2 if so."""

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

MIN_PYTHON = (3, 10)


def missing_packages() -> "list[str]":
    """Debian packages that the build needs and this machine does not have."""
    wanted = []
    if not importlib.util.find_spec("ensurepip") or not importlib.util.find_spec("venv"):
        wanted.append("python3-venv")
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        wanted.append("python3-dev")
    if not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
        wanted.append("g++")
    return wanted


def main() -> int:
    if sys.version_info < MIN_PYTHON:
        found, needed = sys.version.split()[0], ".".join(map(str, MIN_PYTHON))
        print(
            f"edgestream needs Python {needed} or newer, this is {found};"
            " name another one: make PYTHON=python3.12",
            file=sys.stderr,
        )
        return 2
    if wanted := missing_packages():
        print(
            f"edgestream cannot be built yet; first: sudo apt-get install {' '.join(wanted)}"
            " (other systems: the same under their names)",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
