# SPDX-License-Identifier: Apache-2.0
"""A Ray cluster on this machine: a head without cores and workers of one core each.

Nothing leaves the machine, and nothing is left on it.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

import edgestream  # noqa: F401

HOST = "127.0.0.1"


@contextmanager
def ray_cluster(n_workers: int) -> Iterator[None]:
    """Connected to it until the end of the `with`."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets need a short path
    # Without this file the head asks the network in which cloud it is.
    (Path(folder) / "ray_bootstrap_config.yaml").write_text("{}")
    before = os.environ.copy()
    os.environ |= {"RAY_TMPDIR": folder, "HOME": folder}
    import ray  # its reports to its makers are off since edgestream was imported
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=0, include_dashboard=False)
        for _ in range(n_workers):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()
        left = [each for each in psutil.process_iter(["cmdline"]) if _is_of(each, folder)]
        for process in left:
            process.kill()
        psutil.wait_procs(left)
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.clear()
        os.environ |= before


def _is_of(process: psutil.Process, folder: str) -> bool:
    return any(folder in word for word in process.info["cmdline"] or ())
