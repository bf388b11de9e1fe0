"""The documents of the other voters, by the voter's id. Thin: it finds the address and asks."""

import hashlib
from collections.abc import Callable

from molecule.config import Limits
from molecule.model.errors import NotFound
from molecule.model.ids import Digest
from molecule.rpc.channel import PeerChannels
from molecule.rpc.documents import DocumentsClient, MissingDocuments


class DocumentPeers:
    """One per node process."""

    def __init__(
        self, *, address_of: Callable[[str], str | None], channels: PeerChannels, limits: Limits
    ) -> None:
        self._address_of = address_of
        self._channels = channels
        self._limits = limits

    async def put_at(self, voter: str, content: bytes, execution: str, token: int) -> None:
        """Put content at another voter, in the name of (execution, token)."""
        digest = hashlib.sha256(content).hexdigest()
        await self._of(voter).put(digest, content, execution=execution, token=token)

    async def get_from(self, voter: str, digest: Digest) -> bytes | None:
        """The bytes, None when they are not there."""
        return await self._of(voter).get(digest)

    async def missing_at(self, voter: str, index: int) -> MissingDocuments:
        """What a voter lacks of what the state refers to, in its state of `index` or later."""
        within_s = self._limits.documents_missing_ms_max / 1000
        return await self._of(voter).missing(index, timeout_s=within_s)

    def _of(self, voter: str) -> DocumentsClient:
        address = self._address_of(voter)
        if address is None:
            raise NotFound(f"no address of node {voter} is known")
        return DocumentsClient(self._channels.to(voter, address), limits=self._limits)
