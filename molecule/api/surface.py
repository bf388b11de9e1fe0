"""What every router needs of the application: the door, the limits, the clock, and who is asking.

Routers are built by functions that take a `Surface`; none keeps state of its own.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from molecule.api import hold
from molecule.api.door import Asker, DoorClient
from molecule.api.hold import Patience
from molecule.api.problems import request_id
from molecule.config import Limits
from molecule.model.errors import DeadlineExceeded, OutcomeUnknown, Unavailable
from molecule.wire.v1.door_pb2 import ActRequest, ReadReply, ReadRequest

AGE_HEADER = "molecule-age-ms"

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Surface:
    """Handed to each router when the application is built."""

    door: DoorClient
    limits: Limits
    patience: Patience

    async def read(
        self, request: Request, resource: str, *, name: str = "", query: Mapping[str, str]
    ) -> Response:
        """The node process's JSON of a resource, passed on as it came."""
        reply = await self.read_reply(request, resource, name=name, query=query)
        return json_bytes(reply.json, age_ms=reply.age_ms)

    async def read_reply(
        self, request: Request, resource: str, *, name: str = "", query: Mapping[str, str]
    ) -> ReadReply:
        """The same before it is an HTTP answer. Reads change nothing, so they may be repeated."""
        filters = dict(query)
        fresh = filters.pop("fresh", "false") == "true"
        asked = ReadRequest(
            credentials=asker(request).credentials(),
            resource=resource,
            id=name,
            query=filters,
            fresh=fresh,
        )
        asking = hold.ask(
            lambda left_s: self.door.read(asked, timeout_s=left_s),
            patience=self.patience,
            within_s=self.limits.door_wait_for_leader_ms / 1000,
        )
        return await nothing_happened(asking)

    async def act(self, request: Request, asked: ActRequest, *, repeat_unknown: bool) -> Response:
        """Carry out a change. Repeated after an unknown outcome only when twice is like once."""
        asked.credentials.CopyFrom(asker(request).credentials())
        reply = await hold.ask(
            lambda left_s: self.door.act(asked, timeout_s=left_s),
            patience=self.patience,
            within_s=self.limits.door_wait_for_leader_ms / 1000,
            repeat_unknown=repeat_unknown,
        )
        return json_bytes(reply.json, age_ms=reply.age_ms)


async def nothing_happened(reading: Awaitable[Answer]) -> Answer:
    """The answer of a read. Only its answer can be unknown, so its failure is definite."""
    try:
        return await reading
    except (OutcomeUnknown, DeadlineExceeded) as error:
        raise Unavailable(error.message, **error.facts) from None


def asker(request: Request) -> Asker:
    """Who sent the request: its bearer token as sent, its address, its id."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    client = request.client
    return Asker(
        bearer=token.strip() if scheme.lower() == "bearer" else "",
        address=f"{client.host}:{client.port}" if client else "",
        request=request_id(request),
    )


def json_bytes(payload: bytes, *, age_ms: int = 0) -> Response:
    """JSON that is bytes already, with how old it is."""
    headers = {AGE_HEADER: str(age_ms)}
    return Response(payload or b"{}", headers=headers, media_type="application/json")


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str]) -> Response:
    """A value as JSON."""
    return Response(
        orjson.dumps(value),
        status_code=status,
        headers=dict(headers),
        media_type="application/json",
    )
