"""Which voters hold the documents that the state refers to.

Asked of the voters themselves, because no log says it. What must stay true: a voter that does not
answer counts as one that has nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from molecule.model.errors import MoleculeError
from molecule.rpc.documents import MissingDocuments

MissingAt = Callable[[str, int], Awaitable[MissingDocuments]]


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the voters said. `missing` holds only voters that answered."""

    voters: tuple[str, ...]
    referenced: int
    missing: dict[str, MissingDocuments]

    @property
    def silent(self) -> list[str]:
        """Voters that did not answer."""
        return [voter for voter in self.voters if voter not in self.missing]

    def endangered_without(self, leaving: str) -> int:
        """How many documents a majority would no longer hold if this voter had gone.

        The majority of the voters as they are now: whoever goes may come back or be replaced.
        """
        if not self.referenced:
            return 0
        staying = [voter for voter in self.voters if voter != leaving]
        if not staying:
            return self.referenced
        needed = min(len(self.voters) // 2 + 1, len(staying))
        answered = [self.missing[voter] for voter in staying if voter in self.missing]
        if len(answered) < needed or any(told.count > len(told.digests) for told in answered):
            # Too few speak, or they lack so much that they could not name it.
            return self.referenced
        lacked = frozenset[str]().union(*(told.digests for told in answered))
        return sum(
            sum(digest not in told.digests for told in answered) < needed for digest in lacked
        )


class Holders:
    """Asks the voters."""

    def __init__(
        self,
        *,
        me: str,
        voters: Callable[[], Sequence[str]],
        missing_at: MissingAt,
        missing_here: Callable[[int], Awaitable[tuple[int, Sequence[str]]]],
        referenced: Callable[[], tuple[int, int]],
    ) -> None:
        self._me = me
        self._voters = voters
        self._missing_at = missing_at
        self._missing_here = missing_here
        self._referenced = referenced
        """Log index of this node's state, and how many documents it refers to."""

    async def ask(self) -> Holdings:
        """What every voter lacks, in a state as new as this node's or newer."""
        index, count = self._referenced()
        voters = tuple(self._voters())
        missing: dict[str, MissingDocuments] = {}

        async def ask_one(voter: str) -> None:
            try:
                if voter == self._me:
                    at, digests = await self._missing_here(index)
                    missing[voter] = MissingDocuments(len(digests), frozenset(digests), at)
                else:
                    missing[voter] = await self._missing_at(voter, index)
            except MoleculeError:
                return

        if count:
            async with asyncio.TaskGroup() as group:
                for voter in voters:
                    group.create_task(ask_one(voter))
        return Holdings(voters, count, missing)
