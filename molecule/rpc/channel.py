"""Channels to other nodes by id over mutual TLS.

A channel connects when it is first used and again when it broke. What must stay true: bytes for
node n2 go to a holder of n2's certificate, whatever answers at its address.
"""

from typing import Any

import grpc

from molecule.config import Limits
from molecule.rpc import identity as identities
from molecule.rpc import options
from molecule.rpc.identity import Identity
from molecule.rpc.tls import LiveCredentials


class PeerChannels:
    """Channels to the nodes of this cluster, one for each address, shared by all callers."""

    def __init__(self, credentials: LiveCredentials, *, limits: Limits) -> None:
        self._credentials = credentials
        self._limits = limits
        self._channels: dict[tuple[str, str], Any] = {}

    def to(self, node: str, address: str) -> Any:
        """The channel to this node; give it to a generated stub. Not to be closed by its user."""
        key = (node, address)
        if key not in self._channels:
            self._channels[key] = self.fresh(node, address)
        return self._channels[key]

    def fresh(self, node: str, address: str) -> Any:
        """A channel of its own connection, closed by whoever asked for it."""
        cluster = self._credentials.current.identity.cluster
        # The address may be any; the certificate must carry the host name made of node and cluster.
        expected = Identity(cluster, identities.NODE, node).host
        return grpc.aio.secure_channel(
            address,
            self._credentials.for_channel(),
            options=[
                *options.channel(self._limits),
                ("grpc.ssl_target_name_override", expected),
                ("grpc.default_authority", expected),
            ],
        )

    async def renew(self, grace_s: float = 30.0) -> None:
        """After new credentials: new calls use new connections, open ones may end in the grace."""
        old, self._channels = self._channels, {}
        for channel in old.values():
            await channel.close(grace_s)

    async def close(self) -> None:
        """End all channels and the calls on them."""
        await self.renew(grace_s=0.0)
