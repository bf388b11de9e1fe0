"""How members come and go: newcomers are admitted, learners become voters, members are removed.

The consensus group judges each change by its log; here is what it cannot know: who was let in by a
token, and whether every live document is there. What must stay true: a learner is promoted only
when it lacks no document.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import structlog

from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import Forbidden, MoleculeError, NoLeader, NotFound
from molecule.model.ids import NodeId
from molecule.node.addresses import Addresses
from molecule.node.joining import Joining
from molecule.raft.catching_up import LearnerProgress
from molecule.raft.configuration import Configuration, Member
from molecule.rpc.documents import MissingDocuments

_log = structlog.get_logger()

_ROUND_S = 0.5


class Group(Protocol):
    """The part of the Raft driver that changes members."""

    @property
    def is_leader(self) -> bool:
        """Whether this node is Raft's leader now."""
        ...

    @property
    def is_formed(self) -> bool:
        """Whether this node takes part."""
        ...

    @property
    def applied_index(self) -> int:
        """Log index of this node's state."""
        ...

    @property
    def configuration(self) -> Configuration:
        """Who takes part, as in force here."""
        ...

    def learners(self) -> tuple[LearnerProgress, ...]:
        """How far each learner is."""
        ...

    async def add_learner(self, learner: Member) -> Configuration:
        """Let a newcomer receive everything."""
        ...

    async def promote(self, node: str) -> Configuration:
        """Let a learner vote."""
        ...

    async def remove(self, node: str) -> Configuration:
        """Take a member out."""
        ...

    def transfer(self, to: str | None = None) -> None:
        """Let another voter lead."""
        ...


class Membership:
    """On every voter and learner; acts on the leader only, but for `join`."""

    def __init__(
        self,
        *,
        me: str,
        group: Group,
        state: Callable[[], ClusterState],
        addresses: Addresses,
        missing_at: Callable[[str, int], Awaitable[MissingDocuments]],
        limits: Limits,
    ) -> None:
        self._me = me
        self._group = group
        self._state = state
        self._addresses = addresses
        self._missing_at = missing_at
        self._limits = limits
        self.lacking: dict[str, int] = {}
        """On the leader: by learner, how many live documents it lacked when it was asked last."""

    # ---- asked by others, on the leader

    async def admit(self, node: str, *, birth: str, address: str) -> int:
        """A newcomer wants to receive the log. `Forbidden` when no token let it in."""
        self._lead()
        known = self._state().admissions.get(NodeId(node))
        is_founder = self._group.configuration.member(node) is not None
        if not is_founder and (known is None or known.gone or known.role != "voter"):
            raise Forbidden(
                f"{node} was not let in as a voter: join with a token of `molecule cluster token`"
            )
        changed = await self._group.add_learner(Member(node, address, birth))
        return changed.index

    async def remove(self, node: str) -> int:
        """Take a member out of the group; one that is not in it any more is out already."""
        self._lead()
        configuration = self._group.configuration
        if configuration.member(node) is None:
            return configuration.index
        return (await self._group.remove(node)).index

    def transfer(self, to: str) -> int:
        """Let another voter lead."""
        self._lead()
        if to and not self._group.configuration.is_voter(to):
            raise NotFound(f"{to} is no voter: {', '.join(self._addresses.voters)} are")
        self._group.transfer(to or None)
        return self._group.configuration.index

    def _lead(self) -> None:
        if not self._group.is_leader:
            raise NoLeader(f"node {self._me} does not lead")

    # ---- what goes on by itself

    async def run(self, joining: Joining) -> None:
        """Promote learners while this node leads, for ever; first get this node itself in."""
        while joining.is_wanted and not self._group.is_formed:
            await joining.once()
            await asyncio.sleep(_ROUND_S)
        while True:
            await asyncio.sleep(_ROUND_S)
            if not self._group.is_leader:
                self.lacking.clear()
                continue
            for learner in self._group.learners():
                if learner.answers_in_time and not learner.needs_snapshot:
                    await self._promote_if_complete(learner.node)

    async def _promote_if_complete(self, node: str) -> None:
        try:
            missing = await self._missing_at(node, self._group.applied_index)
            self.lacking[node] = missing.count
            if missing.count:
                return
            await self._group.promote(node)
        except MoleculeError as error:
            _log.info("learner_not_promoted", node=node, reason=error.message)
        else:
            self.lacking.pop(node, None)
            _log.info("learner_promoted", node=node)

    def role(self, *, wants_in: bool) -> str:
        """What this node is now: voter, learner or newcomer."""
        if wants_in and not self._group.is_formed:
            return "newcomer"
        # A copy from before this node was let in names it nowhere: it votes when it is said to.
        return "voter" if self._me in self._addresses.voters else "learner"

    def view(self) -> Mapping[str, Any]:
        """Voters, and learners with how far they are; numbers only on the leader."""
        progress = {each.node: each for each in self._group.learners()}
        return {
            "voters": list(self._addresses.voters),
            "learners": [
                _learner(node, progress.get(node), self.lacking.get(node))
                for node in self._addresses.learners
            ],
        }


def _learner(node: str, progress: LearnerProgress | None, lacking: int | None) -> dict[str, Any]:
    if progress is None:
        return {"id": node, "log_index": 0, "log_end": 0, "missing_documents": 0, "waits_for": ""}
    if progress.needs_snapshot:
        waits_for = "snapshot"
    elif not progress.answers_in_time:
        waits_for = "log"
    else:
        waits_for = "documents" if lacking else "promotion"
    return {
        "id": node,
        "log_index": progress.match_index,
        "log_end": progress.last_index,
        "missing_documents": lacking or 0,
        "waits_for": waits_for,
    }
