"""The unmodified library as a member: ticked by hand, nothing mended.

It shows that the simulator finds the library's known faults, and so that it would find them again.
Files and clock are left to `library_copy.py`. What must stay true: observing it changes nothing in
it.
"""

import struct
from collections.abc import Callable
from typing import Any

from molecule.raft.changes import Change, Remove
from molecule.raft.configuration import Configuration
from tests.simulation.library_copy import STAGE, library
from tests.simulation.member import Member, MemberStopped, Port, Role, View

_JOURNAL = "/data/journal"
_DUMP = "/data/dump"
_TICK_S = 0.05
_PLAIN_BYTES = 120
_SNAPSHOT_PADDING_BYTES = 8_000

# What the library promises about an entry that it answers with each of its reasons.
_INDEFINITE = (5, 7)


def make_library_factory(*, changes: bool) -> Callable[[Port], Member]:
    """Members of the unmodified library, with or without its changes of members."""

    def factory(port: Port) -> Member:
        try:
            return _LibraryMember(port, changes=changes)
        except (struct.error, IndexError) as error:
            raise MemberStopped(f"the library cannot read its journal: {error}") from error

    return factory


class _LibraryMember:
    """Adapter: world inputs to library callbacks, library effects to the port."""

    def __init__(self, port: Port, *, changes: bool) -> None:
        STAGE.enter(port)
        self._port = port
        self._offers_changes = changes
        self._configuration: Configuration | None = None
        self._connections: dict[str, int] = {}
        parts = _parts()
        self._nodes = {name: parts.node(name, number) for number, name in enumerate(port.voters)}
        self._register = parts.register(port)
        conf = parts.conf(
            autoTick=False,
            dynamicMembershipChange=changes,
            journalFile=_JOURNAL,
            fullDumpFile=_DUMP,
            useFork=False,
            logCompactionMinEntries=1_000_000,
            logCompactionMinTime=1_000_000,
            logCompactionBatchSize=1_000,
        )
        me = self._nodes[port.name]
        others = [node for node in self._nodes.values() if node is not me]
        self._core = parts.core(
            me,
            others,
            conf,
            consumers=[self._register],
            nodeClass=parts.node,
            transportClass=lambda *_: parts.transport(self._send),
        )
        self._transport = self._core._SyncObj__transport
        self._log = self._core._SyncObj__raftLog
        self._core.doTick(0.0)
        self._port.wake_at(self._port.now_s() + _TICK_S)

    def link_up(self, peer: str, connection: int) -> None:
        STAGE.enter(self._port)
        self._connections[peer] = connection
        self._transport._onNodeConnected(self._nodes[peer])

    def link_down(self, peer: str, connection: int) -> None:
        STAGE.enter(self._port)
        if self._connections.get(peer) == connection:
            del self._connections[peer]
            self._transport._onNodeDisconnected(self._nodes[peer])

    def receive(self, peer: str, connection: int, frame: object) -> None:
        if self._connections.get(peer) != connection:
            # The library's transport reads from its newest connection only.
            return
        STAGE.enter(self._port)
        self._transport._onMessageReceived(self._nodes[peer], frame)

    def wake(self) -> None:
        """Nothing but the tick that `settle` does."""

    def settle(self) -> None:
        STAGE.enter(self._port)
        self._core.doTick(0.0)
        self._port.wake_at(self._port.now_s() + _TICK_S)

    def propose(self, data: bytes, ticket: int) -> None:
        STAGE.enter(self._port)

        def ended(index: int | None, reason: int) -> None:
            done = index if reason == 0 else None
            self._port.settled(ticket, done, definite=reason not in _INDEFINITE)

        self._register.put(data, callback=ended)

    def barrier(self, ticket: int) -> None:
        """The library has no fresh reads; its users read on whoever believes to lead."""
        leads = self._core._isLeader()
        self._port.read_from(ticket, self._core.raftLastApplied if leads else None)

    def change(self, change: Change, ticket: int) -> None:
        """The library knows neither learners nor addresses that change; voters can leave."""
        STAGE.enter(self._port)
        if isinstance(change, Remove) and change.node in self._nodes:
            self._core.removeNodeFromCluster(self._nodes[change.node])
        self._port.settled(ticket, None, definite=False)

    def transfer(self, to: str) -> None:
        STAGE.enter(self._port)
        self._core.transferLeadership(self._nodes.get(to))

    def _members(self) -> Configuration | None:
        if not self._offers_changes:
            return None
        voters = [node.id for node in self._core.otherNodes] + [self._port.name]
        if self._configuration is None or set(voters) != set(self._configuration.voter_ids):
            self._configuration = Configuration.formed_of(voters)
        return self._configuration

    def snapshot(self) -> None:
        STAGE.enter(self._port)
        self._core.forceLogCompaction()

    def view(self) -> View:
        leader = self._core._getLeader()
        return View(
            role=(Role.FOLLOWER, Role.CANDIDATE, Role.LEADER)[self._core._SyncObj__raftState],
            term=self._core.raftCurrentTerm,
            leader=None if leader is None else leader.id,
            log_first=self._log[0][1],
            log_last=self._log[-1][1],
            matched=self._matched(),
            configuration=self._members(),
        )

    def log_term(self, index: int) -> int | None:
        place = index - self._log[0][1]
        return self._log[place][2] if 0 <= place < len(self._log) else None

    def _matched(self) -> tuple[tuple[str, int], ...]:
        if not self._core._isLeader():
            return ()
        matched = self._core._SyncObj__raftMatchIndex
        return tuple((node.id, matched[node]) for node in self._nodes.values() if node in matched)

    def _send(self, node: Any, message: dict[str, Any]) -> bool:
        connection = self._connections.get(node.id)
        if connection is None:
            return False
        kind = message["type"]
        if "term" in message:
            self._port.spoke(message["term"])
        if kind == "request_vote":
            self._port.voted(message["term"], self._port.name)
        elif kind == "response_vote":
            self._port.voted(message["term"], node.id)
        elif kind == "next_node_idx" and message["success"]:
            self._port.promised(self._core.raftCurrentTerm, message["next_node_idx"] - 1)
        self._port.send(node.id, connection, message, _size_bytes(message))
        return True


