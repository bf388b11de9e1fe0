"""The channel of gateway, workers and supervisor to the node process of this machine.

Apart from `channel.py`, because what makes certificates is large and of no use there.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import grpc

from molecule.config import Limits
from molecule.rpc import options

SECRET_KEY: Final = "molecule-secret"  # noqa: S105  # its name in the metadata
ROLE_KEY: Final = "molecule-role"
NAME_KEY: Final = "molecule-name"


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
