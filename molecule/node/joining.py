"""Calls about members that must reach the leader: a newcomer's own, and what people ask for."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from molecule.model.errors import MoleculeError, NoLeader
from molecule.node.addresses import Addresses
from molecule.wire.v1 import peer_pb2 as p

_log = structlog.get_logger()


class MemberClients(Protocol):
    """The calls to other nodes that are needed here."""

    async def join(self, node: str, *, birth: str, address: str) -> int:
        """Ask the leader `node` to let a newcomer receive the log."""
        ...

    async def change(self, node: str, request: p.ChangeRequest) -> int:
        """Ask the leader `node` for a change of members."""
        ...


class Joining:
    """One per life of a node: asks the members it was told of, one by one, to let it in."""

    def __init__(
        self,
        *,
        is_wanted: bool,
        addresses: Addresses,
        clients: MemberClients,
        birth: str,
        address: str,
    ) -> None:
        self.is_wanted = is_wanted
        """False on a node that was there from the beginning."""
        self._addresses = addresses
        self._clients = clients
        self._birth = birth
        self._address = address
        self._told = ""

    async def once(self) -> None:
        """Ask until the leader among them has answered."""
        for member in self._addresses.voters:
            try:
                await self._clients.join(member, birth=self._birth, address=self._address)
            except NoLeader:
                continue
            except MoleculeError as error:
                if error.message != self._told:
                    self._told = error.message
                    _log.warning("not_admitted_yet", member=member, reason=error.message)
                continue
            return

    @property
    def reason(self) -> str:
        """What the last member said that did not let this node in; empty when none did."""
        return self._told


class LeaderCalls:
    """What people ask of any node, carried to the leader."""

    def __init__(
        self,
        *,
        me: str,
        leader: Callable[[], str | None],
        here: Callable[[p.ChangeRequest], Awaitable[int]],
        clients: MemberClients,
    ) -> None:
        self._me = me
        self._leader = leader
        self._here = here
        self._clients = clients

    async def change(self, request: p.ChangeRequest) -> int:
        """Once, now; raises what the leader raised."""
        leader = self._leader()
        if leader is None:
            raise NoLeader("no node leads at the moment")
        if leader == self._me:
            return await self._here(request)
        return await self._clients.change(leader, request)
