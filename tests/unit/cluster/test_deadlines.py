"""Time-outs, expiry and dedup windows: counted in cluster time, and never against a doubt."""

from typing import Any

from molecule.cluster.apply import StateMachine
from molecule.cluster.outcome import Applied, Outcome
from molecule.config import Limits, Timing
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId
from molecule.model.keys import make_key
from molecule.scheduler.liveness import Liveness
from molecule.scheduler.plan import Moment, plan
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import ENVIRONMENT, NOW_MS, Replica, reason

S = ExecutionState
MINUTE_MS = 60_000


def a_replica(**options: Any) -> Replica:
    replica = Replica()
    replica.deploy("timed", **options)
    return replica


def planned(replica: Replica) -> list[str]:
    """What the leader would fail now."""
    found = plan(
        replica.state,
        Liveness(),
        Moment(0, replica.at_ms),
        timing=Timing(),
        limits=Limits(),
    )
    return [
        item.command.fail_execution.error_code
        for item in found
        if item.command.HasField("fail_execution")
    ]


def fail(replica: Replica, code: str = "timeout", name: str = "e1") -> Outcome:
    return replica.say(
        fail_execution=wire.FailExecution(
            epoch=replica.state.epoch, execution=name, reason=code, error_code=code
        )
    )


def ended(replica: Replica, name: str = "e1") -> ExecutionState:
    return replica.state.ended[ExecutionId(name)].state


def test_a_time_out_is_not_believed_before_its_time() -> None:
    replica = a_replica(timeout_ms=MINUTE_MS)
    replica.start("e1", process="timed")
    assert reason(fail(replica)) == "too_early"
    replica.at_ms += MINUTE_MS
    assert isinstance(fail(replica), Applied)
    assert ended(replica) is S.FAILED


def test_a_time_out_counts_while_it_waits() -> None:
    replica = a_replica(timeout_ms=MINUTE_MS)
    token = replica.start("e1", process="timed")
    replica.end("e1", token, "WAITING", awaited=[wire.Awaited(name="go")])
    replica.at_ms += MINUTE_MS
    assert planned(replica) == ["timeout"]
    assert isinstance(fail(replica), Applied)
    assert ended(replica) is S.FAILED


def test_a_time_out_does_not_count_while_it_is_parked() -> None:
    replica = a_replica(timeout_ms=MINUTE_MS)
    token = replica.start("e1", process="timed")
    replica.intend("e1", token, "k1")
    replica.end("e1", token, "IN_DOUBT")
    replica.at_ms += 100 * MINUTE_MS
    assert planned(replica) == []
    assert reason(fail(replica)) == "wrong_state"
    answer = wire.Answer(effect_key="k1", answer="done")
    replica.say(resolve_effects=wire.ResolveEffects(execution="e1", answers=[answer]))
    assert reason(fail(replica)) == "too_early"
    replica.at_ms += MINUTE_MS
    assert planned(replica) == ["timeout"]


def test_an_execution_without_a_time_out_is_never_failed_by_one() -> None:
    replica = a_replica()
    replica.start("e1", process="timed")
    replica.at_ms += 1_000 * MINUTE_MS
    assert reason(fail(replica)) == "wrong_state"


def test_with_an_effect_in_doubt_a_deadline_fails_nothing() -> None:
    replica = a_replica(timeout_ms=MINUTE_MS)
    token = replica.start("e1", process="timed")
    replica.intend("e1", token, "k1")
    replica.at_ms += 2 * MINUTE_MS
    assert planned(replica) == []
    assert reason(fail(replica)) == "in_doubt"
    assert replica.execution("e1").state is S.ASSIGNED


def test_a_holder_cannot_end_as_failed_while_an_effect_is_in_doubt() -> None:
    replica = a_replica()
    token = replica.start("e1", process="timed")
    replica.intend("e1", token, "k1")
    assert reason(replica.end("e1", token, "FAILED").outcomes[0]) == "effects_open"
    assert isinstance(replica.end("e1", token, "IN_DOUBT").outcomes[0], Applied)


