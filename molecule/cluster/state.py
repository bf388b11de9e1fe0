"""What every voter keeps in memory: nodes, deployments, executions, triggers; no payloads.

How it changes is told by `transitions.py` and the `apply_*` modules; everybody else reads. The
indexes at the end of `ClusterState` can be rebuilt from the tables and are never part of a
snapshot.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from molecule.cluster.bounds import Bounds
from molecule.cluster.connection import Connection
from molecule.cluster.due import DueTimes
from molecule.cluster.execution import (
    NO_EPOCH,
    NO_INCARNATION,
    NO_NODE,
    NO_TOKEN,
    Ended,
    Execution,
    PayloadMark,
)
from molecule.cluster.key_rows import Claim, KeyTable, TableName
from molecule.cluster.listener import Listener
from molecule.cluster.loss import Loss
from molecule.model.execution import ExecutionState
from molecule.model.gate import GatePolicy
from molecule.model.ids import (
    Digest,
    Epoch,
    ExecutionId,
    GroupId,
    IdempotencyKey,
    Incarnation,
    NodeId,
    ProcessName,
    Token,
    VersionId,
)
from molecule.model.retention import DOCUMENT_CLASSES, RetentionClass

RULES_VERSION: Final = 1
"""Of the meaning of commands; a changed rule keeps its old branch and raises this by a command."""
TOTALS: Final = ("accepted", "moved", "late_words", "quarantined", "dead_letters", "in_doubt")
"""What transitions count for ever, for metrics; `accepted` is one side of the conservation law."""

Labels = dict[str, str]


@dataclass(slots=True)
class Node:
    """A member as it registered. Only apply changes it."""

    id: NodeId
    life: str
    incarnation: Incarnation
    labels: Labels
    zone: str
    slots: int
    rpc_address: str
    http_address: str
    software: str
    voter: bool
    registered_at_ms: int
    signs: bool = False
    """True when it has the key of the cluster's authority."""
    is_up: bool = True
    is_draining: bool = False
    lost_at_ms: int = 0
    lost_reason: str = ""
    past_lives: tuple[str, ...] = ()
    drain_life: str = ""
    """While it drains: the life that is about to end, or empty when only a person ends it."""
    drain_at_ms: int = 0
    drain_until_ms: int = 0
    drain_actor: str = ""
    drain_index: int = 0
    """Log index of the command by which it drains; 0 while it does not."""
    held: dict[ExecutionId, None] = field(default_factory=dict)
    """What is assigned to it, in the order of the tokens; rebuilt after a restore."""

    @property
    def is_schedulable(self) -> bool:
        """True when it may be given work."""
        return self.is_up and not self.is_draining

    @property
    def slots_free(self) -> int:
        """How many executions it can take now."""
        return self.slots - len(self.held) if self.is_schedulable else 0


@dataclass(frozen=True, slots=True)
class JoinToken:
    """Lets one node in, once. The secret itself is nowhere in the cluster."""

    digest: str
    role: str
    expires_at_ms: int
    actor: str
    used_by: NodeId = NO_NODE
    request: str = ""
    """Digest of what its holder wanted signed: that holder may ask again."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What is known of a node that came by a token, or that has left."""

    node: NodeId
    role: str
    gone: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable deployed copy of a process: what apply and the planner need to know of it."""

    process: ProcessName
    id: VersionId
    failover: str
    keyed: bool
    concurrency_limit: int
    timeout_ms: int
    crash_budget: int
    priority: int
    require: Labels
    prefer: Labels
    has_trigger: bool
    on_dead_letter: str
    tracked: bool
    hold_for_ms: int
    isolation: str
    """`shared`, or `process`: each attempt has a worker of its own."""
    overlap: str
    """`allow`, `queue`, `skip` or `replace`: what a submission does to one that is not over."""
    on_park: str
    """`block` or `pass`: whether what is parked keeps its concurrency key."""
    share: int
    zone: str
    spread: str
    package: PayloadMark
    put_at_ms: int
    actor: str
    expires_ms: int = 0
    """Executions that have not begun so long after they were accepted do not begin; 0: no limit."""
    dedup_window_ms: int = 0
    """How long keys count after the end; 0: the cluster's own window."""
    listener: Listener | None = None
    gates: tuple[GatePolicy, ...] = ()  # of every connection it uses
    durability: str = "durable"  # or `volatile`: its executions never enter the log


@dataclass(frozen=True, slots=True)
class Environment:
    """Where deployments live; its settings are a payload."""

    name: str
    digest: str
    settings: PayloadMark
    put_at_ms: int
    actor: str


@dataclass(frozen=True, slots=True)
class Pause:
    """A person stopped a process: nothing of it starts until it is resumed."""

    at_ms: int
    actor: str
    reason: str
    index: int = 0
    """Log index of the command."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The fact that a version of a process is active in an environment."""

    environment: str
    process: ProcessName
    version: VersionId
    trigger_on: bool
    activated_at_ms: int
    actor: str
    pause: Pause | None = None
    trigger_since_ms: int = 0
    """Since when the trigger is on without a break; 0: it is off."""


@dataclass(frozen=True, slots=True)
class TriggerAssignment:
    """Which node runs the trigger of a deployment, under which token."""

    environment: str
    process: ProcessName
    version: VersionId
    node: NodeId
    incarnation: Incarnation
    token: Token
    assigned_at_ms: int


@dataclass(slots=True)
class Group:
    """The executions of one trigger event. Only apply changes it."""

    id: GroupId
    environment: str
    process: ProcessName
    name: str = ""
    through: int = 0
    closed: bool = False
    rejected: int = 0
    accepted: int = 0
    open: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    dead_letters: int = 0

    @property
    def is_done(self) -> bool:
        """True when the event was read to its end and nothing of it runs any more."""
        return self.closed and self.open == 0


