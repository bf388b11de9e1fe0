"""A virtual cluster: state machine, planner, liveness and modelled agents under one virtual clock.

The agents are a model of the contract, not of the product's agent: they hold what is assigned to
them, count a lease from the heartbeat they sent, and drop everything when it runs out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from molecule.cluster import bounds, invariants, tokens, views
from molecule.cluster.apply import StateMachine
from molecule.cluster.changes import Changes, Transition
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.config import Limits, Timing
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId, Incarnation, NodeId
from molecule.scheduler.liveness import Liveness
from molecule.scheduler.plan import Moment, plan
from molecule.wire.v1 import commands_pb2 as wire

START_MS = 1_700_000_000_000
ENVIRONMENT = "test"


@dataclass
class Agent:
    """What a node believes: its life, its lease, what it holds."""

    name: str
    life: int = 1
    incarnation: int = 0
    is_cut: bool = False
    is_dead: bool = False
    lease_until_ms: int = 0
    holds: dict[str, int] = field(default_factory=dict)


class World:
    """The cluster of one scenario; each change of an execution is told as a line of `output`."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        self.timing = Timing()
        self.limits = limits or Limits()
        self.machine = StateMachine()
        self.now_ms = 0
        self.leader = ""
        self.liveness = Liveness()
        self.agents: dict[str, Agent] = {}
        self.output: list[str] = []
        self.timeline: list[Any] = []
        self.history: dict[str, dict[str, Any]] = {}
        self.dead_letters: list[Any] = []
        self._where: dict[str, str] = {}
        self._checked_index = -1

    @property
    def state(self) -> Any:
        return self.machine.state

    def propose(self, **kind: Any) -> Outcome:
        """Commit one command and tell what it changed."""
        return self.commit([wire.Command(version=1, **kind)])[0]

    def commit(self, commands: Iterable[wire.Command]) -> tuple[Outcome, ...]:
        """Commit one entry and tell what it changed."""
        entry = wire.Entry(at_ms=START_MS + self.now_ms, commands=commands)
        index = self.machine.index + 1
        result = self.machine.apply_entry(index, 1, entry.SerializeToString(deterministic=True))
        self._tell(result.changes)
        self.check()
        return result.outcomes

    def write(self, name: str, token: int) -> None:
        """A document put for an execution, judged as every voter judges it."""
        execution = self.state.executions[ExecutionId(name)]
        said = "written" if tokens.may_write(execution, token) else "refused stale_token"
        self.output.append(f"document of {name} token={token} {said} current={execution.token}")

    def check(self) -> None:
        """Every invariant holds, and nobody believes to hold what another one holds too."""
        if self._checked_index != self.machine.index:
            # A state that no entry changed since is as good as it was.
            self._checked_index = self.machine.index
            self._check_state()
        owners: dict[str, str] = {}
        for agent in self.agents.values():
            for execution in agent.holds if agent.lease_until_ms > self.now_ms else ():
                assert execution not in owners, f"{execution}: {agent.name}, {owners[execution]}"
                owners[execution] = agent.name

    def _check_state(self) -> None:
        assert invariants.broken(self.state) == []
        twin = StateMachine.restore(
            self.machine.rows(), index=self.machine.index, term=1, rolling_hash=b""
        )
        assert twin.state_hash() == self.machine.state_hash()

    # -- time

    def lead(self, name: str) -> None:
        """Make a node leader: a new epoch, and grace for everybody."""
        self.leader = name
        self.liveness = Liveness()
        outcome = self.propose(
            claim_leadership=wire.ClaimLeadership(
                node=name, life="1", bounds=bounds.to_wire(self.limits, self.timing)
            )
        )
        self.output.append(f"{name} leads epoch={numbered(outcome)}")
        self.beat()

    def register(self, name: str, **options: Any) -> None:
        """A life of the node begins."""
        agent = self.agents.setdefault(name, Agent(name))
        outcome = self.propose(
            register_node=wire.RegisterNode(node=name, life=str(agent.life), voter=True, **options)
        )
        agent.incarnation = numbered(outcome)
        agent.is_dead = False
        self.output.append(f"{name} up incarnation={agent.incarnation}")

    def advance(self, duration_ms: int) -> None:
        """Let time pass, heartbeat by heartbeat."""
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms:
            self.now_ms = min(self.now_ms + self.timing.heartbeat_ms, end_ms)
            self.beat()
            self.settle()

    def beat(self) -> None:
        """One heartbeat of each agent; who hears none for a lease drops what it holds."""
        for agent in self.agents.values():
            reached = self.leader and not agent.is_cut and not agent.is_dead
            if reached:
                agent.lease_until_ms = self.now_ms + self.timing.lease_ms
                self.liveness.hear(
                    NodeId(agent.name), Incarnation(agent.incarnation), now_ms=self.now_ms
                )
                self._reregister(agent)
            elif agent.holds and self.now_ms >= agent.lease_until_ms:
                self.output.append(
                    f"{agent.name} stops {' '.join(sorted(agent.holds))}: lease over"
                )
                agent.holds.clear()
            self.check()

    def settle(self) -> None:
        """Plan and deliver until there is nothing left to plan."""
        self._deliver()
        while self.leader:
            self.liveness.notice(self.state, now_ms=self.now_ms)
            moment = Moment(self.now_ms, START_MS + self.now_ms)
            planned = plan(
                self.state, self.liveness, moment, timing=self.timing, limits=self.limits
            )
            if not planned:
                break
            for item in planned:
                outcome = self.commit([item.command])[0]
                assert isinstance(outcome, Applied) or item.command.WhichOneof("kind") == (
                    "assign_execution"
                ), (item, outcome)
        self._deliver()

    def _reregister(self, agent: Agent) -> None:
        node = self.state.nodes.get(agent.name)
        if node is not None and not node.is_up and node.life == str(agent.life):
            self.register(agent.name, slots=node.slots, labels=node.labels, zone=node.zone)

    def _deliver(self) -> None:
        for agent in self.agents.values():
            if agent.is_cut or agent.is_dead or not self.leader:
                continue
            node = self.state.nodes[agent.name]
            held = node.held if node.incarnation == agent.incarnation else {}
            agent.holds = {name: self.state.executions[name].token for name in held}

    # -- telling

    def _tell(self, changes: Changes) -> None:
        self.timeline.extend(changes.timeline)
        self.dead_letters.extend(changes.dead_letters)
        for row in changes.history:
            self.history[row.execution] = dict(row.view)
        for alarm in changes.alarms:
            self.output.append(f"alarm {alarm.name} {alarm.facts}")
        for transition in changes.transitions:
            self.output.append(self._line(transition))
        for name in changes.triggers:
            trigger = self.state.triggers.get(name)
            where = f"{trigger.node} token={trigger.token}" if trigger else "nobody"
            self.output.append(f"trigger {name[1]} -> {where}")

    def _line(self, transition: Transition) -> str:
        execution, facts = transition.execution, transition.facts
        source = transition.source.value if transition.source else ""
        if source == ExecutionState.ASSIGNED:
            source = f"{source}({self._where[execution]})"
        if transition.target is ExecutionState.ASSIGNED:
            self._where[execution] = str(facts["node"])
        shown = {
            name: value
            for name, value in facts.items()
            if name != "not_chosen" and not (name == "reason" and "token" in facts)
        }
        if "until_ms" in shown:
            shown["until_ms"] -= START_MS
        move = f"{source} -> {transition.target.value}" if source else "accepted"
        return " ".join([execution, move, *told(shown)])

    def view(self, name: str) -> dict[str, Any]:
        """An execution as surfaces show it, live or from history."""
        live = self.state.executions.get(ExecutionId(name))
        return views.execution(self.state, live) if live is not None else self.history[name]


def told(facts: Any) -> list[str]:
    """Facts as `name=value`, without what is empty."""
    return [f"{name}={value}" for name, value in facts.items() if value not in ("", [], {})]


def numbered(outcome: Outcome) -> int:
    """The number that an applied command minted."""
    assert isinstance(outcome, Applied), outcome
    return outcome.value


def answer(outcome: Outcome) -> str:
    """An outcome as one line."""
    head = f"rejected {outcome.reason}" if isinstance(outcome, Rejected) else "applied"
    facts = dict(outcome.facts)
    if "not_before_ms" in facts:
        facts["not_before_ms"] = int(facts["not_before_ms"]) - START_MS
    return " ".join([head, *told(facts)])
