"""A door of the gateway around one node, for tests of what callers may ask of it."""

import hashlib
from pathlib import Path
from typing import Any

import orjson

from molecule.model.errors import (
    MoleculeError,
    NoLeader,
)
from molecule.node.actions import Actions
from molecule.node.addresses import Addresses
from molecule.node.cluster_actions import ClusterActions
from molecule.node.deploy import DeployDoor
from molecule.node.door import DoorService
from molecule.node.holders import Holders
from molecule.node.identify import Identifier
from molecule.node.node_actions import NodeActions
from molecule.node.process_actions import ProcessActions
from molecule.node.reads import Reads
from molecule.node.signals import Signals
from molecule.node.submit import SubmitDoor
from molecule.node.table_actions import TableActions
from molecule.rpc.certificates import KeyPair
from molecule.rpc.documents import MissingDocuments
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import peer_pb2 as p
from tests.adapters.node.one_node import OneNode
from tests.fakes.triggers import untold

TOKEN = "mol_test"
ADMIN = d.Credentials(bearer=TOKEN)


class Call:
    """A call without a deadline."""

    def time_remaining(self) -> float | None:
        return None


def holders(node: OneNode) -> Holders:
    """The only voter, which has every document."""

    async def nothing_is_missing(index: int) -> tuple[int, list[str]]:
        return index, []

    async def nobody(_voter: str, _index: int) -> MissingDocuments:
        raise NoLeader("there is no other voter")

    return Holders(
        me="n1",
        voters=lambda: ["n1"],
        missing_at=nobody,
        missing_here=nothing_is_missing,
        referenced=lambda: (node.state.index, len(node.state.documents)),
    )


class Doors:
    """The door of a node whose copy is `behind` until somebody catches up."""

    leader = "n2"

    def __init__(self, node: OneNode) -> None:
        self.node = node
        self.behind: list[str] = []
        self.caught_up = 0
        self.changes: list[p.ChangeRequest] = []
        self.cut_off = False
        self.change_fails: list[MoleculeError] = []
        """What changes of members fail with, in order; the last one for ever."""
        limits = node.limits
        self.door = DoorService(
            identifier=Identifier(hashlib.sha256(TOKEN.encode()).hexdigest()),
            submit=SubmitDoor(
                node="n1",
                state=lambda: node.state,
                forwarder=node.forwarder,
                payloads=node.payloads,
                ask_worker=node.ask_worker,
                limits=limits,
            ),
            deploy=DeployDoor(
                forwarder=node.forwarder,
                payloads=node.payloads,
                ask_worker=node.ask_worker,
                state=lambda: node.state,
                limits=limits,
            ),
            actions=Actions(forwarder=node.forwarder, state=lambda: node.state, limits=limits),
            nodes=NodeActions(
                forwarder=node.forwarder,
                state=lambda: node.state,
                holders=holders(node),
                limits=limits,
            ),
            tables=TableActions(forwarder=node.forwarder, state=lambda: node.state, limits=limits),
            process_actions=ProcessActions(
                forwarder=node.forwarder, state=lambda: node.state, limits=limits
            ),
            signals=Signals(forwarder=node.forwarder, payloads=node.payloads, limits=limits),
            members=self._members(node),
            reads=Reads(
                config=node.config,
                state=lambda: node.state,
                store=node.store,
                payloads=node.payloads,
                leader=lambda: "n1",
                members=lambda: {"voters": ["n1"], "learners": []},
                triggers=untold(),
            ),
            replica=node.replica,
            store=node.store,
            payloads=node.payloads,
            health=lambda: {"ready": True},
            metrics=lambda: b"molecule_build_info 1\n",
            read_behind=self._catch_up,
            until_applied=self._until_applied,
            limits=limits,
        )

    def _members(self, node: OneNode) -> ClusterActions:
        return ClusterActions(
            config=node.config,
            forwarder=node.forwarder,
            state=lambda: node.state,
            addresses=Addresses(node.config),
            holders=holders(node),
            change=self._change,
            leader=lambda: self.leader,
        )

    def with_authority(self, ca: KeyPair) -> None:
        """Give the node the certificate of an authority, without its key."""
        folder = Path(self.node.config.data)
        (folder / "ca.pem").write_bytes(ca.certificate_pem)

    async def act(self, action: str, name: str, **fields: object) -> Any:
        request = d.ActRequest(credentials=ADMIN, action=action, id=name, json=orjson.dumps(fields))
        return orjson.loads((await self.door.Act(request, Call())).json)

    async def _catch_up(self) -> None:
        if self.cut_off:
            raise NoLeader("no majority confirmed the read in time")
        self.caught_up += 1
        behind, self.behind = self.behind, []
        for name in behind:
            await self.node.submit(name)

    async def _change(self, request: p.ChangeRequest) -> int:
        self.changes.append(request)
        if self.change_fails:
            raise self.change_fails.pop(0) if self.change_fails[1:] else self.change_fails[0]
        return 1

    async def _until_applied(self, _index: int) -> None:
        return

    async def read(
        self, resource: str, name: str = "", *, bearer: str = TOKEN, **query: str
    ) -> Any:
        request = d.ReadRequest(
            credentials=d.Credentials(bearer=bearer), resource=resource, id=name, query=query
        )
        return orjson.loads((await self.door.Read(request, Call())).json)
