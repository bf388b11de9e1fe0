"""What a replica wants done: plain values, carried out by a shell.

The replica decides, `driver.py` and the simulator act. Everything here is durable enough to leave
the process at the moment it is handed out.
"""

from dataclasses import dataclass, field
from typing import Literal

from molecule.raft.configuration import Configuration


@dataclass(frozen=True, slots=True, order=True)
class SnapshotMark:
    """The state after the entry `index`, which was written in `term`."""

    index: int
    term: int
    configuration: Configuration | None = field(default=None, compare=False)
    """The newest at or below the index; None while the cluster stands as it was formed."""


@dataclass(frozen=True, slots=True)
class Committed:
    """An entry that is committed and durable here, in order, each index once.

    Empty data: nothing for the state machine.
    """

    index: int
    term: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Role:
    """Who leads, as far as this voter knows."""

    term: int
    leader: str | None
    is_leader: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """One serialized `RaftFrame` for a peer.

    Drop it when `connection` is no longer the peer's link.
    """

    peer: str
    connection: int
    data: bytes


Failure = Literal["definite", "indefinite"]
"""`definite`: it will never be committed. `indefinite`: it may have been, or may still be."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of a proposal: its index, or how it failed."""

    ticket: int
    index: int | None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class BarrierAnswer:
    """The end of a barrier: read once `index` is applied here.

    None: this node does not lead (any more).
    """

    ticket: int
    index: int | None


@dataclass(slots=True)
class Outbox:
    """The result of one round. The shell does everything in it, in any order, then waits."""

    frames: list[Frame] = field(default_factory=list)
    committed: list[Committed] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    barriers: list[BarrierAnswer] = field(default_factory=list)
    role: Role | None = None
    """Set when it changed."""
    configuration: Configuration | None = None
    """The one in force, committed or not; set when it changed."""
    sync_to: int | None = None
    """Take `journal.take_write()`, carry it out off the loop, then call `synced`."""
    allocate: bool = False
    """Take `journal.take_allocation()`, carry it out off the loop, then call `allocated`."""
    snapshots_wanted: list[str] = field(default_factory=list)
    """Peers that need a snapshot; call `snapshot_sent` when each ended."""
    save_formation: bool = False
    """Save `formation.record()` durably, then call `formation_saved`."""
    wake_at: float = 0.0
    is_refused: bool = False
    """With `fatal`: the others refuse this node, and starting again would end the same way."""
    fatal: str | None = None
    """The node must stop and must not be called again."""
