"""Records of volatile executions: rows of history, and nothing in the state."""

from typing import Any

from molecule.cluster import views, volatile_views
from molecule.cluster.changes import EntryResult
from molecule.cluster.outcome import Applied
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import NOW_MS, Replica, reason

ID = "v" + "0" * 20


def record(name: str = ID, **fields: Any) -> wire.VolatileRecord:
    defaults: dict[str, Any] = {
        "execution": name,
        "environment": "test",
        "process": "orders",
        "version": "v1",
        "node": "n2",
        "tries": 2,
        "state": "COMPLETED",
        "submitted_at_ms": NOW_MS - 5_000,
        "duration_us": 1_500_000,
        "steps": [wire.StepRecord(step="read", type="http.request", duration_us=7)],
    }
    return wire.VolatileRecord(**defaults | fields)


def say(replica: Replica, *records: wire.VolatileRecord) -> EntryResult:
    return replica.result(record_volatile=wire.RecordVolatile(node="n1", records=records))


def test_a_record_is_a_row_of_history_and_the_state_stays_as_it_was() -> None:
    replica = Replica()
    before = views.conservation(replica.state), len(replica.state.ended)
    replica.machine.take_dirty()
    result = say(replica, record())
    assert result.outcomes == (Applied(1),)
    (row,) = result.changes.history
    assert (row.execution, row.state.value, row.ended_at_ms) == (ID, "COMPLETED", NOW_MS - 3_500)
    view = volatile_views.shown(dict(row.view))
    assert (view["durability"], view["node"], view["attempts"]) == ("volatile", "n2", 2)
    assert [line["kind"] for line in volatile_views.lines(row.view)] == ["step", "ended"]
    assert (views.conservation(replica.state), len(replica.state.ended)) == before
    assert set(result.changes.dirty.marks) <= {("header", "")}


def test_a_recorded_one_has_every_field_that_a_kept_one_has() -> None:
    replica = Replica()
    replica.submit("e1")
    kept = views.execution(replica.state, replica.execution("e1"))
    (row,) = say(replica, record()).changes.history
    assert set(kept) - set(row.view) == {"blocked_by_key"}


def test_what_is_no_sound_record_is_refused_and_nothing_of_it_is_written() -> None:
    for wrong in (
        record("e1"),
        record(state="ASSIGNED"),
        record(process=""),
        record(steps=[wire.StepRecord()] * 101),
    ):
        result = say(Replica(), record(), wrong)
        assert reason(result.outcomes[0]) == "invalid"
        assert result.changes.history == []


def test_instants_stay_within_the_time_of_the_cluster() -> None:
    (row,) = say(Replica(), record(submitted_at_ms=2**62, duration_us=2**62)).changes.history
    assert (row.accepted_at_ms, row.ended_at_ms) == (NOW_MS, NOW_MS)
    (row,) = say(Replica(), record(submitted_at_ms=-5, duration_us=-5)).changes.history
    assert (row.accepted_at_ms, row.ended_at_ms) == (0, 0)


def test_behind_the_horizon_of_history_nothing_is_written() -> None:
    replica = Replica()
    horizon = wire.Horizon(retention_class="history", before_ms=NOW_MS)
    replica.say(
        purge_ended=wire.PurgeEnded(epoch=replica.state.epoch, horizons=[horizon], slice_max=10)
    )
    result = say(replica, record())
    assert result.outcomes == (Applied(0),)
    assert result.changes.history == []


def test_a_version_says_how_durable_it_is() -> None:
    replica = Replica()
    replica.deploy("quotes", durability="volatile")
    shown = {view["process"]: view["durability"] for view in views.deployments(replica.state)}
    assert shown == {"orders": "durable", "quotes": "volatile"}
    refused = replica.say(
        put_version=wire.PutVersion(
            process="q", version="v1", options=wire.VersionOptions(durability="loose")
        )
    )
    assert reason(refused) == "invalid"


def test_why_tells_where_it_ran_and_that_nobody_decided() -> None:
    failed = record(state="FAILED", error_code="crash", error="lost", tries=3)
    (row,) = say(Replica(), failed).changes.history
    told = volatile_views.why(row.view, index=7)
    assert {answer["decided"] for answer in told["answers"]} == {False}
    assert "run at once on n2, try 3" in told["answers"][0]["text"]
    assert told["answers"][1]["text"] == "ended FAILED, crash: lost"
