"""Stories of single executions and registers in a run in which nothing is wrong.

A story has its clients, its owners, its effects and its lines in the log; chance decides which of
the allowed things happen: answers that never come, owners that die, zombies that speak, repeats.
What must stay true: a story keeps every promise, whatever the seed.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chaos import records as r
from chaos.declared import DeclaredProcess, DeclaredStep
from chaos.record import Record
from chaos.records import Outcome
from molecule.model.effect import Effect
from molecule.model.execution import ExecutionState

NODES = ("n1", "n2", "n3")
LATE_EFFECT_MS = 50
BEGAN_WALL_MS = 1_700_000_000_000
PROCESSES = {
    "orders": DeclaredProcess(
        steps=(
            DeclaredStep(step="note", effect=Effect.IDEMPOTENT),
            DeclaredStep(step="pay", effect=Effect.ONCE),
        )
    ),
    "rows": DeclaredProcess(
        steps=(DeclaredStep(step="put", effect=Effect.IDEMPOTENT, takes_key=True),)
    ),
    "queue": DeclaredProcess(steps=(DeclaredStep(step="tell", effect=Effect.ONCE),), ordered=True),
    "daily": DeclaredProcess(steps=(DeclaredStep(step="ring", effect=Effect.ONCE),)),
}
_PAUSE_US = 400
_LOSSES = (("pending",), ("waiting", "pending"), ("in_doubt", "resolved", "pending"))
"""What is told of an execution between two owners."""


def log_index(at_us: int) -> int:
    """The log grows with the time; what is near each other stands in one entry."""
    return 1 + at_us // 100


@dataclass
class Story:
    """One run as it is written down; only the functions of this file and `good_runs` change it."""

    rng: random.Random
    records: list[Record] = field(default_factory=list)
    operations: int = 0
    tokens: int = 0
    names: int = 0

    def add(self, kind: type[Record], at_us: int, **fields: Any) -> None:
        """Write a record down; the order of the file is made at the end."""
        self.records.append(kind(at_us=at_us, wall_ms=BEGAN_WALL_MS + at_us // 1000, **fields))

    def some(self, low_us: int = 100, high_us: int = 900) -> int:
        """A while."""
        return self.rng.randint(low_us, high_us)

    def chance(self, share: float) -> bool:
        """True in so many cases."""
        return self.rng.random() < share

    def name(self, of: str) -> str:
        """A name that nothing else has."""
        self.names += 1
        return f"{of}{self.names}"

    def ask(self, ask: Any, began_us: int, ended_us: int, **answer: Any) -> None:
        """A request and its answer."""
        self.operations += 1
        number = self.operations
        self.add(r.Invoked, began_us, operation=number, client=f"c{number % 3}", ask=ask)
        self.add(r.Answered, ended_us, operation=number, **answer)


@dataclass
class Told:
    """How an execution went, for what is read at the end."""

    execution: str
    process: str
    key: str
    accepted_us: int
    digest: str = ""
    ended_us: int = 0
    state: ExecutionState = ExecutionState.COMPLETED
    order_key: str = ""
    origin: str = ""
    schedule: str = ""
    nominal_at_ms: int | None = None
    rows: list[r.TimelineRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.origin = self.origin or self.execution

    def row(self, kind: str, at_us: int, **fields: Any) -> None:
        """A line of the timeline."""
        at_ms = BEGAN_WALL_MS + at_us // 1000
        self.rows.append(r.TimelineRow(index=log_index(at_us), at_ms=at_ms, kind=kind, **fields))


def submitted(
    story: Story, process: str, at_us: int, *, order_key: str = "", unknown: float = 0.3
) -> Told | None:
    """Ask for an execution until it is known or given up; None when it was never accepted."""
    key, digest = story.name("key"), story.name("body")
    ask = r.Submit(process=process, idempotency_key=key, digest=digest, order_key=order_key)
    while story.chance(0.15):  # nobody could take it, and said so
        ended_us = at_us + story.some()
        story.ask(ask, at_us, ended_us, outcome=Outcome.REFUSED, code="no_leader")
        at_us = ended_us + story.some()
    is_unknown = story.chance(unknown)
    if is_unknown and story.chance(0.3):
        story.ask(ask, at_us, at_us + 5_000, outcome=Outcome.UNKNOWN)
        return None
    accepted_us = at_us + story.some()
    told = Told(story.name("e"), process, key, accepted_us, digest, order_key=order_key)
    told.row("accepted", accepted_us)
    if is_unknown:
        story.ask(ask, at_us, at_us + 5_000, outcome=Outcome.UNKNOWN)
        at_us += 6_000
        if story.chance(0.3):
            return told  # nobody asks again, and it runs all the same
        accepted_us = at_us + story.some()
    answer = {"outcome": Outcome.OK, "execution": told.execution}
    story.ask(ask, at_us, accepted_us + story.some(), **answer)
    while story.chance(0.2):
        at_us = accepted_us + story.some(1_000, 20_000)
        story.ask(ask, at_us, at_us + story.some(), **answer)
    return told


def run_through(
    story: Story, told: Told, at_us: int, *, moves: float = 0.3, is_lost_first: bool = False
) -> int:
    """Owners take it, lose it, and one of them brings it to its end; when that is."""
    attempt, done, owner = 0, 0, ""
    steps = PROCESSES[told.process].steps
    while True:
        # A hint may have it assigned in the entry of its acceptance.
        at_us += 0 if attempt == 0 and story.chance(0.3) else story.some()
        attempt += 1
        owner = story.rng.choice([node for node in NODES if node != owner])
        story.tokens += 1
        holder = {"node": owner, "token": story.tokens, "attempt": attempt}
        told.row("assigned", at_us, **holder)
        dies = (is_lost_first and attempt == 1) or story.chance(moves)
        for step in steps[done:]:
            at_us += story.some()
            if dies and story.chance(0.5):
                break
            if attempt == 1 or step.effect is not Effect.ONCE or not _is_known(story, told, step):
                _effect(story, told, at_us, step=step)
            at_us += story.some()
            if dies and story.chance(0.5):
                break  # between the effect and its checkpoint
            told.row("step", at_us, **holder, facts={"step": step.step})
            told.row("checkpoint", at_us, **holder)
            _word(story, told, at_us, word="checkpoint", token=story.tokens)
            done += 1
        if not dies:
            break
        at_us += story.some(2_000, 4_000)
        for kind in story.rng.choice(_LOSSES):
            told.row(kind, at_us, **holder, facts={"reason": "lost"})
            at_us += story.some()
        _zombie(story, told, at_us + story.some(50, 900), holder=holder)
    at_us += story.some()
    told.ended_us = at_us
    told.row("ended", at_us, **holder, facts={"state": told.state.value})
    _word(story, told, at_us, word="completion", token=story.tokens)
    return at_us


def cancelled(story: Story, told: Told, at_us: int) -> int:
    """Somebody cancels it under way; a request of its owner arrives a little later all the same."""
    told.state = ExecutionState.CANCELLED
    story.tokens += 1
    holder = {"node": "n1", "token": story.tokens, "attempt": 1}
    told.row("assigned", at_us + 200, **holder)
    at_us += 200 + story.some()
    told.row("ended", at_us, **holder, facts={"state": "CANCELLED"})
    told.ended_us = at_us
    _zombie(story, told, at_us + 300, holder=holder)
    cancel = r.Cancel(execution=told.execution)
    if story.chance(0.3):
        story.ask(cancel, at_us - 50, at_us + 4_000, outcome=Outcome.UNKNOWN)
    else:
        answer = {"outcome": Outcome.OK, "state": ExecutionState.CANCELLED}
        story.ask(cancel, at_us - 50, at_us + 80, **answer)
    if story.chance(0.5):
        late_us = at_us + 80 + story.some(0, LATE_EFFECT_MS * 1000 - 1)
        _effect(story, told, late_us, step=PROCESSES[told.process].steps[0])
    return at_us


def shown(story: Story, told: Told) -> None:
    """Clients look at it; a copy that is old tells an earlier state."""
    for _ in range(story.rng.randint(0, 2)):
        at_us = told.accepted_us + story.some(1_000, 30_000)
        is_old = at_us < told.ended_us or story.chance(0.3)
        state = ExecutionState.ASSIGNED if is_old else told.state
        show = r.Show(execution=told.execution)
        story.ask(show, at_us, at_us + story.some(), outcome=Outcome.OK, state=state)
    at_us = told.ended_us + story.some(1_000, 30_000)
    again = r.Submit(process=told.process, idempotency_key=told.key, digest=told.digest)
    answer = {"execution": told.execution, "state": told.state}
    story.ask(again, at_us, at_us + story.some(), outcome=Outcome.OK, **answer)


def retried(story: Story, told: Told, at_us: int) -> Told:
    """A person has it done again, as an execution of the same origin, with the same effect keys."""
    again = submitted(story, told.process, at_us, unknown=0.0)
    assert again is not None
    again.origin = told.origin
    run_through(story, again, again.accepted_us)
    return again


def _is_known(story: Story, told: Told, step: DeclaredStep) -> bool:
    """The target has heard of it: `verify` says that it is done."""
    return any(
        isinstance(one, r.EffectSeen) and (one.origin, one.step) == (told.origin, step.step)
        for one in story.records
    )


def _effect(story: Story, told: Told, at_us: int, *, step: DeclaredStep) -> None:
    key = f"{told.origin}/{step.step}/d1"
    story.add(
        r.EffectSeen,
        at_us,
        target="recorder",
        effect_key=key,
        origin=told.origin,
        step=step.step,
        digest=f"bytes of {key}",
        applied=not (step.takes_key and _is_known(story, told, step)),
    )


def _word(
    story: Story, told: Told, at_us: int, *, word: str, token: int, accepted: bool = True
) -> None:
    story.add(
        r.Word,
        at_us,
        index=log_index(at_us),
        execution=told.execution,
        word=word,
        token=token,
        accepted=accepted,
    )


def _zombie(story: Story, told: Told, at_us: int, *, holder: dict[str, Any]) -> None:
    """Who lost it speaks once more, and is refused."""
    facts = {"word": "checkpoint", "said_token": holder["token"], "reason": "stale_token"}
    told.row("refused", at_us, **holder, facts=facts)
    _word(story, told, at_us, word="checkpoint", token=holder["token"], accepted=False)


def register(story: Story, name: str, at_us: int, *, operations: int) -> None:
    """Clients read and change a register; each change is at one instant, known to them or not."""
    value: int | None = None
    for point_us, number in _instants(story, at_us, operations):
        began_us, ended_us = point_us - story.some(0, 1500), point_us + story.some(0, 1500)
        is_unknown = story.chance(0.2)
        happens = not is_unknown or story.chance(0.5)
        if is_unknown and story.chance(0.5):
            ended_us = max(began_us, point_us - 100)  # given up before it took effect
        answer: dict[str, Any] = {"outcome": Outcome.UNKNOWN if is_unknown else Outcome.OK}
        ask: Any
        match story.rng.choice(("read", "write", "swap", "refused")):
            case "read":
                ask = r.Read(register_name=name)
                answer["value"] = None if is_unknown else value
            case "write":
                new = None if story.chance(0.1) else number
                ask = r.Write(register_name=name, value=new)
                value = new if happens else value
            case "swap":
                expected = value if story.chance(0.6) else number + 1000
                ask = r.Swap(register_name=name, expected=expected, value=number)
                answer["matched"] = None if is_unknown else expected == value
                value = number if happens and expected == value else value
            case _:
                ask = r.Write(register_name=name, value=number)
                answer = {"outcome": Outcome.REFUSED, "code": "no_leader"}
        story.ask(ask, began_us, ended_us, **answer)
    at_us += 2_000 * operations
    story.ask(r.Read(register_name=name), at_us, at_us + 100, outcome=Outcome.OK, value=value)


def _instants(story: Story, at_us: int, count: int) -> Iterator[tuple[int, int]]:
    for number in range(count):
        at_us += story.some(_PAUSE_US, 1_800)
        yield at_us, number
