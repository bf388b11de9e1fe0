"""Breakers: what opens them, who waits, who is let through, and what closes them again."""

import pytest

from molecule.cluster import gates, invariants
from molecule.cluster.apply import StateMachine
from molecule.cluster.connection import Connection
from molecule.cluster.outcome import Applied, Outcome
from molecule.config import Limits
from molecule.model import instants
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId
from molecule.scheduler import standing
from molecule.scheduler.gates import releases
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import ENVIRONMENT, Replica, reason

S = ExecutionState
CRM = wire.GatePolicy(connection="crm", failures=3, within_ms=10_000, open_ms=60_000)
LIMITED = wire.GatePolicy(connection="crm", rate_limit=2, rate_per_ms=1_000)


def a_replica(*policies: wire.GatePolicy, slots: int = 20) -> Replica:
    replica = Replica(nodes=1, slots=slots)
    replica.say(
        put_version=wire.PutVersion(
            process="orders",
            version="v2",
            options=wire.VersionOptions(gates=policies or (CRM,)),
            package=wire.Payload(inline=b"package"),
        )
    )
    activate(replica, "v2")
    return replica


def activate(replica: Replica, version: str) -> None:
    replica.say(
        activate_version=wire.ActivateVersion(
            environment=ENVIRONMENT, process="orders", version=version
        )
    )


def crm(replica: Replica) -> Connection:
    return replica.state.connections[ENVIRONMENT, "crm"]


def told(
    replica: Replica,
    failures: int = 0,
    *,
    well: tuple[str, ...] = (),
    wrong: tuple[str, ...] = (),
) -> Outcome:
    said = wire.RecordCalls(
        environment=ENVIRONMENT,
        connection="crm",
        failures=failures + len(wrong),
        succeeded=well,
        failed=wrong,
    )
    return replica.say(record_calls=said)


def hold(replica: Replica, *names: str, gate: str = "crm") -> None:
    """Each runs, comes to the closed gate and waits before it."""
    for name in names:
        if ExecutionId(name) not in replica.state.executions:
            replica.start(name, version="v2")
        token = replica.execution(name).token
        replica.end(name, token, "WAITING", reason="breaker", until_released=True, gate=gate)


def go_on(replica: Replica) -> list[str]:
    """One round of the planner, committed: who was let through, and each runs."""
    planned = list(releases(replica.state, time_ms=replica.at_ms, limits=Limits()))
    for release in planned:
        assert isinstance(replica.say(release_execution=release), Applied)
    for release in planned:
        node = replica.state.nodes["n1"]  # type: ignore[index]  # a NodeId
        replica.say(
            assign_execution=wire.AssignExecution(
                epoch=replica.state.epoch,
                execution=release.execution,
                node="n1",
                incarnation=node.incarnation,
            )
        )
    assert invariants.broken(replica.state) == []
    return [release.execution for release in planned]


def end(replica: Replica, *names: str) -> None:
    for name in names:
        replica.end(name, replica.execution(name).token, "COMPLETED")


def phase(replica: Replica) -> str:
    return gates.phase(crm(replica), time_ms=replica.state.time_ms)


def test_failures_within_the_window_open_the_breaker() -> None:
    replica = a_replica()
    told(replica, 2)
    assert phase(replica) == "closed"
    told(replica, 1)
    assert phase(replica) == "open"
    assert crm(replica).open_until_ms == replica.at_ms + 60_000


def test_failures_of_long_ago_do_not_count() -> None:
    replica = a_replica()
    told(replica, 2)
    replica.at_ms += 10_000
    told(replica, 2)
    assert phase(replica) == "closed"


def test_an_opened_breaker_is_told_to_people() -> None:
    replica = a_replica()
    said = wire.RecordCalls(environment=ENVIRONMENT, connection="crm", failures=3)
    result = replica.result(record_calls=said)
    assert [alarm.name for alarm in result.changes.alarms] == ["breaker_opened"]


