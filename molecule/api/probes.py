"""`/livez`, `/readyz`, `/startupz`, `/metrics`: for those who watch a node.

`/livez` speaks of this process alone. The others ask the node process once, briefly, without
holding: a probe must tell how it is now.
"""

from typing import Any, Final

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from molecule.api.documentation import answers
from molecule.api.metrics import MEDIA_TYPE, GatewayMetrics
from molecule.api.shapes import Alive, Readiness
from molecule.api.surface import Surface, asker, json_answer
from molecule.model.errors import MoleculeError
from molecule.wire.v1.door_pb2 import ReadRequest

_TEXT_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Prometheus text.", "content": {"text/plain": {}}}
}


def router(surface: Surface, metrics: GatewayMetrics) -> APIRouter:
    """All routes of probes."""
    routes = APIRouter(tags=["probes"])

    @routes.get("/livez", **answers(Alive))
    async def alive() -> Response:
        """Whether the gateway process answers; nothing else is asked."""
        return json_answer({"alive": True}, headers={})

    @routes.get("/readyz", **answers(Readiness, also={503: Readiness}))
    async def ready(request: Request) -> Response:
        """Whether this node takes work now: a leader, an open store, not draining. Says why not."""
        health = await _health(surface, request)
        return _probe(health, holds=health["ready"])

    @routes.get("/startupz", **answers(Readiness, also={503: Readiness}))
    async def started(request: Request) -> Response:
        """Whether the node process has read its data folder and joined in."""
        health = await _health(surface, request)
        return _probe(health, holds=health["started"])

    @routes.get("/metrics", responses=_TEXT_ANSWER)
    async def everything_counted(request: Request) -> Response:
        """Metrics of the node process and of this gateway."""
        text = await _node_metrics(surface, request)
        return Response(metrics.text(text), headers={"content-type": MEDIA_TYPE})

    return routes


def _probe(health: dict[str, Any], *, holds: bool) -> Response:
    headers = {} if holds else {"retry-after": "1"}
    return json_answer(health, status=200 if holds else 503, headers=headers)


async def _health(surface: Surface, request: Request) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ready": False,
        "started": False,
        "draining": False,
        "role": "",
        "reasons": [],
        "node": "",
        "leader": "",
    }
    try:
        reply = await surface.door.read(_asked(request, "health"), timeout_s=_timeout_s(surface))
        told |= orjson.loads(reply.json)
    except (MoleculeError, orjson.JSONDecodeError) as error:
        told["reasons"] = [f"the node process does not answer: {error}"]
    return told


async def _node_metrics(surface: Surface, request: Request) -> str | None:
    try:
        reply = await surface.door.read(_asked(request, "metrics"), timeout_s=_timeout_s(surface))
        return str(orjson.loads(reply.json)["text"])
    except (MoleculeError, orjson.JSONDecodeError, KeyError):
        return None


def _asked(request: Request, resource: str) -> ReadRequest:
    return ReadRequest(credentials=asker(request).credentials(), resource=resource)


def _timeout_s(surface: Surface) -> float:
    return surface.limits.probe_ms_max / 1000