def test_a_deadline_cuts_a_wait_short_so_that_the_doubt_is_asked_about() -> None:
    replica = a_replica(timeout_ms=MINUTE_MS)
    token = replica.start("e1", process="timed")
    replica.intend("e1", token, "k1")
    replica.end("e1", token, "WAITING", wait_until_ms=NOW_MS + 100 * MINUTE_MS)
    replica.at_ms += MINUTE_MS
    assert planned(replica) == ["timeout"]
    outcome = fail(replica)
    assert isinstance(outcome, Applied)
    execution = replica.execution("e1")
    assert (execution.state, execution.wait_until_ms) == (S.WAITING, NOW_MS + MINUTE_MS)
    assert planned(replica) == []
    assert list(replica.state.waits.due(replica.at_ms)) == ["e1"]


def test_not_begun_in_time_it_ends_without_running() -> None:
    replica = a_replica(expires_ms=MINUTE_MS)
    replica.submit("e1", process="timed")
    assert reason(fail(replica, "expired")) == "too_early"
    replica.at_ms += MINUTE_MS
    assert reason(replica.assign("e1")) == "expired"
    assert planned(replica) == ["expired"]
    assert isinstance(fail(replica, "expired"), Applied)
    assert ended(replica) is S.FAILED


def test_what_has_begun_does_not_expire() -> None:
    replica = a_replica(expires_ms=MINUTE_MS)
    token = replica.start("e1", process="timed")
    replica.end("e1", token, "PENDING")
    replica.at_ms += 2 * MINUTE_MS
    assert planned(replica) == []
    assert reason(fail(replica, "expired")) == "wrong_state"
    assert isinstance(replica.assign("e1"), Applied)


def test_the_earliest_of_process_and_submission_counts() -> None:
    replica = a_replica(expires_ms=MINUTE_MS)
    replica.submit("e1", process="timed", expires_in_ms=5_000)
    replica.submit("e2", process="timed", expires_at_ms=NOW_MS + 2_000)
    replica.submit("e3", process="timed", expires_in_ms=5 * MINUTE_MS)
    assert [replica.execution(name).expires_at_ms - NOW_MS for name in ("e1", "e2", "e3")] == [
        5_000,
        2_000,
        MINUTE_MS,
    ]


def test_a_submission_that_is_over_already_is_refused() -> None:
    replica = a_replica()
    assert reason(replica.submit("e1", process="timed", expires_at_ms=NOW_MS - 1)) == "expired"


def test_expiries_outlive_a_restart_of_the_replica() -> None:
    replica = a_replica(expires_ms=MINUTE_MS)
    replica.submit("e1", process="timed")
    machine = replica.machine
    twin = StateMachine.restore(
        machine.rows(), index=machine.index, term=1, rolling_hash=machine.rolling_hash
    )
    assert list(twin.state.expiries.due(NOW_MS + MINUTE_MS)) == ["e1"]


# -- dedup windows


def keyed(replica: Replica, name: str, made_ms: int, process: str = "timed") -> Outcome:
    key = make_key(made_ms, b"0123456789")
    return replica.submit(name, process=process, idempotency_key=key)


def finish(replica: Replica, name: str) -> None:
    outcome = replica.assign(name)
    assert isinstance(outcome, Applied)
    replica.end(name, outcome.value)


def test_a_repeat_while_running_and_after_the_end_gives_the_first_execution() -> None:
    replica = a_replica(dedup_window_ms=MINUTE_MS)
    keyed(replica, "e1", NOW_MS)
    replica.at_ms += 100 * MINUTE_MS
    running = keyed(replica, "e2", NOW_MS)
    finish(replica, "e1")
    replica.at_ms += MINUTE_MS
    after = keyed(replica, "e3", NOW_MS)
    for outcome in (running, after):
        assert isinstance(outcome, Applied)
        assert (outcome.facts["execution"], outcome.facts["repeated"]) == ("e1", True)


def test_after_the_window_of_its_process_a_key_that_holds_its_time_is_too_old() -> None:
    replica = a_replica(dedup_window_ms=MINUTE_MS)
    keyed(replica, "e1", NOW_MS)
    finish(replica, "e1")
    replica.at_ms += MINUTE_MS + 1
    assert reason(keyed(replica, "e2", NOW_MS)) == "too_old"