@dataclass(slots=True)
class DocumentUse:
    """How often a stored document is referred to. Only apply counts."""

    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Retained:
    """A terminal execution that still refers to stored documents, until these are purged."""

    id: ExecutionId
    retention_class: RetentionClass
    ended_at_ms: int
    serial: int
    digests: tuple[Digest, ...]


class Lane(NamedTuple):
    """Executions that may be assigned and that the same nodes can run, as they became ready."""

    priority: int
    returned: bool
    """Lost by their node before: they go ahead of fresh ones of the same priority."""
    environment: str
    process: ProcessName
    version: VersionId


class KeyName(NamedTuple):
    """A concurrency key in its scope."""

    environment: str
    process: ProcessName
    key: str


@dataclass(frozen=True, slots=True)
class KeyHold:
    """Why nobody of a key may start: dead letters of `execution`, the first of them, and others."""

    execution: ExecutionId
    dead_letters: int
    held_at_ms: int


@dataclass(slots=True)
class Share:
    """What a process has of the cluster: slots now, and turns since this replica started."""

    open: int = 0
    """Executions that are not terminal."""
    held: int = 0
    token_last: Token = NO_TOKEN
    passed: int = 0
    """Its turns, each counted as one by its weight; who is behind comes first."""


DeploymentName = tuple[str, ProcessName]
VersionName = tuple[ProcessName, VersionId]
Ids = OrderedDict[ExecutionId, None]


@dataclass(slots=True)
class ClusterState:
    """The whole replicated state at one log index. Only apply changes it; nobody else may."""

    index: int = 0
    time_ms: int = 0
    """Cluster time: of the last entry, never going back."""
    rules_version: int = RULES_VERSION
    epoch: Epoch = NO_EPOCH
    leader: NodeId = NO_NODE
    bounds: Bounds = field(default_factory=Bounds)
    claim_former: NodeId = NO_NODE
    """Who led before the newest claim, when that was and how long nobody had led by then."""
    claim_at_ms: int = 0
    claim_leaderless_ms: int = 0
    lease_hold_ms: int = 0
    """The longest lease plus margin that is granted now or may not be over yet."""
    former_leases: tuple[tuple[int, int], ...] = ()
    """Lease plus margin of earlier leaders, and the cluster time until which one may last."""
    token_last: Token = NO_TOKEN
    incarnation_last: Incarnation = NO_INCARNATION
    serial_last: int = 0

    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOTALS, 0))
    counts: dict[ExecutionState, int] = field(
        default_factory=lambda: dict.fromkeys(ExecutionState, 0)
    )
    """Executions by state, moved by transitions; terminal ones count for ever."""

    nodes: dict[NodeId, Node] = field(default_factory=dict)
    join_tokens: dict[str, JoinToken] = field(default_factory=dict)
    admissions: dict[NodeId, Admission] = field(default_factory=dict)
    versions: dict[VersionName, Version] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    deployments: dict[DeploymentName, Deployment] = field(default_factory=dict)
    triggers: dict[DeploymentName, TriggerAssignment] = field(default_factory=dict)
    executions: dict[ExecutionId, Execution] = field(default_factory=dict)
    ended: OrderedDict[ExecutionId, Ended] = field(default_factory=OrderedDict)
    groups: dict[GroupId, Group] = field(default_factory=dict)
    documents: dict[Digest, DocumentUse] = field(default_factory=dict)
    losses: dict[str, Loss] = field(default_factory=dict)
    """Post-mortems of lost lives of nodes, the oldest first."""
    key_holds: dict[KeyName, KeyHold] = field(default_factory=dict)
    """Concurrency keys that are held for dead letters until those are settled."""
    retained: dict[RetentionClass, OrderedDict[ExecutionId, Retained]] = field(
        default_factory=lambda: {name: OrderedDict() for name in DOCUMENT_CLASSES}
    )
    """By class, in the order in which they ended."""
    horizons: dict[RetentionClass, int] = field(
        default_factory=lambda: dict.fromkeys(RetentionClass, 0)
    )
    """What ended before this instant of the cluster's time is purged."""

    connections: dict[tuple[str, str], Connection] = field(default_factory=dict)
    """By environment and name."""

    keys_forgotten: dict[DeploymentName, int] = field(default_factory=dict)
    """Time-bearing idempotency keys made up to here may have been forgotten: too old to be new."""

    keys: dict[IdempotencyKey, ExecutionId] = field(default_factory=dict)
    lanes: dict[Lane, Ids] = field(default_factory=dict)
    key_queues: dict[KeyName, Ids] = field(default_factory=dict)
    """All that hold or want a concurrency key, in order of commit; the first ones hold it."""
    shares: dict[DeploymentName, Share] = field(default_factory=dict)
    turn: int = 0
    """Where the last process stood that got a turn: nobody saves turns up while it has no work."""
    parked: Ids = field(default_factory=OrderedDict)
    waits: DueTimes = field(default_factory=DueTimes)
    deadlines: DueTimes = field(default_factory=DueTimes)
    holds: DueTimes = field(default_factory=DueTimes)
    """Those that wait for one certain node (failover `hold`), by the end of their patience."""
    expiries: DueTimes = field(default_factory=DueTimes)
    """Of executions that never began."""
    key_tables: dict[TableName, KeyTable] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    tables_bytes: dict[str, int] = field(default_factory=dict)
    claim_ends: list[tuple[int, str]] = field(default_factory=list)
    windows: dict[int, Ids] = field(default_factory=dict)
    """Ended executions by the dedup window of their version, in the order in which they ended."""
