# SPDX-License-Identifier: Apache-2.0
"""Which copy of the server Ray gives a request to, and how a copy learns that it has to end.

Ray sends this module by value to the processes that route, so it keeps nothing of its own.
"""

from __future__ import annotations

import random
from typing import Any

from ray import serve
from ray.serve.exceptions import RayServeException
from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica

N_ASKED = 2  # at random, of which the less busy one is taken: M. Mitzenmacher, 2001


class StickyRouter(RequestRouter):
    """A request that names a replica as its session comes there; others to one that is less busy.

    Each replica has a router too, since it calls its sisters. That one hears of all changes, and
    so of the moment at which Ray takes its own replica out.
    """

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Replicas that are asked, in one rank. One that is named and gone is any: it will say that
        it does not know the session."""
        named = ""
        if pending_request is not None:
            pending_request.routing_context.should_backoff = True
            named = pending_request.metadata.session_id
        for replica in candidate_replicas:
            if replica.replica_id.unique_id == named:
                return [[replica]]
        return [random.sample(candidate_replicas, min(N_ASKED, len(candidate_replicas)))]

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """These are there from now on."""
        super().update_replicas(replicas)
        try:
            own: Any = serve.get_replica_context().servable_object
        except RayServeException:  # this process has no replica: it is one of Ray's proxies
            return
        if own is not None:  # it is whole
            own.see({replica.replica_id.unique_id for replica in replicas})
