# SPDX-License-Identifier: Apache-2.0
"""The real server on a free port of this machine, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette

from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.serve.app import Settings, build_app
from edgestream.serve.hosts import allowed_hosts
from edgestream.serve.limits import Limits
from edgestream.serve.pool import Pool
from edgestream.serve.run import Server, bind, uvicorn_settings

HOST = "127.0.0.1"
START_S = 120.0  # for a busy machine


@dataclass(frozen=True)
class RunningServer:
    """Where it is reached, and what is inside for tests that look there."""

    port: int
    app: Starlette
    loop: asyncio.AbstractEventLoop

    @property
    def http(self) -> str:
        """The address of its pages."""
        return f"http://{HOST}:{self.port}"

    @property
    def ws(self) -> str:
        """The address of its web sockets."""
        return f"ws://{HOST}:{self.port}"

    @property
    def pool(self) -> Pool:
        """All of its sessions; they belong to `loop`."""
        return self.app.state.pool


@contextmanager
def running_server(
    models: Sequence[str] = (DEFAULT_MODEL,), *, limits: Limits | None = None, **settings: Any
) -> Iterator[RunningServer]:
    """Serves until the end of the `with`; `settings` are more of those of `Settings`."""
    limits = limits or Limits()
    bound = bind(HOST, 0)
    port = bound.getsockname()[1]
    app = build_app(
        Settings(models=models, hosts=allowed_hosts(HOST, port), limits=limits, **settings)
    )
    loops: list[asyncio.AbstractEventLoop] = []
    started = threading.Event()

    def on_start() -> None:
        loops.append(asyncio.get_running_loop())
        started.set()

    config = uvicorn.Config(
        app, **uvicorn_settings(limits), timeout_graceful_shutdown=2, log_config=None
    )
    server = Server(config, app, on_start)
    thread = threading.Thread(target=server.run, args=([bound],), name="test-server")
    thread.start()
    try:
        assert started.wait(START_S), "the server did not start"
        yield RunningServer(port, app, loops[0])
    finally:
        server.should_exit = True
        thread.join()
        bound.close()
