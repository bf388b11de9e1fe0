"""Who holds the documents: a voter that is silent has none, and a majority must be left."""

import pytest

from molecule.model.errors import Unavailable
from molecule.node.holders import Holders, Holdings
from molecule.rpc.documents import MissingDocuments

THREE = ("n1", "n2", "n3")


def lacks(*digests: str) -> MissingDocuments:
    return MissingDocuments(len(digests), frozenset(digests), 1)


def holdings(voters: tuple[str, ...] = THREE, **missing: MissingDocuments) -> Holdings:
    return Holdings(voters, 10, missing)


def test_nothing_is_endangered_while_the_others_have_everything() -> None:
    assert holdings(n1=lacks(), n2=lacks(), n3=lacks()).endangered_without("n1") == 0


@pytest.mark.parametrize(
    ("told", "endangered"),
    [
        (holdings(n1=lacks(), n2=lacks("a", "b"), n3=lacks("b")), 2),
        (holdings(n1=lacks(), n2=lacks()), 10),
        (holdings(n1=lacks(), n2=MissingDocuments(5, frozenset({"a"}), 1), n3=lacks()), 10),
        (holdings(("n1",), n1=lacks()), 10),
        (holdings(("n1", "n2"), n1=lacks(), n2=lacks("a")), 1),
        (Holdings(THREE, 0, {}), 0),
    ],
    ids=[
        "documents that only one of the others has",
        "a silent voter has none",
        "so many missing that they could not be named",
        "the only voter",
        "the last one after a change to one voter",
        "no documents at all",
    ],
)
def test_documents_without_a_majority_of_holders_are_counted(
    told: Holdings, endangered: int
) -> None:
    assert told.endangered_without("n1") == endangered


async def test_every_voter_is_asked_and_the_silent_ones_are_named() -> None:
    async def missing_at(voter: str, index: int) -> MissingDocuments:
        if voter == "n3":
            raise Unavailable("away")
        return MissingDocuments(0, frozenset(), index)

    async def missing_here(index: int) -> tuple[int, list[str]]:
        return index, ["a"]

    asked = Holders(
        me="n1",
        voters=lambda: THREE,
        missing_at=missing_at,
        missing_here=missing_here,
        referenced=lambda: (7, 2),
    )
    told = await asked.ask()
    assert (told.missing["n1"], told.missing["n2"].index) == (
        MissingDocuments(1, frozenset({"a"}), 7),
        7,
    )
    assert told.silent == ["n3"]
