# ruff: noqa: SLF001, N802  # the core has no public seam for what must be guarded; its names are camel case
"""The one file that imports PySyncObj: the Raft core, used as a state machine that we tick.

Clock, chance, journal and transport are replaced; its snapshots, membership, pickle and sockets
are never reached. It refuses to run on any other version, because it relies on private names.
"""

import _socket
import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

from pysyncobj import syncobj
from pysyncobj.config import SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport
from pysyncobj.version import VERSION

from molecule.model.errors import BrokenInvariant, invariant
from molecule.raft.journal import Journal
from molecule.raft.journal_view import JournalView
from molecule.raft.settings import Bounds, Guards, Timing

SUPPORTED_VERSION: Final = "0.3.17"
Message = dict[str, Any]
"""What the core says to another core."""

_NEVER: Final = 1e18
_FOLLOWER: Final = 0
_CANDIDATE: Final = 1
_LEADER: Final = 2
_LIBRARY_FALLBACK_SECONDS: Final = 30.0
_REPLACED: Final = ("monotonicTime", "random", "createPoller", "createJournal", "pickle")
_METHODS: Final = (
    "_SyncObj__applyLogEntries",
    "_SyncObj__generateRaftTimeout",
    "_SyncObj__getCurrentLogIndex",
    "_SyncObj__onMessageReceived",
    "_SyncObj__sendAppendEntries",
    "_SyncObj__tryLogCompaction",
    "_applyCommand",
    "_checkCommandsToApply",
    "doTick",
)
_ATTRIBUTES: Final = (
    "_SyncObj__connectedNodes",
    "_SyncObj__lastResponseTime",
    "_SyncObj__newAppendEntriesTime",
    "_SyncObj__otherNodes",
    "_SyncObj__raftCommitIndex",
    "_SyncObj__raftCurrentTerm",
    "_SyncObj__raftElectionDeadline",
    "_SyncObj__raftLastApplied",
    "_SyncObj__raftLeader",
    "_SyncObj__raftLog",
    "_SyncObj__raftMatchIndex",
    "_SyncObj__raftNextIndex",
    "_SyncObj__raftState",
    "_SyncObj__readonlyNodes",
)


class UnsupportedLibrary(RuntimeError):
    """The installed PySyncObj is not the one this boundary was written for."""


def verify_library(version: str = VERSION, module: Any = syncobj) -> None:
    """Raise UnsupportedLibrary unless version and private names are those this file relies on."""
    if version != SUPPORTED_VERSION:
        raise UnsupportedLibrary(
            f"pysyncobj {version} is installed, but exactly {SUPPORTED_VERSION} is needed;"
            f" run: pip install pysyncobj=={SUPPORTED_VERSION}"
        )
    missing = [name for name in _REPLACED if not hasattr(module, name)]
    missing += [name for name in _METHODS if not hasattr(module.SyncObj, name)]
    _refuse_missing(missing)


def _refuse_missing(missing: list[str]) -> None:
    if missing:
        raise UnsupportedLibrary(
            f"the installed pysyncobj calls itself {SUPPORTED_VERSION}"
            f" but lacks {', '.join(missing)}; reinstall it from its released package"
        )


@dataclass(slots=True)
class _World:
    """The clock, chance and journal of the core that is running; set before each call into it."""

    now: float = 0.0
    chance: random.Random = field(default_factory=random.Random)
    journal: JournalView | None = None


_world = _World()


class _NoPoller:
    """The core polls its sockets; there are none."""

    def poll(self, _timeout: float) -> None:
        """Return at once."""


class _NoPickle:
    """No pickle is ever loaded or made."""

    def __getattr__(self, name: str) -> Any:
        raise BrokenInvariant(f"the core reached for pickle.{name}")


def _replace_globals() -> None:
    syncobj.monotonicTime = lambda: _world.now
    syncobj.random = SimpleNamespace(random=lambda: _world.chance.random())  # noqa: PLW0108 - others come
    syncobj.createPoller = lambda _kind: _NoPoller()
    syncobj.createJournal = lambda _file: _world.journal
    syncobj.pickle = _NoPickle()
    # It puts one for Windows in its place, on every system and for the whole process.
    socket.inet_ntop = _socket.inet_ntop


verify_library()
_replace_globals()