def test_who_waits_holds_no_slot_and_goes_on_only_after_the_time() -> None:
    replica = a_replica()
    told(replica, 3)
    hold(replica, "e1")
    assert replica.execution("e1").state is S.WAITING
    assert not replica.state.nodes["n1"].held  # type: ignore[index]  # a NodeId
    assert go_on(replica) == []
    release = wire.ReleaseExecution(epoch=replica.state.epoch, execution="e1", wait_number=1)
    assert reason(replica.say(release_execution=release)) == "gate_closed"
    replica.at_ms += 60_000
    assert go_on(replica) == ["e1"]


def test_they_go_on_in_the_order_of_acceptance_one_then_two_then_four() -> None:
    replica = a_replica()
    names = [f"e{number}" for number in range(1, 9)]
    for name in names:
        replica.start(name, version="v2")
    told(replica, 3)
    hold(replica, *reversed(names))
    replica.at_ms += 60_000
    told(replica)
    order = []
    while waves := go_on(replica):
        order.append(waves)
        told(replica, well=tuple(waves))
        end(replica, *waves)
    assert order == [["e1"], ["e2", "e3"], ["e4", "e5", "e6", "e7"], ["e8"]]
    assert phase(replica) == "closed"


def test_a_failed_trial_opens_it_again() -> None:
    replica = a_replica()
    hold(replica, "e1", "e2")
    told(replica, 3)
    replica.at_ms += 60_000
    assert go_on(replica) == ["e1"]
    told(replica, wrong=("e1",))
    assert phase(replica) == "open"
    assert crm(replica).trips == 2
    hold(replica, "e1")
    assert [id_ for _, id_ in crm(replica).waiting] == ["e1", "e2"]


def test_a_late_failure_of_one_without_a_pass_does_not_open_it_again() -> None:
    replica = a_replica()
    told(replica, 3)
    replica.at_ms += 60_000
    told(replica, 5)
    assert phase(replica) == "half_open"


def test_one_that_ends_with_its_pass_makes_room_and_proves_nothing() -> None:
    replica = a_replica()
    told(replica, 3)
    hold(replica, "e1", "e2")
    replica.at_ms += 60_000
    assert go_on(replica) == ["e1"]
    replica.say(cancel_execution=wire.CancelExecution(execution="e1"))
    assert phase(replica) == "half_open"
    assert go_on(replica) == ["e2"]


def test_a_lost_holder_keeps_its_pass() -> None:
    replica = a_replica()
    told(replica, 3)
    hold(replica, "e1")
    replica.at_ms += 60_000
    go_on(replica)
    token = replica.execution("e1").token
    replica.end("e1", token, "PENDING", reason="drained")
    assert list(crm(replica).passes) == ["e1"]
    assert invariants.broken(replica.state) == []


def test_a_pass_that_nothing_is_heard_of_does_not_hold_the_others_up() -> None:
    replica = a_replica()
    told(replica, 3)
    hold(replica, "e1", "e2")
    replica.at_ms += 60_000
    assert go_on(replica) == ["e1"]
    assert go_on(replica) == []
    replica.at_ms += gates.PASS_MS
    assert go_on(replica) == ["e2"]


def test_a_paused_process_lets_others_go_first() -> None:
    replica = a_replica()
    told(replica, 3)
    hold(replica, "e1")
    replica.at_ms += 60_000
    paused = wire.PauseProcess(environment=ENVIRONMENT, process="orders", paused=True)
    replica.say(pause_process=paused)
    assert go_on(replica) == []


def test_the_breaker_is_gone_with_its_policy_and_nobody_is_forgotten() -> None:
    replica = a_replica()
    told(replica, 3)
    hold(replica, "e1", "e2")
    replica.say(
        put_version=wire.PutVersion(
            process="orders",
            version="v3",
            options=wire.VersionOptions(gates=[wire.GatePolicy(connection="crm")]),
            package=wire.Payload(inline=b"package"),
        )
    )
    activate(replica, "v3")
    assert phase(replica) == "closed"
    assert go_on(replica) == ["e1", "e2"]


def test_a_gate_that_nobody_knows_holds_nobody_for_ever() -> None:
    replica = a_replica()
    hold(replica, "e1", gate="unknown")
    assert list(replica.state.waits.due(replica.at_ms)) == ["e1"]


