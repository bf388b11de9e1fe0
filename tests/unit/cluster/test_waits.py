"""WAITING ends by a time, a signal or the leader's word; signals are kept until they are taken."""

import pytest

from molecule.cluster.apply import StateMachine
from molecule.cluster.outcome import Applied, Outcome
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId, SignalId
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import NOW_MS, Replica, reason, stored

PENDING, WAITING = ExecutionState.PENDING, ExecutionState.WAITING
GO = wire.Awaited(name="go")


def told(
    replica: Replica,
    execution: str = "e1",
    *,
    signal: str = "s1",
    body: str = "1",
    **fields: object,
) -> Outcome:
    said = {"name": "go", "payload": wire.Payload(inline=b"1"), **fields}
    return replica.say(
        signal_execution=wire.SignalExecution(
            execution=execution,
            signal=signal,
            body_digest=body,
            **said,  # type: ignore[arg-type]  # fields of the message
        )
    )


def release(replica: Replica, number: int = 1) -> Outcome:
    return replica.say(
        release_execution=wire.ReleaseExecution(
            epoch=replica.state.epoch, execution="e1", wait_number=number
        )
    )


def waiting(**fields: object) -> Replica:
    replica = Replica()
    token = replica.start("e1")
    replica.end("e1", token, "WAITING", **fields)
    return replica


def test_a_wait_until_an_instant_ends_then_and_no_sooner() -> None:
    replica = waiting(wait_until_ms=NOW_MS + 5_000, reason="timer")
    assert replica.execution("e1").wait_until_ms == NOW_MS + 5_000
    assert reason(release(replica)) == "too_early"
    replica.at_ms += 5_000
    assert isinstance(release(replica), Applied)
    assert replica.execution("e1").state is PENDING


def test_a_wait_holds_no_slot() -> None:
    replica = waiting(wait_until_ms=NOW_MS + 5_000)
    assert not replica.state.nodes["n1"].held  # type: ignore[index]  # a NodeId
    assert [share.held for share in replica.state.shares.values()] == [0], "nor one of its process"


def test_a_wait_without_a_time_is_never_due_and_ends_by_the_leaders_word() -> None:
    replica = waiting(until_released=True, reason="breaker")
    assert list(replica.state.waits.due(NOW_MS * 2)) == []
    assert isinstance(release(replica), Applied)
    assert replica.execution("e1").state is PENDING


def test_a_signal_ends_the_wait_for_it() -> None:
    replica = waiting(awaited=[GO])
    assert isinstance(told(replica), Applied)
    execution = replica.execution("e1")
    assert (execution.state, execution.reason) == (PENDING, "signal")


def test_another_signal_does_not_and_is_kept() -> None:
    replica = waiting(awaited=[GO])
    told(replica, signal="s2", correlation="other")
    assert replica.execution("e1").state is WAITING
    assert list(replica.execution("e1").signals) == ["s2"]


def test_a_signal_that_came_before_the_wait_ends_it_at_once() -> None:
    replica = Replica()
    replica.submit("e1")
    told(replica)
    assert replica.execution("e1").state is PENDING
    outcome = replica.assign("e1")
    assert isinstance(outcome, Applied)
    replica.end("e1", outcome.value, "WAITING", awaited=[GO])
    assert replica.execution("e1").state is PENDING


def test_a_signal_told_again_changes_nothing_and_with_another_body_is_a_conflict() -> None:
    replica = waiting(awaited=[wire.Awaited(name="other")])
    told(replica)
    again = told(replica)
    assert isinstance(again, Applied)
    assert again.facts["repeated"] is True
    assert len(replica.execution("e1").signals) == 1
    assert reason(told(replica, body="2")) == "key_conflict"