class _Voter(Node):  # type: ignore[misc]  # the library has no types
    """A member whose hash is the same in every process, so that sets of members keep one order."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._hash = int.from_bytes(name.encode()[-7:], "big")

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.id == other.id


class _Wire(Transport):  # type: ignore[misc]  # the library has no types
    """Collects what the core says; a peer just sent an append is out of reach until it answers."""

    ready = True

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self.sent: list[tuple[str, Message]] = []
        self.reachable: set[Node] = set()
        self.one_append_in_flight = True

    def send(self, node: Node, message: Message) -> bool:
        self.sent.append((node.id, message))
        if self.one_append_in_flight and message["type"] == "append_entries":
            self.reachable.discard(node)
        return True

    def deliver(self, node: Node, message: Message) -> None:
        self._onMessageReceived(node, message)

    def addNode(self, _node: Node) -> None:
        raise BrokenInvariant("the core tried to add a voter")

    def dropNode(self, _node: Node) -> None:
        raise BrokenInvariant("the core tried to remove a voter")

    def destroy(self) -> None:
        """Nothing to close."""


class _Machine(syncobj.SyncObj):  # type: ignore[misc]  # the library has no types
    """The library's class with the few private steps replaced that must not be its own."""

    def __init__(self, me: Node, others: list[Node], conf: SyncObjConf, *, own_timer: bool) -> None:
        self.log_cap: int | None = None
        self.own_timer = own_timer
        super().__init__(me, others, conf=conf, nodeClass=_Voter, transport=_Wire())

    def _SyncObj__generateRaftTimeout(self) -> float:
        # With pre-votes the core never campaigns by its own clock.
        if self.own_timer:
            return _NEVER
        timeout: float = super()._SyncObj__generateRaftTimeout()
        return timeout

    def _SyncObj__getCurrentLogIndex(self) -> int:
        last: int = self._SyncObj__raftLog[-1][1]
        return last if self.log_cap is None else min(last, self.log_cap)

    def _SyncObj__applyLogEntries(self) -> bool:
        # Comes right behind the counting of acknowledgements, the only place that the cap is for.
        self.log_cap = None
        self._SyncObj__raftLastApplied = self._SyncObj__raftCommitIndex
        return False

    def _SyncObj__tryLogCompaction(self) -> None:
        """Snapshots are ours."""


