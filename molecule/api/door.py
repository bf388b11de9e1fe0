"""The door of the node process as the gateway needs it: a protocol and who is asking.

The gateway process hands in a client over the unix socket (`molecule.rpc`), tests a fake in memory.
Errors come as classes of the one tree, never as those of a transport.
"""

from dataclasses import dataclass
from typing import Protocol

from molecule.wire.v1.door_pb2 import (
    ActRequest,
    AwaitReply,
    AwaitRequest,
    Credentials,
    ReadReply,
    ReadRequest,
    SubmitReply,
    SubmitRequest,
)


class DoorClient(Protocol):
    """Calls into this node's node process. Each raises only `MoleculeError`, within `timeout_s`.

    While the node process is away a call raises `Unavailable` (nothing happened) or
    `OutcomeUnknown` (it went away in the middle); the client opens its channel again by itself.
    """

    async def submit(self, request: SubmitRequest, *, timeout_s: float) -> SubmitReply:
        """Submissions accepted or refused one by one; repeating with the same keys is safe."""
        ...

    async def wait_for(self, request: AwaitRequest, *, timeout_s: float) -> AwaitReply:
        """Executions as they stand when all are terminal or parked, or when the wait is over."""
        ...

    async def read(self, request: ReadRequest, *, timeout_s: float) -> ReadReply:
        """A resource as JSON."""
        ...

    async def act(self, request: ActRequest, *, timeout_s: float) -> ReadReply:
        """Change something; the answer is the changed thing as JSON."""
        ...


@dataclass(frozen=True, slots=True)
class Asker:
    """Who sent an HTTP request, as the gateway sees it; the node process decides who that is."""

    bearer: str
    address: str
    request: str

    def credentials(self) -> Credentials:
        """The same for the wire."""
        return Credentials(bearer=self.bearer, address=self.address, request=self.request)
