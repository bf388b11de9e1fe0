"""The documents that the replicated state refers to, compared with what lies on this voter."""

from collections.abc import Awaitable, Callable, Sequence

from molecule.model.ids import Digest
from molecule.node.replica import Replica
from molecule.storage.documents import DocumentStore


class LiveDocuments:
    """One per voter."""

    def __init__(
        self,
        replica: Replica,
        store: DocumentStore,
        *,
        until_applied: Callable[[int], Awaitable[None]],
        on_lacking: Callable[[], None] = lambda: None,
    ) -> None:
        self._replica = replica
        self._store = store
        self._until_applied = until_applied
        self._on_lacking = on_lacking

    def is_referenced(self, digest: str) -> bool:
        """True while something refers to it."""
        return Digest(digest) in self._replica.state.documents

    def referenced(self) -> tuple[int, int]:
        """Log index of the state, and how many documents it refers to."""
        return self._replica.state.index, len(self._replica.state.documents)

    async def lacking(self) -> Sequence[Digest]:
        """Those that are referred to and are not here."""
        known = list(self._replica.state.documents)
        return [Digest(digest) for digest in await self._store.missing(known)]

    async def lacking_at(self, index: int) -> tuple[int, Sequence[Digest]]:
        """The same in a state of this log index or a later one, with that index.

        Who asks for it waits for what is lacking: `on_lacking` is called.
        """
        await self._until_applied(index)
        at = self._replica.state.index
        lacking = await self.lacking()
        if lacking:
            self._on_lacking()
        return at, lacking