class Core:
    """One voter's elections, terms, log matching and commit; `sent()` is what it wants to send.

    Knows of nobody before `reconfigure`.
    """

    def __init__(
        self,
        *,
        me: str,
        journal: Journal,
        timing: Timing,
        guards: Guards,
        bounds: Bounds,
        seed: int,
        now: float,
    ) -> None:
        self._me = _Voter(me)
        self._nodes = {me: self._me}
        self._journal = journal
        self._guards = guards
        self._chance = random.Random(seed)  # noqa: S311  # spreads timeouts, guards nothing
        self._enter(now)
        _world.journal = JournalView(journal, bounds)
        self._machine = _Machine(
            self._me, [], _conf(timing, guards, bounds), own_timer=guards.pre_vote
        )
        missing = [name for name in _ATTRIBUTES if not hasattr(self._machine, name)]
        _refuse_missing(missing)
        self._machine._SyncObj__raftLastApplied = self._machine._SyncObj__raftCommitIndex
        self._wire: _Wire = self._machine._SyncObj__transport
        self._wire.reachable = self._machine._SyncObj__connectedNodes
        self._wire.one_append_in_flight = guards.one_append_in_flight

    def reconfigure(self, now: float, *, voters: Iterable[str], learners: Iterable[str]) -> None:
        """Count these voters and send to these learners too, from now on.

        One that is no voter itself never campaigns; it still grants votes to those who ask.
        """
        self._enter(now)
        machine = self._machine
        others = {self._node(name) for name in voters}
        campaigns_itself = not self._guards.pre_vote and self._me in others
        if machine.own_timer == campaigns_itself:
            machine.own_timer = not campaigns_itself
            machine._SyncObj__raftElectionDeadline = now + machine._SyncObj__generateRaftTimeout()
        others.discard(self._me)
        readers = {self._node(name) for name in learners} - {self._me}
        before = machine._SyncObj__otherNodes | machine._SyncObj__readonlyNodes
        machine._SyncObj__otherNodes = others
        machine._SyncObj__readonlyNodes = readers
        next_index, match_index = machine._SyncObj__raftNextIndex, machine._SyncObj__raftMatchIndex
        heard = machine._SyncObj__lastResponseTime
        for gone in before - others - readers:
            for known in (next_index, match_index, heard):
                known.pop(gone, None)
        for new in (others | readers) - before:
            next_index[new] = self._journal.last_index + 1
            match_index[new], heard[new] = 0, now

    def _node(self, name: str) -> _Voter:
        return self._nodes.get(name) or self._nodes.setdefault(name, _Voter(name))

    def _enter(self, now: float) -> None:
        _world.now = now
        _world.chance = self._chance

    # --- what it knows ------------------------------------------------------------------------

    @property
    def term(self) -> int:
        """The current term."""
        term: int = self._machine._SyncObj__raftCurrentTerm
        return term

    @property
    def is_leader(self) -> bool:
        """It won the election of its term and did not step down."""
        return bool(self._machine._SyncObj__raftState == _LEADER)

    @property
    def is_candidate(self) -> bool:
        """It asked for votes in its term."""
        return bool(self._machine._SyncObj__raftState == _CANDIDATE)

    @property
    def leader_id(self) -> str | None:
        """The leader of its term, if it heard of one."""
        leader = self._machine._SyncObj__raftLeader
        return None if leader is None else str(leader.id)

    @property
    def commit_index(self) -> int:
        """The last index it knows to be committed."""
        index: int = self._machine._SyncObj__raftCommitIndex
        return index

    @property
    def election_deadline(self) -> float:
        """When it campaigns by itself; never with pre-votes."""
        deadline: float = self._machine._SyncObj__raftElectionDeadline
        return deadline

    def next_index(self, peer: str) -> int:
        """As leader: the first entry it would send to this peer."""
        index: int = self._machine._SyncObj__raftNextIndex[self._node(peer)]
        return index

    def match_index(self, peer: str) -> int:
        """As leader: the last entry this peer acknowledged."""
        index: int = self._machine._SyncObj__raftMatchIndex.get(self._node(peer), 0)
        return index

    def sent(self) -> list[tuple[str, Message]]:
        """What it said since the last call, in order."""
        sent, self._wire.sent = self._wire.sent, []
        return sent

    # --- what happens to it -------------------------------------------------------------------

    def receive(self, now: float, peer: str, message: Message, reachable: Iterable[str]) -> None:
        """Hear a message of a peer."""
        self._enter(now)
        self._reach(reachable)
        self._wire.deliver(self._node(peer), message)

    def tick(
        self, now: float, *, reachable: Iterable[str], send: bool | None, durable_index: int
    ) -> None:
        """Count acknowledgements.

        Send appends to `reachable` if `send`, by the library's own clock if None.
        """
        self._enter(now)
        self._reach(reachable)
        if send is not None:
            self._machine._SyncObj__newAppendEntriesTime = -_NEVER if send else _NEVER
        if self.is_leader and self._guards.durable_before_sending:
            self._machine.log_cap = durable_index
        self._machine.doTick()

    def campaign(self, now: float, reachable: Iterable[str]) -> None:
        """Enter the next term and ask for votes."""
        self._machine._SyncObj__raftElectionDeadline = -_NEVER
        self.tick(now, reachable=reachable, send=False, durable_index=0)

    def adopt_term(self, now: float, term: int, peer: str) -> None:
        """Enter a later term as a follower without voting."""
        # The core leaves a term only by messages; this is a request for a vote that cannot win.
        message = {"type": "request_vote", "term": term, "last_log_index": 0, "last_log_term": -1}
        self.receive(now, peer, message, ())

    def step_down(self, now: float) -> None:
        """As leader of more than one voter: become a follower of nobody."""
        heard = self._machine._SyncObj__lastResponseTime
        for node in heard:
            heard[node] = -_NEVER
        self.tick(now, reachable=(), send=False, durable_index=0)
        invariant(not self.is_leader, "the core did not step down")

    def propose(self, now: float, data: bytes) -> int:
        """As leader: put an entry into the log; its index."""
        self._enter(now)
        self._machine._applyCommand(data, None)
        self._machine._checkCommandsToApply()
        return self._journal.last_index

    def heard(self, now: float, peer: str) -> None:
        """As leader: a peer gave a sign of life that is no answer to an append."""
        self._machine._SyncObj__lastResponseTime[self._node(peer)] = now

    def forget_match(self, peer: str) -> None:
        """As leader: what this peer acknowledged on an earlier link counts no more."""
        self._machine._SyncObj__raftMatchIndex[self._node(peer)] = 0

    def _reach(self, reachable: Iterable[str]) -> None:
        self._wire.reachable.clear()
        self._wire.reachable.update(self._node(peer) for peer in reachable)


def _conf(timing: Timing, guards: Guards, bounds: Bounds) -> SyncObjConf:
    return SyncObjConf(
        autoTick=False,
        appendEntriesUseBatch=True,
        # The core cuts an entry of this size into pickled pieces, so it is above the largest entry.
        appendEntriesBatchSizeBytes=bounds.entry_bytes_max + bounds.append_bytes_max + 2,
        appendEntriesPeriod=min(timing.keepalive, timing.election_min / 4),
        raftMinTimeout=timing.election_min,
        raftMaxTimeout=timing.election_max,
        connectionTimeout=timing.election_max * 2,
        leaderFallbackTimeout=(_NEVER / 2 if guards.majority_rounds else _LIBRARY_FALLBACK_SECONDS),
        commandsQueueSize=0,
        commandsWaitLeader=False,
        dynamicMembershipChange=False,
        fullDumpFile=None,
        journalFile=None,
    )
