"""Channels: to other nodes by id over mutual TLS, and to the node process of this machine.

A channel connects when it is first used and again when it broke. What must stay true: bytes for
node n2 go to a holder of n2's certificate, whatever answers at its address.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import grpc

from molecule.config import Limits
from molecule.rpc import identity as identities
from molecule.rpc import options
from molecule.rpc.identity import Identity
from molecule.rpc.server import NAME_KEY, ROLE_KEY, SECRET_KEY
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


def local_channel(path: Path, *, secret: str, role: str, name: str, limits: Limits) -> Any:
    """A channel to the node process of this machine; folder and secret come from the supervisor."""
    channel = grpc.aio.insecure_channel(
        f"unix:{path}",
        # Without it the escaped path becomes the authority, which the library then refuses.
        options=[*options.channel(limits), ("grpc.default_authority", "localhost")],
    )
    return _SignedChannel(channel, ((SECRET_KEY, secret), (ROLE_KEY, role), (NAME_KEY, name)))


class _SignedChannel(grpc.aio.Channel):  # type: ignore[misc]  # the library has no types
    """Adds the same metadata to every call; an interceptor would cost a task for each."""

    def __init__(self, channel: Any, metadata: Sequence[tuple[str, str]]) -> None:
        self._channel = channel
        self._metadata = tuple(metadata)

    def unary_unary(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return partial(self._channel.unary_unary(*args, **kwargs), metadata=self._metadata)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return partial(self._channel.unary_stream(*args, **kwargs), metadata=self._metadata)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return partial(self._channel.stream_unary(*args, **kwargs), metadata=self._metadata)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return partial(self._channel.stream_stream(*args, **kwargs), metadata=self._metadata)

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> Any:  # noqa: FBT001, FBT002
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: Any) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()
