"""What a voter lacks of the documents that the state refers to."""

from types import SimpleNamespace
from typing import cast

from molecule.model.ids import Digest
from molecule.node.live_documents import LiveDocuments
from molecule.node.replica import Replica
from molecule.storage.documents import DocumentStore

INDEX = 7


class Store:
    """Lacks what is left here of what it is asked for."""

    def __init__(self) -> None:
        self.lacks: set[str] = set()

    async def missing(self, digests: list[str]) -> list[str]:
        return [digest for digest in digests if digest in self.lacks]


async def test_whoever_asks_waits_for_the_repair_of_what_is_lacking() -> None:
    store, hurried, waited = Store(), list[None](), list[int]()

    async def until_applied(index: int) -> None:
        waited.append(index)

    state = SimpleNamespace(index=INDEX, documents={"a": 1, "b": 2})
    documents = LiveDocuments(
        cast("Replica", SimpleNamespace(state=state)),
        cast("DocumentStore", store),
        until_applied=until_applied,
        on_lacking=lambda: hurried.append(None),
    )
    assert await documents.lacking_at(3) == (INDEX, [])
    assert (waited, hurried) == ([3], [])
    store.lacks = {"b", "c"}
    assert await documents.lacking_at(3) == (INDEX, [Digest("b")])
    assert hurried == [None]
