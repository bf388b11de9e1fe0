"""A parsed and checked process: what the engine walks.

Built by `parse` only; immutable. Every step holds its component, made from its configuration, so
what exists here has passed every check: no unknown field, no expression that does not compile.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from molecule.component.config import Config
from molecule.component.contract import Listening
from molecule.component.spec import Spec
from molecule.expression.expression import Expression, Expressions
from molecule.model.effect import Effect
from molecule.model.ids import ProcessName, StepId


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a user's file; line and column from 1."""

    file: str
    line: int
    column: int


class OnError(StrEnum):
    """What becomes of a document whose step failed after its retries."""

    FAIL_DOCUMENT = "fail_document"
    FAIL = "fail"
    CONTINUE = "continue"
    DROP = "drop"
    DEAD_LETTER = "dead_letter"


class OutputMode(StrEnum):
    """What a step's result does to the document."""

    REPLACE = "replace"
    KEEP = "keep"
    INTO = "into"


@dataclass(frozen=True, slots=True)
class Output:
    """`into` names the field of the document's value that takes the result."""

    mode: OutputMode
    into: str = ""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retry `max_` times after the first try; delays double from `first_ms` up to `cap_ms`."""

    max_: int
    first_ms: int
    cap_ms: int
    errors: tuple[str, ...]
    """Error classes or codes."""


@dataclass(frozen=True, slots=True)
class Verify:
    """How to find out whether a `once` effect happened. Neither condition true: IN_DOUBT."""

    steps: tuple["StepNode", ...]
    done_if: Expression
    not_done_if: Expression | None
    after_ms: int = 0


@dataclass(frozen=True, slots=True)
class StepNode:
    """One step. `path` is the ids from the top (`late/store`); `component` is its instance."""

    id: StepId
    path: str
    type: str
    label: str
    spec: Spec
    kind: str
    """`step` or `operation`."""
    component: Any
    config: Config
    place: Place
    paths: Mapping[str, tuple["StepNode", ...]] = field(default_factory=dict)
    """In file order; `catch` items are `catch.0`, `catch.1`, ..."""
    connection: str | None = None
    when: Expression | None = None
    retry: RetryPolicy | None = None
    timeout_ms: int | None = None
    on_error: OnError = OnError.FAIL
    effect: Effect = Effect.PURE
    """Final: after the override and `target_honours_key`."""
    effect_key: Expression | None = None
    verify: Verify | None = None
    output: Output = Output(OutputMode.REPLACE)

    def all_steps(self) -> Iterator["StepNode"]:
        """The step and every step inside, in file order; those of `verify` last."""
        yield self
        for steps in self.paths.values():
            for inner in steps:
                yield from inner.all_steps()
        for inner in self.verify.steps if self.verify else ():
            yield from inner.all_steps()


@dataclass(frozen=True, slots=True)
class MaxFailed:
    """How many documents may fail before the execution ends FAILED: a number, or a share."""

    count: int = 0
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a process, defaults filled in."""

    failover: str = "resume"
    hold_for_ms: int = 0
    """How long `hold` waits for the node; 0: the cluster's default."""
    isolation: str = "shared"
    concurrency_by: Expression | None = None
    concurrency_limit: int = 0
    priority: int = 0
    require: Mapping[str, str] = field(default_factory=dict)
    prefer: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: int = 0
    expires_ms: int = 0
    dedup_window_ms: int = 0
    crash_budget: int = 3
    on_dead_letter: str = "continue"
    overlap: str = ""
    """Empty: `queue` with a concurrency key, else `allow`."""
    on_park: str = "block"
    share: int = 1
    zone: str = ""
    spread: str = ""
    max_failed: MaxFailed = MaxFailed()
    track: Expressions | None = None
    durability: str = "durable"
    """`volatile`: executions are run and answered, and nothing of them is kept."""


@dataclass(frozen=True, slots=True)
class TriggerNode:
    """The process's trigger, made from its configuration."""

    type: str
    component: Any
    config: Config
    connection: str | None
    place: Place
    consumes: bool
    """True: it must run on exactly one node; False: executions are only asked for (`manual`)."""
    listening: Listening | None = None
    """What the gateways take for it."""


@dataclass(frozen=True, slots=True)
class ProcessDefinition:
    """A whole process. `connections` and `tables` are the names it uses."""

    name: ProcessName
    description: str
    owner: str
    trigger: TriggerNode
    options: Options
    steps: tuple[StepNode, ...]
    connections: tuple[str, ...]
    tables: tuple[str, ...]
    file: str
    calls: tuple[str, ...] = ()
    """Files of the processes whose steps run inside of it."""

    def all_steps(self) -> Iterator[StepNode]:
        """Every step, in file order."""
        for step in self.steps:
            yield from step.all_steps()