def test_a_wait_with_a_time_before_a_gate_ends_by_either() -> None:
    replica = a_replica()
    told(replica, 3)
    token = replica.start("e1", version="v2")
    until_ms = replica.at_ms + 5_000
    replica.end("e1", token, "WAITING", wait_until_ms=until_ms, gate="crm")
    replica.at_ms += 5_000
    release = wire.ReleaseExecution(epoch=replica.state.epoch, execution="e1", wait_number=1)
    assert isinstance(replica.say(release_execution=release), Applied)
    assert crm(replica).passes == {}
    assert invariants.broken(replica.state) == []


@pytest.mark.parametrize("failures", [-1, gates.FAILURES_TOLD_MAX + 1])
def test_senseless_counts_are_refused(failures: int) -> None:
    assert reason(told(a_replica(), failures)) == "invalid"


def test_calls_of_a_connection_without_a_breaker_are_refused() -> None:
    assert reason(told(a_replica(LIMITED), 1)) == "no_breaker"


def permits(replica: Replica, count: int, **fields: object) -> Outcome:
    said = wire.TakePermits(
        environment=ENVIRONMENT,
        connection="crm",
        count=count,
        **fields,  # type: ignore[arg-type]  # fields of the message
    )
    return replica.say(take_permits=said)


def given(outcome: Outcome) -> int:
    assert isinstance(outcome, Applied)
    return outcome.value


def test_permits_are_given_up_to_the_horizon() -> None:
    replica = a_replica(LIMITED)
    # 1.1 s for two calls: 550 ms between them, and none further off than two seconds.
    assert given(permits(replica, 10)) == 4
    assert given(permits(replica, 10)) == 0
    replica.at_ms += 600
    assert given(permits(replica, 10)) == 1


def test_a_pass_is_used_by_a_permit() -> None:
    replica = a_replica(LIMITED)
    hold(replica, "e1")
    assert go_on(replica) == ["e1"]
    permits(replica, 1, executions=["e1"])
    assert crm(replica).passes == {}
    assert invariants.broken(replica.state) == []


def test_no_more_are_let_through_than_there_are_permits() -> None:
    replica = a_replica(LIMITED)
    hold(replica, *(f"e{number}" for number in range(1, 9)))
    assert go_on(replica) == ["e1", "e2", "e3", "e4"]
    assert go_on(replica) == []
    permits(replica, 4, executions=["e1", "e2", "e3", "e4"])
    assert go_on(replica) == []
    replica.at_ms += 600
    assert go_on(replica) == ["e5"]


def test_why_tells_when_one_before_a_gate_may_go_on() -> None:
    replica = a_replica(LIMITED)
    hold(replica, "e1", "e2", "e3")
    given(permits(replica, 4))
    (cause,) = standing.gate(replica.state, "e3")
    # Four are booked, two wait before it: its instant is the seventh, 550 ms from one to the next.
    assert cause.facts["expected_at_ms"] == replica.state.time_ms + 6 * 550
    assert instants.shown(cause.facts["expected_at_ms"]) in cause.text


def test_why_tells_until_when_a_breaker_is_open() -> None:
    replica = a_replica()
    replica.start("e1", version="v2")
    told(replica, 3)
    hold(replica, "e1")
    opened, _ = standing.gate(replica.state, "e1")
    assert instants.shown(crm(replica).open_until_ms) in opened.text


def test_everything_about_a_gate_is_in_the_snapshot() -> None:
    replica = a_replica(
        wire.GatePolicy(
            connection="crm",
            failures=3,
            within_ms=10_000,
            open_ms=60_000,
            rate_limit=50,
            rate_per_ms=1_000,
            rate_burst=5,
        )
    )
    permits(replica, 3)
    told(replica, 3)
    hold(replica, "e1", "e2", "e3")
    replica.at_ms += 60_000
    go_on(replica)
    machine = replica.machine
    twin = StateMachine.restore(machine.rows(), index=machine.index, term=1, rolling_hash=b"")
    assert twin.state_hash() == machine.state_hash()
    assert twin.state.connections == machine.state.connections
