# SPDX-License-Identifier: Apache-2.0
"""Names of models as OpenAI's clients send them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edgestream.serve.models import Models
from edgestream.serve.pool import Pool
from edgestream.serve.refusal import RefusalError

# Names of OpenAI's that programs have written into them: they stand for whatever model fits.
ALIASES = frozenset(
    {
        "whisper-1",
        "gpt-transcribe",
        "gpt-live-transcribe",
        "gpt-4o-transcribe",
        "gpt-4o-transcribe-latest",
        "gpt-4o-mini-transcribe",
        "gpt-4o-mini-transcribe-2025-12-15",
        "gpt-4o-mini-transcribe-latest",
        "gpt-realtime-whisper",
    }
)


def ours(models: Models, name: str | None) -> str | None:
    """The model of that name; None where any will do. Raises RefusalError where there is none."""
    if not name or name in ALIASES:
        return None
    if name not in models.names:
        known = ", ".join(models.names)
        raise RefusalError(
            "model_not_found",
            f"The model `{name:.80}` does not exist or you do not have access to it; this server"
            f" has {known}, and whisper-1 stands for the usual one",
            "model",
        )
    return name


async def listed(request: Request) -> Response:
    """`GET /v1/models`."""
    names = request.app.state.pool.models.names
    return JSONResponse({"object": "list", "data": [_described(request, name) for name in names]})


async def one(request: Request) -> Response:
    """`GET /v1/models/{name}`."""
    models: Models = request.app.state.pool.models
    name = ours(models, request.path_params["name"])
    return JSONResponse(_described(request, name or models.default))


def _described(request: Request, name: str) -> dict[str, object]:
    pool: Pool = request.app.state.pool
    return {"id": name, "object": "model", "created": pool.started_s, "owned_by": "edgestream"}
