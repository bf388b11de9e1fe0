"""Which voters hold the documents that the state refers to.

Asked of the voters themselves, because no log says it. What must stay true: a voter that does not
answer counts as one that has nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from molecule.model.errors import MoleculeError
from molecule.rpc.documents import MissingDocuments

MissingAt = Callable[[str, int], Awaitable[MissingDocuments]]

_ASKS_FOR_S: Final = 5.0
"""How long voters are asked again; never more than half of the call's own time."""


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
        """How many documents a majority would no longer hold if this voter had gone."""
        named = self.named_without(leaving)
        return self.referenced if named is None else len(named)

    def named_without(self, leaving: str) -> frozenset[str] | None:
        """The digests of those; none at all where they cannot be named, and all are meant.

        The majority of the voters as they are now: whoever goes may come back or be replaced.
        """
        if not self.referenced:
            return frozenset()
        staying = [voter for voter in self.voters if voter != leaving]
        needed = min(len(self.voters) // 2 + 1, len(staying))
        answered = [self.missing[voter] for voter in staying if voter in self.missing]
        if not staying or len(answered) < needed:
            return None
        if any(told.count > len(told.digests) for told in answered):
            return None  # they lack so much that they could not name it
        lacked = frozenset[str]().union(*(told.digests for told in answered))
        return frozenset(
            digest
            for digest in lacked
            if sum(digest not in told.digests for told in answered) < needed
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
        pause_s: float = 0.25,
    ) -> None:
        self._me = me
        self._voters = voters
        self._missing_at = missing_at
        self._missing_here = missing_here
        self._referenced = referenced
        """Log index of this node's state, and how many documents it refers to."""
        self._pause_s = pause_s

    async def endangered_without(self, leaving: str, *, within_s: float) -> tuple[Holdings, int]:
        """How many documents stay endangered if this voter goes, and what was said last.

        Under load some document is always on its way to the voters. So they are asked again for a
        while: what a majority of the others held once does not count any more.
        """
        clock = asyncio.get_running_loop().time
        asked_until = clock() + min(_ASKS_FOR_S, within_s / 2)
        told = await self.ask()
        left = told.named_without(leaving)
        while (left is None or left) and leaving in told.voters:
            if clock() > asked_until:
                return told, told.referenced if left is None else len(left)
            await asyncio.sleep(self._pause_s)
            told = await self.ask()
            named = told.named_without(leaving)
            left = named if left is None else left if named is None else left & named
        return told, 0

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