def _size_bytes(message: dict[str, Any]) -> int:
    size = _PLAIN_BYTES
    for entry in message.get("entries", ()):
        size += len(entry[0]) + 20
    serialized = message.get("serialized")
    if serialized:
        size += len(serialized[0])
    return size


class _Parts:
    """Subclasses of the copy's classes, made once."""

    def __init__(self) -> None:
        modules = library()
        self.core = modules.syncobj.SyncObj
        self.conf = modules.syncobj.SyncObjConf
        self.node = Node
        self.transport = _make_transport(modules)
        self.register = _make_register(modules)
        modules.syncobj.createJournal = _make_journal(modules)


_PARTS: list[_Parts] = []


def _parts() -> _Parts:
    if not _PARTS:
        _PARTS.append(_Parts())
    return _PARTS[0]


class Node(library().node.Node):  # type: ignore[misc] # the copy of the library has no types
    """A voter; its hash is its number, so that sets of voters have one order in every run."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name)
        self._number = number

    def __hash__(self) -> int:
        return self._number


def _make_transport(modules: Any) -> Any:
    class Transport(modules.syncobj.Transport):  # type: ignore[misc] # as above
        """Gives each message to the member and forgets it."""

        def __init__(self, send: Callable[[Any, dict[str, Any]], bool]) -> None:
            super().__init__(None, None, ())
            self._send_message = send

        def send(self, node: Any, message: dict[str, Any]) -> bool:
            return self._send_message(node, message)

    return Transport


def _make_register(modules: Any) -> Any:
    class Consumer(modules.syncobj.SyncObjConsumer):  # type: ignore[misc] # as above
        """The register as the library's replicated object."""

        def __init__(self, port: Port) -> None:
            self.port = port
            super().__init__()

        def _serialize(self) -> dict[str, bytes]:
            return {"content": self.port.register.dump() + b" " * _SNAPSHOT_PADDING_BYTES}

        def _deserialize(self, data: dict[str, bytes]) -> None:
            self.port.register.load(data["content"])
            self.port.loaded(self.port.register.applied)

        @modules.syncobj.replicated  # type: ignore[untyped-decorator] # as above
        def put(self, data: bytes) -> int:
            index = self._syncObj.raftLastApplied + 1
            log = self._syncObj._SyncObj__raftLog
            term, now = log[index - log[0][1]][2], self._syncObj._SyncObj__raftCurrentTerm
            self.port.applied(index, term, data, in_term=now)
            return int(index)

    return Consumer


def _make_journal(modules: Any) -> Any:
    class Journal(modules.journal.FileJournal):  # type: ignore[misc] # as above
        """The library's own file journal, which tells what it cuts."""

        def deleteEntriesFrom(self, entryFrom: int) -> None:  # noqa: N803
            for _, index, term in self[entryFrom:]:
                STAGE.port.cut(index, term, in_term=self.getCurrentTerm())
            super().deleteEntriesFrom(entryFrom)

    return Journal
