"""The one call of a process that is started to make it, with little more than the library.

How long it takes from its first instruction is how long executions of a dead node process wait.
So it leaves out what checks certificates and configurations: the node that died had both checked.
"""

from pathlib import Path
from typing import Any

import grpc

from molecule.rpc import errors
from molecule.rpc import identity as identities
from molecule.rpc.identity import Identity
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2_grpc


class DeathCalls:
    """Calls to voters, with the certificate of the node that they tell the death of."""

    def __init__(self, *, cluster: str, ca: str, certificate: str, key: str) -> None:
        self._cluster = cluster
        self._credentials = grpc.ssl_channel_credentials(
            *[Path(file).read_bytes() for file in (ca, key, certificate)]
        )
        self._channels: dict[str, Any] = {}

    async def report(
        self, voter: str, address: str, said: c.ReportNodeDeath, *, timeout_s: float
    ) -> bool:
        """Whether it was news; raises an error of the tree when this voter cannot take it."""
        with errors.translated():
            reply = await peer_pb2_grpc.PeerStub(self._channel(voter, address)).ReportDeath(
                said, timeout=timeout_s
            )
        return bool(reply.applied)

    def _channel(self, voter: str, address: str) -> Any:
        if voter not in self._channels:
            expected = Identity(self._cluster, identities.NODE, voter).host
            self._channels[voter] = grpc.aio.secure_channel(
                address,
                self._credentials,
                options=[
                    ("grpc.ssl_target_name_override", expected),
                    ("grpc.default_authority", expected),
                    ("grpc.enable_http_proxy", 0),
                ],
            )
        return self._channels[voter]

    async def close(self) -> None:
        """End the connections."""
        for channel in self._channels.values():
            await channel.close()
