"""Laws of breakers under any schedule: order, few trials, nobody calls in vain, nobody is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.cluster import gates, invariants
from molecule.cluster.apply import StateMachine
from molecule.cluster.outcome import Applied
from molecule.config import Limits
from molecule.model.execution import ExecutionState
from molecule.scheduler.gates import releases
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import ENVIRONMENT
from tests.unit.cluster.test_gates import a_replica, activate, crm, hold

S = ExecutionState
MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            ("hold", "fail", "well", "wrong", "time", "round", "leader", "cancel", "lost", "again")
        ),
        st.integers(0, 9),
    ),
    max_size=40,
)


class Story:
    """A replica that plays moves, and checks the laws after each."""

    def __init__(self) -> None:
        self.replica = a_replica(slots=100)
        self.submitted = 0

    def play(self, kind: str, number: int) -> None:
        replica = self.replica
        passed = list(crm(replica).passes)
        match kind:
            case "hold" if self.submitted < 30:
                self.submitted += 1
                hold(replica, f"e{self.submitted:02}")
            case "fail":
                self.told(failures=number)
            case "well" if passed:
                name = passed[number % len(passed)]
                self.told(well=name)
            case "wrong" if passed:
                name = passed[number % len(passed)]
                self.told(wrong=name)
                self.come_back(name)
            case "again" if passed:
                self.come_back(passed[number % len(passed)])
            case "time":
                replica.at_ms += (1_000, 15_000, 60_000)[number % 3]
                self.told()
            case "round":
                self.round()
            case "leader":
                replica.say(claim_leadership=wire.ClaimLeadership(node="n1"))
            case "cancel" if replica.state.executions:
                names = sorted(replica.state.executions)
                name = names[number % len(names)]
                replica.say(cancel_execution=wire.CancelExecution(execution=name))
            case "lost" if passed:
                name = passed[number % len(passed)]
                replica.end(name, replica.execution(name).token, "PENDING")
        assert invariants.broken(replica.state) == []

    def told(self, *, failures: int = 0, well: str = "", wrong: str = "") -> None:
        said = wire.RecordCalls(
            environment=ENVIRONMENT,
            connection="crm",
            failures=failures + bool(wrong),
            succeeded=[well] if well else [],
            failed=[wrong] if wrong else [],
        )
        assert isinstance(self.replica.say(record_calls=said), Applied)

    def come_back(self, name: str) -> None:
        if self.replica.execution(name).state is S.ASSIGNED:
            hold(self.replica, name)

    def round(self) -> list[str]:
        """One round: in order, none while it is open, no more trials than it may have."""
        replica = self.replica
        connection = crm(replica)
        waiting = [name for _, name in connection.waiting]
        phase = gates.phase(connection, time_ms=replica.at_ms)
        planned = list(releases(replica.state, time_ms=replica.at_ms, limits=Limits()))
        names = [release.execution for release in planned]
        assert names == sorted(waiting)[: len(names)]
        assert not names or phase != "open"
        for release in planned:
            assert isinstance(replica.say(release_execution=release), Applied)
        fresh = [at for at in connection.passes.values() if at + gates.PASS_MS > replica.at_ms]
        if phase == "half_open":
            assert len(fresh) <= 1 + connection.successes
        for name in names:
            self.assign(name)
        return names

    def assign(self, name: str) -> None:
        replica = self.replica
        node = replica.state.nodes["n1"]  # type: ignore[index]  # a NodeId
        replica.say(
            assign_execution=wire.AssignExecution(
                epoch=replica.state.epoch,
                execution=name,
                node="n1",
                incarnation=node.incarnation,
            )
        )

    def finish(self) -> None:
        """The target works: everybody goes on, and the gate closes."""
        replica = self.replica
        for _ in range(200):
            replica.at_ms += 61_000
            self.told()
            self.round()
            for execution in list(replica.state.executions.values()):
                if execution.state is S.PENDING:
                    self.assign(execution.id)
            for execution in list(replica.state.executions.values()):
                if execution.state is S.ASSIGNED:
                    self.told(well=execution.id)
                    replica.end(execution.id, execution.token, "COMPLETED")
            if not replica.state.executions:
                break
        assert not replica.state.executions
        assert not crm(replica).waiting
        assert not crm(replica).passes


@settings(max_examples=60, deadline=None)
@given(MOVES)
def test_the_laws_of_a_breaker_hold_under_any_schedule(moves: list[tuple[str, int]]) -> None:
    story = Story()
    activate(story.replica, "v2")
    for kind, number in moves:
        story.play(kind, number)
    machine = story.replica.machine
    twin = StateMachine.restore(machine.rows(), index=machine.index, term=1, rolling_hash=b"")
    assert twin.state_hash() == machine.state_hash()
    assert twin.state.connections == machine.state.connections
    story.finish()