def test_a_key_that_holds_no_time_is_new_after_the_window() -> None:
    replica = a_replica(dedup_window_ms=MINUTE_MS)
    replica.submit("e1", process="timed", idempotency_key="mine")
    finish(replica, "e1")
    replica.at_ms += MINUTE_MS + 1
    outcome = replica.submit("e2", process="timed", idempotency_key="mine")
    assert isinstance(outcome, Applied)
    assert outcome.facts["execution"] == "e2"


def test_a_longer_window_remembers_longer_than_the_clusters_own() -> None:
    replica = a_replica(dedup_window_ms=24 * 60 * MINUTE_MS)
    keyed(replica, "e1", NOW_MS)
    keyed(replica, "o1", NOW_MS + 1, process="orders")
    finish(replica, "e1")
    finish(replica, "o1")
    replica.at_ms += 2 * 60 * MINUTE_MS
    again = keyed(replica, "e2", NOW_MS)
    assert isinstance(again, Applied)
    assert again.facts["execution"] == "e1"
    assert reason(keyed(replica, "o2", NOW_MS + 1, process="orders")) == "too_old"


def test_how_old_a_new_key_may_be_is_told_by_the_window_of_its_own_process() -> None:
    replica = a_replica(dedup_window_ms=24 * 60 * MINUTE_MS)
    replica.deploy("brief", dedup_window_ms=MINUTE_MS)
    replica.at_ms += 2 * MINUTE_MS
    assert reason(keyed(replica, "b1", NOW_MS, process="brief")) == "too_old"
    replica.at_ms += 2 * 60 * MINUTE_MS
    assert isinstance(keyed(replica, "e1", NOW_MS + 1), Applied)
    assert reason(keyed(replica, "o1", NOW_MS + 2, process="orders")) == "too_old"


def test_a_short_window_of_one_process_makes_keys_of_no_other_too_old() -> None:
    replica = a_replica(dedup_window_ms=MINUTE_MS)
    keyed(replica, "e1", NOW_MS)
    finish(replica, "e1")
    replica.at_ms += 2 * MINUTE_MS
    replica.submit("e9", process="timed")
    assert isinstance(keyed(replica, "o1", NOW_MS - 1, process="orders"), Applied)


def test_a_version_with_a_longer_window_does_not_take_a_forgotten_key_for_new() -> None:
    replica = a_replica(dedup_window_ms=MINUTE_MS)
    keyed(replica, "e1", NOW_MS)
    finish(replica, "e1")
    replica.at_ms += 2 * MINUTE_MS
    replica.submit("e9", process="timed")
    assert list(replica.state.ended) == []
    replica.say(
        put_version=wire.PutVersion(
            process="timed",
            version="v2",
            options=wire.VersionOptions(dedup_window_ms=100 * MINUTE_MS),
        )
    )
    replica.say(
        activate_version=wire.ActivateVersion(
            environment=ENVIRONMENT, process="timed", version="v2"
        )
    )
    assert reason(keyed(replica, "e2", NOW_MS)) == "too_old"


def test_keys_are_bounded_in_number_whatever_their_windows() -> None:
    replica = Replica(dedup_keys_max=2)
    replica.deploy("timed", dedup_window_ms=100 * MINUTE_MS)
    for number, process in enumerate(("timed", "orders", "timed", "orders"), start=1):
        replica.submit(f"e{number}", process=process)
        finish(replica, f"e{number}")
    replica.submit("e5")
    assert list(replica.state.ended) == ["e3", "e4"]


def test_windows_and_what_was_forgotten_outlive_a_restart_of_the_replica() -> None:
    replica = a_replica(dedup_window_ms=MINUTE_MS)
    keyed(replica, "e1", NOW_MS)
    finish(replica, "e1")
    replica.at_ms += 2 * MINUTE_MS
    replica.submit("e2", process="timed")
    finish(replica, "e2")
    replica.submit("o1")
    finish(replica, "o1")
    machine = replica.machine
    twin = StateMachine.restore(
        machine.rows(), index=machine.index, term=1, rolling_hash=machine.rolling_hash
    )
    assert twin.state.windows == machine.state.windows
    assert twin.state.keys_forgotten == machine.state.keys_forgotten
    assert twin.state.keys_forgotten
    assert twin.state_hash() == machine.state_hash()
