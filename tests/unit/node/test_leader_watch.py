"""A node that hears no log asks the voters who leads."""

import asyncio
from pathlib import Path

import pytest

from molecule.config import NodeConfig, Peer, TlsFiles
from molecule.model.errors import Unavailable
from molecule.node.addresses import Addresses
from molecule.node.leader_watch import LeaderWatch
from molecule.wire.v1 import peer_pb2 as p


class Voters:
    """What each voter says, in order; the last answer stays."""

    def __init__(self, folder: Path, **said: list[str]) -> None:
        config = NodeConfig(
            id="w1",
            data=str(folder),
            role="worker",
            peers=(Peer(id="n1", rpc="a:1"), Peer(id="n2", rpc="a:2")),
            tls=TlsFiles(ca="", certificate="", key=""),
            admin_token_file="",
        )
        self.addresses = Addresses(config)
        self.said = said
        self.asked: list[str] = []
        self.seen: list[str | None] = []
        self.changed = asyncio.Event()
        self.watch = LeaderWatch(addresses=self.addresses, ask=self.ask, changed=self.notice)

    async def ask(self, voter: str) -> p.MembersReply:
        self.asked.append(voter)
        answers = self.said[voter]
        leader = answers.pop(0) if len(answers) > 1 else answers[0]
        if leader == "away":
            raise Unavailable(f"{voter} is away")
        told = [p.MembersReply.Voter(node=node, address=f"b:{node}") for node in ("n1", "n2", "n3")]
        return p.MembersReply(leader=leader, voters=told)

    def notice(self) -> None:
        self.seen.append(self.watch.leader)
        self.changed.set()

    async def until(self, leader: str) -> None:
        async with asyncio.timeout(5):
            task = asyncio.ensure_future(self.watch.run())
            while self.watch.leader != leader:
                self.changed.clear()
                await self.changed.wait()
            task.cancel()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molecule.node.leader_watch._EVERY_S", 0.0)
    monkeypatch.setattr("molecule.node.leader_watch._SOON_S", 0.0)


async def test_the_next_voter_is_asked_when_one_is_away(tmp_path: Path) -> None:
    voters = Voters(tmp_path, n1=["away"], n2=["n2"])
    await voters.until("n2")
    assert voters.asked[:2] == ["n1", "n2"]


async def test_voters_that_were_added_are_remembered(tmp_path: Path) -> None:
    voters = Voters(tmp_path, n1=["n1"], n2=["n1"])
    await voters.until("n1")
    assert voters.addresses.voters == ("n1", "n2", "n3")
    assert voters.addresses.of("n3") == "b:n3"


async def test_a_change_of_leader_is_told_once(tmp_path: Path) -> None:
    voters = Voters(tmp_path, n1=["n1", "n1", "n3"], n2=["n3"], n3=["n3"])
    await voters.until("n3")
    assert voters.seen == ["n1", "n3"]
