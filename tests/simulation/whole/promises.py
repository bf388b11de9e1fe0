"""The execution contract, seen from outside: what was committed, what left, what arrived.

Knows the product's words, and none of its decisions. What must stay true: each check is made by
what the world saw, in true time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from molecule.cluster import invariants
from molecule.cluster.changes import EntryResult
from molecule.cluster.outcome import Applied, Outcome
from molecule.cluster.state import ClusterState
from molecule.model.effect import Effect
from molecule.model.execution import TERMINAL, ExecutionState
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as c
from tests.simulation.whole import processes
from tests.simulation.whole.firings import Firings
from tests.simulation.whole.target import Sent

_RECOUNT_EVERY = 40
_TRIES_MAX = 40
"""Three deaths of a worker of its own are allowed, and whatever faults add to them."""
_WORDS = ("record_checkpoint", "record_intents", "confirm_effects", "end_attempt")
Missed = Callable[[str, str], None]


@dataclass(slots=True)
class Known:
    """One execution as the log tells it."""

    process: str
    key: str
    lane: str
    state: ExecutionState
    tokens: list[int] = field(default_factory=list)
    """Of its assignments, in order."""
    begun: int = 0
    """The greatest token that a worker was told to run."""
    tries: int = 0
    """Assignments since it was parked or accepted."""


class Promises:
    """One per run. `missed` records the first broken promise."""

    def __init__(
        self, missed: Missed, arrived: Callable[[str], int], latest_ms: Callable[[], int]
    ) -> None:
        self._missed = missed
        self._arrived = arrived
        self._seen = 0
        self._entries = 0
        self.executions: dict[str, Known] = {}
        self._by_key: dict[str, str] = {}
        self._acknowledged: dict[str, str] = {}
        self._lanes: dict[str, list[str]] = {}
        self._bodies: dict[str, bytes] = {}
        self.firings = Firings(missed, latest_ms)
        self.late_words: dict[str, int] = {}
        self.failed: dict[str, str] = {}
        self.moved = 0
        self.parked = 0
        self.effects = 0

    # The log.

    def applied(
        self,
        index: int,
        data: bytes,
        result: EntryResult,
        said: tuple[Outcome, ...],
        state: ClusterState,
    ) -> None:
        """An entry was applied for the first time anywhere."""
        if index <= self._seen:
            return
        self._seen = index
        commands = c.Entry.FromString(data).commands
        before = {
            name: known.tokens[-1]
            for name, known in self.executions.items()
            if known.state is ExecutionState.ASSIGNED
        }
        given: set[tuple[str, int]] = set(before.items())
        for command, outcome in zip(commands, said, strict=True):
            if not isinstance(outcome, Applied):
                continue
            match command.WhichOneof("kind"):
                case "submit_execution":
                    self._submitted(command.submit_execution, outcome)
                case "activate_version":
                    self.firings.switched(command.activate_version)
        for transition in result.changes.transitions:
            self._moves(transition.execution, transition.source, transition.target, state)
            if transition.target is ExecutionState.ASSIGNED:
                given.add((transition.execution, self.executions[transition.execution].tokens[-1]))
        for command, outcome in zip(commands, said, strict=True):
            kind = command.WhichOneof("kind")
            if kind not in _WORDS:
                continue
            word = getattr(command, kind)
            if not isinstance(outcome, Applied):
                if outcome.reason == "stale_token":
                    self.late_words[kind] = self.late_words.get(kind, 0) + 1
                continue
            if not outcome.facts.get("repeated") and (word.execution, word.token) not in given:
                self._missed(
                    "only the current token commits",
                    f"{kind} of {word.execution} under {word.token} counted, which nobody held",
                )
        self._entries += 1
        if self._entries % _RECOUNT_EVERY == 0:
            self.recount(state)

    def recount(self, state: ClusterState) -> None:
        """Every index and counter of a state equals what its tables say."""
        broken = invariants.broken(state)
        if broken:
            self._missed("the state is consistent with itself", "; ".join(broken[:3]))

    def _submitted(self, word: c.SubmitExecution, outcome: Applied) -> None:
        name = str(outcome.facts.get("execution", word.execution))
        first = self._by_key.setdefault(word.idempotency_key, name)
        if first != name:
            self._missed(
                "the same key is the same execution",
                f"{word.idempotency_key} became {first} and {name}",
            )
        if name not in self.executions:
            known = Known(
                word.process, word.idempotency_key, word.concurrency_key, ExecutionState.PENDING
            )
            self.executions[name] = known
            if word.process == processes.TICKS:
                self.firings.fired(word.idempotency_key)
            if known.lane:
                self._lanes.setdefault(known.lane, []).append(name)

    def _moves(
        self,
        name: str,
        source: ExecutionState | None,
        target: ExecutionState,
        state: ClusterState,
    ) -> None:
        known = self.executions.get(name)
        if known is None:
            self._missed("nothing appears that nobody submitted", f"{name} is {target}")
            return
        if source is not None and known.state is not source:
            self._missed("states follow each other", f"{name} left {source} and was {known.state}")
        if source is not None and known.state in TERMINAL:
            self._missed("a terminal state is never left", f"{name} went to {target}")
        known.state = target
        if target is ExecutionState.ASSIGNED:
            execution = state.executions.get(ExecutionId(name))
            if execution is not None:
                self.moved += bool(known.tokens)
                known.tokens.append(execution.token)
            known.tries += 1
            if known.process == processes.POISON and known.tries > _TRIES_MAX:
                self._missed("poison work is quarantined", f"{name} had {known.tries} tries")
            self._in_order(name, known)
        elif target is ExecutionState.COMPLETED:
            self._all_steps(name, known)
        elif target is ExecutionState.FAILED:
            self.failed[name] = known.process
        elif target not in TERMINAL and target not in (
            ExecutionState.PENDING,
            ExecutionState.WAITING,
        ):
            self.parked += 1
            known.tries = 0

    def _in_order(self, name: str, known: Known) -> None:
        for earlier in self._lanes.get(known.lane, ()):
            if earlier == name:
                return
            if self.executions[earlier].state not in TERMINAL:
                self._missed(
                    "order per key",
                    f"{name} of {known.lane} began while {earlier} is "
                    f"{self.executions[earlier].state}",
                )

    def _all_steps(self, name: str, known: Known) -> None:
        for step in processes.STEPS[known.process]:
            documents = processes.documents_of(known.process, known.key)
            for document in documents:
                key = f"{name}/{step}/{document}"
                if not self._arrived(key):
                    self._missed("completed means all steps", f"{key} never arrived")

    # What clients are told.

    def acknowledged(self, key: str, execution: str) -> None:
        """A client was told that its submission is accepted."""
        first = self._acknowledged.setdefault(key, execution)
        if first != execution:
            self._missed(
                "the same key is the same execution", f"{key}: told {first} and {execution}"
            )
        if execution not in self.executions:
            self._missed("acknowledged means committed", f"{execution} is in no log")

    def cancelled(self, execution: str) -> None:
        """A client was told that this is cancelled."""
        known = self.executions.get(execution)
        if known is None or known.state is not ExecutionState.CANCELLED:
            state = known.state if known is not None else "in no log"
            self._missed("what is cancelled stays so", f"{execution} is {state}")

    def put(self, voter: str, execution: str, token: int, current: int) -> None:
        """A voter took a document of this holder, and knows of another token."""
        if token < current:
            self._missed(
                "only the current token commits",
                f"{voter} took a document of {execution} under {token}, and knows of {current}",
            )

    # What leaves workers and arrives outside.

    def told(self, execution: str, token: int) -> None:
        """A worker was told to run this."""
        known = self.executions.get(execution)
        if known is not None:
            known.begun = max(known.begun, token)

    def leaves(self, execution: str, token: int, sent: Sent) -> None:
        """A request leaves a worker that runs this token."""
        known = self.executions.get(execution)
        if known is None:
            self._missed("nothing appears that nobody submitted", f"{sent.key} leaves")
        elif known.begun > token:
            self._missed(
                "one owner at a time",
                f"{sent.key} leaves {sent.process} under {token} while {known.begun} runs",
            )

    def arrived(self, sent: Sent, count: int) -> None:
        """An effect took place, for the `count`-th time."""
        self.effects += 1
        if sent.effect is Effect.ONCE and count > 1:
            self._missed("once is never repeated", f"{sent.key} arrived {count} times")
        first = self._bodies.setdefault(sent.key, sent.body)
        if first != sent.body:
            self._missed("a repeat sends the same bytes", f"{sent.key} was {first!r} before")

    # The end.

    def open(self) -> list[str]:
        """Executions that are not at their end."""
        return [
            f"{name} is {known.state}"
            for name, known in self.executions.items()
            if known.state not in TERMINAL
        ]

    def lost(self) -> None:
        """Everything that was acknowledged is known."""
        for key, execution in self._acknowledged.items():
            if execution not in self.executions:
                self._missed("acknowledged means committed", f"{key} as {execution} is gone")
