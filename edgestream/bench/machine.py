# SPDX-License-Identifier: Apache-2.0
"""The machine that measures: what it is, and one core of it."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edgestream
from edgestream.library.manifest.manifest import MANIFEST
from edgestream.system.process import n_cores

if TYPE_CHECKING:
    from edgestream.speech.concatenated.model import Model
    from edgestream.speech.reencoded.model import ReencodedModel
    from edgestream.vision.watcher import Watcher


@contextmanager
def one_core() -> Iterator[bool]:
    """Keeps this process on one core, where the system can; yields whether it does."""
    if not hasattr(os, "sched_setaffinity"):
        yield False
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield True
    finally:
        os.sched_setaffinity(0, allowed)


def describe(model: Model | ReencodedModel | Watcher) -> dict[str, Any]:
    """What is needed to know which run this was."""
    return describe_file(model.folder.name, _names_its_files(model.folder))


def describe_file(model_name: str, file: Path) -> dict[str, Any]:
    """As `describe()`, of a model that `file` tells from others."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "edgestream": edgestream.__version__,
        "commit": _commit(),
        "model": model_name,
        "model_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "machine": {
            "cpu": _cpu(),
            "cores": n_cores(),
            "load_average_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
        },
    }


def of_the_machine(figures: dict[str, Any]) -> list[str]:
    """What this machine could not measure, or only badly; `figures` as `describe` begins them."""
    said = []
    if figures["rss_mb"] is None:
        said.append("Memory is measured on Linux only")
    load = figures["machine"]["load_average_1min"]
    if load and load > 1:
        said.append(f"The machine was busy with other work (load {load:.1f}): times are too long")
    return said


def _names_its_files(folder: Path) -> Path:
    """The manifest, with the checksums of all others; a public repository has its config alone, and
    Moonshine's makers give neither."""
    names = (MANIFEST, "config.json", "tokenizer.bin")
    return next(folder / name for name in names if (folder / name).exists())


def _commit() -> str | None:
    """The checkout's commit, with a + if files differ from it; None for an installed package."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
        )
    except OSError:
        return None
    return found.stdout.strip() or None


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