def test_a_checkpoint_takes_a_signal_and_its_payload_is_released() -> None:
    replica = waiting(awaited=[GO])
    told(replica, payload=stored("a" * 64))
    assert "a" * 64 in replica.state.documents
    token = replica.assign("e1")
    assert isinstance(token, Applied)
    replica.checkpoint("e1", token.value, 1, consumed=["s1"])
    assert replica.state.documents == {}
    assert replica.execution("e1").signals[SignalId("s1")].consumed
    again = told(replica, payload=stored("a" * 64))
    assert isinstance(again, Applied)
    assert again.facts["repeated"] is True
    # Taken is taken: the next wait for such a signal needs another one.
    replica.end("e1", token.value, "WAITING", awaited=[GO])
    assert replica.execution("e1").state is WAITING


def test_the_end_drops_signals_nobody_took_and_still_knows_a_repeat() -> None:
    replica = waiting(awaited=[GO])
    told(replica, payload=stored("a" * 64))
    token = replica.assign("e1")
    assert isinstance(token, Applied)
    replica.end("e1", token.value)
    assert replica.state.documents == {}
    again = told(replica, payload=stored("a" * 64))
    assert isinstance(again, Applied)
    assert reason(told(replica, signal="s2")) == "wrong_state"
    assert reason(told(replica, "e9")) == "unknown_execution"


def test_signals_of_an_execution_are_bounded() -> None:
    replica = Replica(signals_per_execution_max=2)
    replica.submit("e1")
    assert isinstance(told(replica, signal="s1"), Applied)
    assert isinstance(told(replica, signal="s2"), Applied)
    assert reason(told(replica, signal="s3")) == "limit"


@pytest.mark.parametrize(("fields", "field"), [({"signal": ""}, "key"), ({"name": ""}, "name")])
def test_a_signal_needs_an_id_and_a_name(fields: dict[str, str], field: str) -> None:
    replica = Replica()
    replica.submit("e1")
    outcome = told(replica, **fields)
    assert reason(outcome) == "invalid"
    assert outcome.facts["field"] == field


def test_with_an_effect_in_doubt_a_signal_waits_for_the_last_possible_request() -> None:
    replica = Replica()
    token = replica.start("e1")
    replica.intend("e1", token, "k1")
    replica.end("e1", token, "WAITING", awaited=[GO])
    told(replica)
    execution = replica.execution("e1")
    assert execution.state is WAITING
    assert execution.wait_until_ms == NOW_MS + 5_000 + 2_750
    assert reason(release(replica)) == "too_early"


def test_the_leader_cannot_end_a_wait_while_a_late_request_may_be_under_way() -> None:
    replica = Replica()
    token = replica.start("e1")
    replica.intend("e1", token, "k1")
    replica.end("e1", token, "WAITING", until_released=True)
    assert reason(release(replica)) == "too_early"
    # Its own deadline is over, but not the lease under which it may have left behind it.
    replica.at_ms += 5_000 + 2_749
    assert reason(release(replica)) == "too_early"
    replica.at_ms += 1
    assert isinstance(release(replica), Applied)


def test_a_restart_gives_back_the_signals_that_the_position_had_taken() -> None:
    replica = Replica()
    replica.deploy("again", failover="restart")
    token = replica.start("e1", process="again")
    told(replica)
    replica.checkpoint("e1", token, 1, consumed=["s1"])
    replica.say(
        report_worker_death=wire.ReportWorkerDeath(
            node="n1",
            incarnation=1,
            held=[wire.ReportWorkerDeath.Held(execution="e1", token=token)],
        )
    )
    assert not replica.execution("e1").signals[SignalId("s1")].consumed


def test_what_waits_and_what_was_told_outlive_a_restart_of_the_replica() -> None:
    replica = waiting(awaited=[GO], wait_until_ms=NOW_MS + 5_000)
    told(replica, signal="s2", correlation="other")
    machine = replica.machine
    twin = StateMachine.restore(
        machine.rows(), index=machine.index, term=1, rolling_hash=machine.rolling_hash
    )
    assert twin.state_hash() == machine.state_hash()
    execution = twin.state.executions[ExecutionId("e1")]
    assert execution.progress == replica.execution("e1").progress
    assert list(twin.state.waits.due(NOW_MS + 5_000)) == ["e1"]
