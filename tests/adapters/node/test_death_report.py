"""The report of a node's death reaches whichever voter leads, with the node's own certificate."""

import json
from pathlib import Path
from typing import Any

from molecule.config import Limits
from molecule.model.errors import NoLeader
from molecule.model.members_file import FILE
from molecule.node import death_report
from molecule.rpc import identity
from molecule.rpc.server import PeerServer
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1.peer_pb2_grpc import add_PeerServicer_to_server
from tests.adapters.rpc.cluster_of_two import CLUSTER, live, node_pair, written


class Voter:
    """Takes reports when it leads."""

    def __init__(self, *, leads: bool) -> None:
        self._leads = leads
        self.told: list[tuple[str, c.ReportNodeDeath]] = []

    async def ReportDeath(self, request: c.ReportNodeDeath, _context: Any) -> p.ReportDeathReply:
        if not self._leads:
            raise NoLeader("another node leads")
        self.told.append((identity.caller().name, request))
        return p.ReportDeathReply(applied=True)

    async def other(self, _request: Any, _context: Any) -> None:
        """Asked by nobody here."""

    Change = Gate = Group = Join = Members = Package = Proposals = ReadIndex = other
    Session = Triggers = Volatile = other

    async def start(self, node: str) -> PeerServer:
        server = PeerServer("127.0.0.1:0", live(node), limits=Limits())
        server.register(add_PeerServicer_to_server, self)
        await server.start()
        return server


def settings_of(folder: Path, node: str, peers: dict[str, int]) -> dict[str, Any]:
    files = written(folder, node_pair(node))
    return {
        "cluster": CLUSTER,
        "id": node,
        "data": str(folder),
        "rpc": "127.0.0.1:1",
        "peers": [{"id": peer, "rpc": f"127.0.0.1:{port}"} for peer, port in peers.items()],
        "tls": {"ca": str(files.ca), "certificate": str(files.certificate), "key": str(files.key)},
        "limits": {"death_report_call_ms_max": 3_000},
    }


async def test_the_voter_that_leads_is_told_by_the_node_itself(tmp_path: Path) -> None:
    follower, leader = Voter(leads=False), Voter(leads=True)
    servers = [await follower.start("n1"), await leader.start("n2")]
    ports = {"n1": servers[0].port, "n2": servers[1].port, "n3": 1}
    settings = settings_of(tmp_path, "n3", ports)
    is_told = await death_report.report(settings, "life-1", "exit code 1", within_s=30)
    for server in servers:
        await server.stop()
    assert is_told
    ((caller, said),) = leader.told
    assert (caller, said.node, said.life, said.evidence) == ("n3", "n3", "life-1", "exit code 1")


async def test_a_report_that_nobody_takes_ends_after_its_time(tmp_path: Path) -> None:
    follower = Voter(leads=False)
    server = await follower.start("n1")
    settings = settings_of(tmp_path, "n3", {"n1": server.port, "n3": 1})
    is_told = await death_report.report(settings, "life-1", "exit code 1", within_s=0.3)
    await server.stop()
    assert not is_told


def test_whoever_joined_since_the_start_is_told_and_whoever_left_is_not(tmp_path: Path) -> None:
    settings = {
        "id": "n1",
        "rpc": "a:1",
        "data": str(tmp_path),
        "peers": [{"id": "n1", "rpc": "a:1"}, {"id": "n2", "rpc": "b:1"}],
    }
    assert death_report.members(settings) == {"n1": "a:1", "n2": "b:1"}
    kept = {"voters": ["n1", "n4"], "addresses": {"n4": "d:1"}}
    (tmp_path / FILE).write_text(json.dumps(kept), encoding="utf-8")
    assert death_report.members(settings) == {"n1": "a:1", "n4": "d:1"}
