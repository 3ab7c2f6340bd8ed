# SPDX-License-Identifier: Apache-2.0
"""The page's own files, read once: only these are served, whatever a path says."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parent / "page"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
INDEX = "index.html"


def page_routes() -> list[Route]:
    """`/` and a route for each file of the folder."""
    files = sorted(path for path in FOLDER.glob("*") if path.suffix in KINDS)
    routes = [_route(f"/{path.name}", path) for path in files]
    return [_route("/", FOLDER / INDEX), *routes]


def _route(address: str, path: Path) -> Route:
    data, kind = path.read_bytes(), KINDS[path.suffix]

    async def answer(_: Request) -> Response:
        return Response(data, media_type=kind, headers={"cache-control": "no-cache"})

    return Route(address, answer, methods=["GET"])
