"""The driver's calls about who belongs to the cluster. Only translates; the replica decides."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from molecule.raft.catching_up import LearnerProgress
from molecule.raft.changes import AddLearner, Change, Promote, Readdress, Remove
from molecule.raft.configuration import Configuration, Member
from molecule.raft.replica import Replica
from molecule.raft.waiting import Waiting


class MembershipCalls(ABC):
    """The part of a driver that callers use to change the configuration, on its loop.

    Every change returns the configuration that holds it once it is committed, raises a definite
    error when nothing was proposed, and OutcomeUnknown when leadership was lost meanwhile.
    Repeating a change that is done is no error.
    """

    _replica: Replica
    _loop: asyncio.AbstractEventLoop
    _waiting: Waiting
    _configuration_callbacks: list[Callable[[Configuration], None]]

    @property
    def configuration(self) -> Configuration:
        """The one in force here: the newest in the journal, committed or not."""
        return self._replica.configuration

    @property
    def is_change_committed(self) -> bool:
        """Whether that one is known to be committed."""
        return self._replica.is_change_committed

    def on_configuration(self, callback: Callable[[Configuration], None]) -> None:
        """Call this, on the loop, at the start and after every change of what is in force."""
        self._configuration_callbacks.append(callback)

    def learners(self) -> tuple[LearnerProgress, ...]:
        """As leader: how far each learner is; nothing otherwise."""
        return self._replica.learners(self._loop.time())

    def voters_alive(self) -> tuple[str, ...]:
        """As leader: the voters that were heard a moment ago, this one included."""
        return self._replica.voters_alive(self._loop.time())

    async def add_learner(self, learner: Member) -> Configuration:
        """Let a newcomer receive everything without counting."""
        return await self._change(AddLearner(learner))

    async def promote(self, node: str) -> Configuration:
        """Let a learner vote. Ask only for one that has every live document."""
        return await self._change(Promote(node))

    async def remove(self, node: str) -> Configuration:
        """Take a voter or learner out. The leader hands over instead: LeadershipMoving."""
        return await self._change(Remove(node))

    async def readdress(self, node: str, address: str) -> Configuration:
        """Reach a member elsewhere."""
        return await self._change(Readdress(node, address))

    async def _change(self, change: Change) -> Configuration:
        self._refuse_when_stopped()
        ticket = self._waiting.next_ticket()
        try:
            is_proposed = self._replica.change(change, ticket, self._loop.time())
        finally:
            # A refused removal of the leader began a transfer.
            self._wake()
        if is_proposed:
            future: asyncio.Future[object] = self._loop.create_future()
            self._waiting.proposal(ticket, future, time.monotonic())
            await future
        return self._replica.configuration

    @abstractmethod
    def _refuse_when_stopped(self) -> None:
        """Raise NoLeader when the driver does not run."""

    @abstractmethod
    def _wake(self) -> None:
        """Have a round done soon."""
