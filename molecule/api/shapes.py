"""Answers of the node process as the OpenAPI document tells them.

The gateway passes the JSON on as it came: these models document it and tests hold the fakes to
them; a newer node may add fields. Instants end in `_at_ms` and are cluster time in milliseconds.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from molecule.api.documentation import ProblemDocument
from molecule.api.execution_parts import AwaitedSignal, Death, Doubt
from molecule.model.execution import ExecutionState


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class ErrorText(_Answer):
    """Why an execution or a document failed."""

    code: str
    message: str


class ResultDocument(_Answer):
    """A document of a result. Bytes stand as `{"$bytes": base64}`."""

    id: str
    value: Any
    media_type: str
    properties: dict[str, Any]


class ExecutionResult(_Answer):
    """What an execution ended with; `documents` when it is COMPLETED."""

    execution: str
    state: ExecutionState
    documents: list[ResultDocument] | None = None
    error: ErrorText | None = None


class Submitted(ExecutionResult):
    """An accepted submission. `repeated_key`: the first answer to a key that was known.

    `durability: volatile`: it ran and ended, and nothing of it is kept.
    """

    idempotency_key: str
    repeated_key: bool
    durability: str | None = None


class BatchResult(_Answer):
    """One of a batch: the fields of a submission when it was accepted, else `problem`."""

    idempotency_key: str
    execution: str | None = None
    state: ExecutionState | None = None
    repeated_key: bool | None = None
    documents: list[ResultDocument] | None = None
    error: ErrorText | None = None
    problem: ProblemDocument | None = None


class BatchAnswer(_Answer):
    """Answers to the submissions of a batch, in their order."""

    accepted: int
    refused: int
    results: list[BatchResult]


class ExecutionHead(_Answer):
    """One row of a list of executions. Empty texts and 0 mean: none."""

    id: str
    durability: str | None = None
    state: ExecutionState
    reason: str
    process: str
    environment: str
    version: str
    node: str
    attempts: int
    track: dict[str, str]
    accepted_at_ms: int
    changed_at_ms: int


class Execution(ExecutionHead):
    """One execution. `error_code`, `error`, `step` and `ended_at_ms` once it has ended.

    `durability: volatile`: one of a sample, recorded after its end; others of its kind are not.
    """

    idempotency_key: str
    concurrency_key: str
    group: str
    origin: str
    actor: str
    priority: int
    token: int
    started_at_ms: int
    deadline_at_ms: int
    expires_at_ms: int = 0
    input_size_bytes: int
    position_size_bytes: int
    sequence: int
    steps: int
    dead_letters: int
    documents_failed: int
    crashes: int
    runs_alone: bool | None = None
    last_death: Death | None = None
    held_for: str | None = None
    held_until_ms: int | None = None
    doubts: list[Doubt]
    wait_until_ms: int | None = None
    awaited: list[AwaitedSignal] | None = None
    blocked_by_key: bool | None = None
    error_code: str | None = None
    error: str | None = None
    step: str | None = None
    ended_at_ms: int | None = None


class TimelineRow(_Answer):
    """One thing that happened, in the order of the log: a state change, a step, a refused word."""

    index: int
    number: int
    at_ms: int
    kind: str
    node: str
    token: int
    attempt: int
    facts: dict[str, Any]


class ExecutionPage(_Answer):
    """One page of executions; `next` is the cursor of the next page, or null at the end."""

    items: list[ExecutionHead]
    next: str | None


class TimelinePage(_Answer):
    """One page of a timeline; `next` is the cursor of the next page, or null at the end."""

    items: list[TimelineRow]
    next: str | None


class DeadLetterHead(_Answer):
    """A document that failed and is kept for repair. `id` is `INDEX.NUMBER` of its log entry."""

    id: str
    at_ms: int
    process: str
    environment: str
    execution: str
    document: str
    step: str
    error_class: str
    error_code: str
    error: str


class DeadLetter(DeadLetterHead):
    """The same with the document as it was when it failed, if the asker may see it."""

    documents: list[ResultDocument] | None = None


class DeadLetterPage(_Answer):
    """One page of dead letters, newest first."""

    items: list[DeadLetterHead]
    next: str | None


class DeploymentShape(_Answer):
    """Which version of a process is active in an environment, and how its trigger fares.

    `trigger_state`: empty (it has none), off, listening, waiting (for a node), starting (its node
    told nothing of it yet), running, failing, unknown (this node hears no leader).
    """

    process: str
    environment: str
    version: str
    activated_at_ms: int
    actor: str
    has_trigger: bool
    trigger_on: bool
    listener: str
    trigger_node: str
    trigger_token: int
    trigger_state: str
    trigger_failures: int
    trigger_last_success_at_ms: int
    trigger_last_error: str
    trigger_last_error_at_ms: int
    failover: str
    timeout_ms: int
    priority: int
    share: int
    overlap: str
    durability: str
    paused: bool
    paused_at_ms: int
    paused_by: str
    pause_reason: str


class HeldKey(_Answer):
    """A concurrency key that is held for dead letters, and how many executions wait for it."""

    environment: str
    process: str
    concurrency_key: str
    execution: str
    dead_letters: int
    held_at_ms: int
    waiting: int


class ProcessPage(_Answer):
    """One page of deployments, by environment and process."""

    items: list[DeploymentShape]
    next: str | None


class VersionShape(_Answer):
    """An immutable version of a process."""

    version: str
    put_at_ms: int
    actor: str


class ProcessShape(_Answer):
    """A process: where which version is active, and every version that is kept."""

    process: str
    deployments: list[DeploymentShape]
    versions: list[VersionShape]
    held_keys: list[HeldKey]


class AppliedProcess(_Answer):
    """A process as it stands in the environment now."""

    process: str
    version: str
    has_trigger: bool
    trigger_on: bool


class Applied(_Answer):
    """What stands after applying files; `warnings` are findings that refused nothing."""

    environment: str
    index: int
    processes: list[AppliedProcess]
    warnings: list[str]


class NodeShape(_Answer):
    """A member of the cluster as it registered, and what it holds."""

    id: str
    incarnation: int
    up: bool
    draining: bool
    drained: bool
    drain_at_ms: int
    drain_until_ms: int
    drain_actor: str
    leader: bool
    voter: bool
    signs: bool
    labels: dict[str, str]
    zone: str
    slots: int
    held: int
    triggers: int
    rpc_address: str
    http_address: str
    software: str
    registered_at_ms: int
    lost_at_ms: int
    lost_reason: str


class NodePage(_Answer):
    """All nodes, by id."""

    items: list[NodeShape]
    next: str | None


class GroupShape(_Answer):
    """How far a trigger event of many records is (a file, say)."""

    id: str
    environment: str
    process: str
    name: str
    through: int
    closed: bool
    rejected: int
    accepted: int
    open: int
    completed: int
    failed: int
    cancelled: int
    dead_letters: int
    done: bool


class LearnerShape(_Answer):
    """A member without a vote yet; numbers are known to the leader only, else 0."""

    id: str
    log_index: int
    log_end: int
    missing_documents: int
    waits_for: str


class ClusterShape(_Answer):
    """The cluster as the node that answers sees it.

    `counts` holds executions by state; `conservation_gap` is what was accepted and is nowhere: 0.
    """

    cluster: str
    leader: str
    epoch: int
    index: int
    time_ms: int
    voters: list[str]
    learners: list[LearnerShape]
    may_lose_voters: int
    nodes: list[NodeShape]
    counts: dict[str, int]
    totals: dict[str, int]
    accepted: int
    conservation: dict[str, int]
    conservation_gap: int
    groups: list[GroupShape]


class Alive(_Answer):
    """Whether the gateway process answers."""

    alive: bool


class Readiness(_Answer):
    """Whether this node takes work, and why not."""

    ready: bool
    started: bool
    draining: bool
    role: str
    reasons: list[str]
    node: str
    leader: str
