"""The first line of a history: what a run was to do, on whom, and what it must show at least.

Who runs it declares this before the first request, so that a check knows what to expect without
having seen it. What must stay true: demands can be raised by a run and never lowered to nothing.
"""

from typing import Final, Literal

from pydantic import Field

from chaos.record import Record, Value
from molecule.model.effect import Effect

FORMAT: Final = 1
"""Version of the form of a history; a reader refuses every other."""


class DeclaredStep(Value):
    """A step that calls the recording target once in each execution that completes."""

    step: str
    effect: Effect
    takes_key: bool = False
    """The target applies an effect key once, whatever arrives."""


class DeclaredProcess(Value):
    """What a process of the workload does, as far as the checks rely on it."""

    steps: tuple[DeclaredStep, ...] = ()
    may_be_replaced: bool = False
    """`overlap: replace`: a later submission may end it as CANCELLED."""
    ordered: bool = False
    """Executions with one concurrency key run one after the other (`limit` 1, `on_park: block`)."""
    may_restart: bool = False
    """`failover: restart`: committed steps may be done again."""


class Demands(Value):
    """What a run must show at least, or it proves nothing. The first six are never 0."""

    submissions: int = Field(default=100, ge=1)
    """Acknowledged ones."""
    completed: int = Field(default=100, ge=1)
    effects: int = Field(default=100, ge=1)
    faults: int = Field(default=1, ge=1)
    """Confirmed by their effect, and met by work."""
    unknown_answers: int = Field(default=1, ge=1)
    moved_executions: int = Field(default=1, ge=1)
    late_words: int = Field(default=0, ge=0)
    """Words of former owners, refused: for runs that wake somebody up."""
    register_reads: int = Field(default=0, ge=0)
    ordered_executions: int = Field(default=0, ge=0)
    """Executions that had to wait behind another one of their key, or could have."""
    firings: int = Field(default=0, ge=0)


class Bounds(Value):
    """Numbers of the cluster under test that the checks allow for."""

    late_effect_ms: int = Field(ge=0)
    """Lease, margin and the longest time-out of a step: how long after an execution was taken
    from its owner a request of that owner may still arrive."""
    recovery_ms_max: int | None = None
    """From the end of a fault to the next accepted submission; no bound when it is None."""
    memory_growth_bytes_max: int = 128 * 2**20
    descriptors_growth_max: int = 32
    tasks_growth_max: int = 16
    disk_growth_bytes_max: int = 2**30


class Header(Record):
    """The first line: what was run, on whom, and what it must show."""

    kind: Literal["header"] = "header"
    format: Literal[1] = FORMAT
    seed: int
    commit: str
    workload: str
    nodes: tuple[str, ...] = Field(min_length=1)
    processes: dict[str, DeclaredProcess]
    bounds: Bounds
    demands: Demands = Demands()
    parked_may_remain: bool = False
    """Nobody answers for what is in doubt or quarantined before the end of the run."""
