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


class Voters:
    """Answer with one thing after the other, the last one for ever. Each asks for `n1` to go."""

    def __init__(self, *answers: MissingDocuments | None, voters: tuple[str, ...] = THREE) -> None:
        self._answers = list(answers)
        self._voters = voters

    async def endangered(self) -> int:
        holders = Holders(
            me="n3",
            voters=lambda: self._voters,
            missing_at=self._missing_at,
            missing_here=self._missing_here,
            referenced=lambda: (7, 10),
            pause_s=0,
        )
        _, endangered = await holders.endangered_without("n1", within_s=0.1)
        return endangered

    async def _missing_at(self, voter: str, _index: int) -> MissingDocuments:
        if voter == "n1":
            return lacks()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            raise Unavailable("away")
        return answer

    async def _missing_here(self, index: int) -> tuple[int, list[str]]:
        return index, []


@pytest.mark.parametrize(
    ("asked", "endangered"),
    [
        (Voters(lacks("a"), lacks("b"), lacks("c")), 0),
        (Voters(lacks("a", "b"), lacks("b", "c")), 1),
        (Voters(None, lacks()), 0),
        (Voters(lacks("a"), None), 1),
        (Voters(MissingDocuments(5, frozenset({"a"}), 1), lacks("a"), lacks()), 0),
        (Voters(None), 10),
        (Voters(None, voters=("n2", "n3")), 0),
    ],
    ids=[
        "always another document on its way",
        "one that never arrives",
        "a voter that answers late",
        "a voter that answers once",
        "named late",
        "a voter that never answers",
        "who goes is no voter",
    ],
)
async def test_only_what_stays_endangered_counts(asked: Voters, endangered: int) -> None:
    assert await asked.endangered() == endangered


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
