"""Who is let in as a learner, and when a learner becomes a voter."""

import asyncio
from pathlib import Path

import pytest

from molecule.cluster.state import Admission, ClusterState
from molecule.config import Limits, NodeConfig, TlsFiles
from molecule.model.errors import Forbidden, LearnerBehind, NoLeader, NotFound, Unavailable
from molecule.model.ids import NodeId
from molecule.node.addresses import Addresses
from molecule.node.joining import Joining
from molecule.node.membership import Membership
from molecule.raft.catching_up import LearnerProgress
from molecule.raft.configuration import Configuration, Member
from molecule.rpc.documents import MissingDocuments

VOTERS = (Member("n1", "a:1", "b1"), Member("n2", "a:2", "b2"))


class Group:
    """A consensus group that does what it is told."""

    def __init__(self) -> None:
        self.is_leader = True
        self.is_formed = True
        self.applied_index = 7
        self.configuration = Configuration(VOTERS)
        self.progress: tuple[LearnerProgress, ...] = ()
        self.promoted: list[str] = []
        self.told_missing: list[int] = []
        """What learners said they lack."""
        self.promoted_after: list[list[int]] = []
        self.done = asyncio.Event()

    def learners(self) -> tuple[LearnerProgress, ...]:
        return self.progress

    async def add_learner(self, learner: Member) -> Configuration:
        self.configuration = self.configuration.with_learner(learner)
        return self.configuration

    async def promote(self, node: str) -> Configuration:
        self.promoted.append(node)
        self.promoted_after.append(list(self.told_missing))
        self.done.set()
        return self.configuration

    async def remove(self, node: str) -> Configuration:
        self.configuration = self.configuration.without(node, removed_kept=8)
        return self.configuration

    def transfer(self, to: str | None = None) -> None:
        self.promoted.append(f"transfer to {to}")


def a_config(folder: Path) -> NodeConfig:
    return NodeConfig(
        id="n1",
        data=str(folder),
        tls=TlsFiles(ca="", certificate="", key=""),
        admin_token_file="",
    )


class Parts:
    def __init__(self, folder: Path) -> None:
        self.group = Group()
        self.state = ClusterState()
        self.missing = {"n4": [0]}
        self.addresses = Addresses(a_config(folder))
        self.addresses.follow(self.group.configuration)
        self.membership = Membership(
            me="n1",
            group=self.group,
            state=lambda: self.state,
            addresses=self.addresses,
            missing_at=self._missing_at,
            limits=Limits(),
        )

    async def _missing_at(self, node: str, index: int) -> MissingDocuments:
        left = self.missing[node]
        count = left.pop(0) if len(left) > 1 else left[0]
        self.group.told_missing.append(count)
        if count < 0:
            raise Unavailable("away")
        return MissingDocuments(count, frozenset(), index)

    def let_in(self, node: str, *, role: str = "voter", gone: bool = False) -> None:
        self.state.admissions[NodeId(node)] = Admission(NodeId(node), role, gone, at_ms=0)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


async def test_a_newcomer_that_a_token_let_in_becomes_a_learner(parts: Parts) -> None:
    parts.let_in("n4")
    await parts.membership.admit("n4", birth="b4", address="a:4")
    assert parts.group.configuration.learners == (Member("n4", "a:4", "b4"),)


@pytest.mark.parametrize(
    ("node", "fields"),
    [("n5", {}), ("n4", {"gone": True}), ("n4", {"role": "worker"})],
    ids=["never let in", "left since", "let in as a worker node"],
)
async def test_anybody_else_is_refused(parts: Parts, node: str, fields: dict[str, bool]) -> None:
    parts.let_in("n4", **fields)  # type: ignore[arg-type]  # its fields
    with pytest.raises(Forbidden, match="token"):
        await parts.membership.admit(node, birth="b", address="a:9")


async def test_only_the_leader_changes_members(parts: Parts) -> None:
    parts.group.is_leader = False
    parts.let_in("n4")
    with pytest.raises(NoLeader):
        await parts.membership.admit("n4", birth="b4", address="a:4")
    with pytest.raises(NoLeader):
        await parts.membership.remove("n2")
    with pytest.raises(NoLeader):
        parts.membership.transfer("n2")


async def test_leadership_moves_only_to_a_voter(parts: Parts) -> None:
    with pytest.raises(NotFound, match="n9 is no voter"):
        parts.membership.transfer("n9")
    parts.membership.transfer("n2")
    assert parts.group.promoted == ["transfer to n2"]


async def test_a_learner_becomes_a_voter_when_it_lacks_no_document(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molecule.node.membership._ROUND_S", 0.0)
    parts.group.progress = (LearnerProgress("n4", 7, 7, True, False),)
    parts.missing = {"n4": [3, -1, 0]}
    await until_promoted(parts)
    assert parts.group.promoted[:1] == ["n4"]
    assert parts.group.promoted_after[0] == [3, -1, 0], "not while it lacks any, nor unasked"


async def test_a_learner_that_is_behind_is_not_asked(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molecule.node.membership._ROUND_S", 0.0)
    behind = LearnerProgress("n5", 1, 7, False, False)
    parts.group.progress = (behind, LearnerProgress("n4", 7, 7, True, False))
    await until_promoted(parts)
    assert set(parts.group.promoted) == {"n4"}


async def until_promoted(parts: Parts) -> None:
    async with asyncio.timeout(5):
        task = asyncio.ensure_future(parts.membership.run(not_wanted(parts)))
        await parts.group.done.wait()
        task.cancel()


def not_wanted(parts: Parts) -> Joining:
    return Joining(
        is_wanted=False, addresses=parts.addresses, clients=Clients(), birth="b1", address="a:1"
    )


class Clients:
    """Members that answer a newcomer in turn."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: list[Exception | None] = []

    async def join(self, node: str, *, birth: str, address: str) -> int:
        self.asked.append(f"{node} {birth} {address}")
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return 1

    async def change(self, _node: str, _request: object) -> int:
        return 1


async def test_a_newcomer_asks_on_until_the_leader_answers(parts: Parts) -> None:
    clients = Clients()
    clients.answers = [NoLeader("not me"), None]
    newcomer = Joining(
        is_wanted=True, addresses=parts.addresses, clients=clients, birth="b4", address="a:4"
    )
    await newcomer.once()
    assert clients.asked == ["n1 b4 a:4", "n2 b4 a:4"]
    clients.answers = [LearnerBehind("one moment"), LearnerBehind("one moment")]
    await newcomer.once()
    assert newcomer.reason == "one moment"


def test_members_are_found_again_by_a_process_that_reads_no_log(tmp_path: Path) -> None:
    first = Addresses(a_config(tmp_path))
    assert first.voters == ("n1",)
    first.follow(Configuration((*VOTERS, Member("n3", "a:3", "b3"))))
    again = Addresses(a_config(tmp_path))
    assert (again.voters, again.of("n3"), again.of("n9")) == (("n1", "n2", "n3"), "a:3", None)


async def test_a_node_votes_only_when_its_own_copy_says_so(parts: Parts) -> None:
    role = parts.membership.role
    assert role(wants_in=True) == "voter"
    parts.addresses.follow(Configuration((Member("n2", "a:2", "b2"),)))
    assert role(wants_in=True) == "learner", "an old copy knows nothing of this node"
    parts.group.is_formed = False
    assert role(wants_in=True) == "newcomer"
