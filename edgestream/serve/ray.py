# SPDX-License-Identifier: Apache-2.0
"""The server on several machines, as a deployment of Ray Serve. See docs/scale.md.

Annotations are not put off here (`from __future__`): `serve run` reads that of `build`.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from starlette.applications import Starlette
from starlette.types import Message

from edgestream.errors import UsageError
from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.serve.app import Settings, build_app
from edgestream.serve.logs import log, write_to_stderr
from edgestream.serve.ray_router import StickyRouter
from edgestream.serve.relay import Far, Near
from edgestream.serve.token import read_token

NAME = "edgestream"
WAIT_LOOP_S = 0.5  # between two looks whether a replica that ends still has connections


class Options(BaseModel):
    """What `serve run edgestream.serve.ray:build NAME=VALUE ...` takes; lists have commas."""

    model_config = ConfigDict(extra="forbid")

    hosts: str = Field(min_length=1)  # what Host may be, port included: captions.example:8000
    models: str = Field(DEFAULT_MODEL, min_length=1)
    token_file: Path | None = None  # read where the program is started, for all replicas
    open_to_all: bool = False  # no token: whoever reaches the port of Ray's proxy may use it
    replicas: int = Field(1, ge=1)
    cores: int = Field(1, ge=1)  # of each replica
    drain_s: float = Field(120.0, gt=0)  # that a recording has to end when its replica is removed


def build(options: Options) -> serve.Application:
    """What Ray is to run. Raises UsageError: the token is missing, or cannot be read."""
    hosts = _listed(options.hosts)
    # `hosts` protects nobody: Ray's proxy may listen on all addresses, and a client that is no
    # browser writes into Host what it likes.
    if options.token_file is None and not options.open_to_all:
        raise UsageError(
            "other machines may reach Ray's proxy: give token_file=FILE (made if it is not there),"
            " or open_to_all=true if whoever reaches it may use it"
        )
    if options.token_file is not None and options.open_to_all:
        raise UsageError("token_file and open_to_all: give one of them")
    token = read_token(options.token_file) if options.token_file else None
    settings = Settings(
        models=_listed(options.models),
        hosts=hosts,
        token=token,
        cores=options.cores,
    )
    return deployment(settings, options.replicas, drain_s=options.drain_s).bind(settings)


def deployment(settings: Settings, n_replicas: int, *, drain_s: float) -> serve.Deployment:
    """Replicas of the server, each with its own copy of the weights; bind it to `settings`."""
    made: serve.Deployment = serve.deployment(
        name=NAME,
        num_replicas=n_replicas,
        ray_actor_options={"num_cpus": settings.cores},
        max_ongoing_requests=2 * settings.limits.connections,  # a carried one has two
        request_router_config={"request_router_class": StickyRouter},
        graceful_shutdown_wait_loop_s=WAIT_LOOP_S,
        graceful_shutdown_timeout_s=drain_s,
    )(serve.ingress()(Replica))
    return made


class Replica:
    """One copy of the server, and its way to the sessions of the others."""

    def __init__(self, settings: Settings) -> None:
        context = serve.get_replica_context()
        self._settings = settings
        self._name = context.replica_tag
        self._handle = serve.get_deployment_handle(context.deployment, context.app_name)
        self._loop = asyncio.get_running_loop()
        self._near = Near(self._name, self._carry, self._hear)
        self._far = Far(lambda: self._app.state.pool)
        self._here = False  # Ray sends requests to this replica

    def __serve_build_asgi_app__(self) -> Starlette:
        """Loads the models; Ray starts what is returned."""
        write_to_stderr()
        self._app = build_app(replace(self._settings, replica=self._name, relay=self._near))
        self._handle.options()  # from here on its router tells which replicas there are
        return self._app

    def see(self, replicas: set[str]) -> None:
        """All that requests are sent to, from now on. Any thread may tell."""
        here, self._here = self._here, self._name in replicas
        if here and not self._here:
            ending = self._hand_over(elsewhere=bool(replicas))
            asyncio.run_coroutine_threadsafe(ending, self._loop)

    async def carry(self, link: str, first: dict[str, Any]) -> AsyncIterator[Message]:
        """For another replica: see `Far.carry`."""
        async for answer in self._far.carry(link, first):
            yield answer

    async def hear(self, link: str, message: Message) -> None:
        """For another replica: see `Far.hear`."""
        await self._far.hear(link, message)

    async def _hand_over(self, *, elsewhere: bool) -> None:
        log("replica ends", replica=self._name, elsewhere=elsewhere)
        self._near.stop()
        await self._app.state.pool.hand_over(elsewhere=elsewhere)

    async def _carry(
        self, replica: str, link: str, first: dict[str, Any]
    ) -> AsyncIterator[Message]:
        """See `Carry`."""
        there = self._handle.options(session_id=replica, stream=True)
        answers: Any = there.carry.remote(link, first)
        try:
            async for answer in answers:
                yield answer
        except (RayError, RayServeException) as error:
            raise ConnectionError(f"replica {replica} is gone") from error

    async def _hear(self, replica: str, link: str, message: Message) -> None:
        await self._handle.options(session_id=replica).hear.remote(link, message)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
