"""Purging what ended long ago: horizons, references, slices, and what is never touched."""

from molecule.cluster.apply import StateMachine
from molecule.cluster.invariants import broken
from molecule.cluster.outcome import Applied
from molecule.model.ids import Digest, ExecutionId
from molecule.model.retention import RetentionClass
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import NOW_MS, Replica, reason, stored

COMPLETED = RetentionClass.COMPLETED_DOCUMENTS
FAILED = RetentionClass.FAILED_DOCUMENTS


def _ended(replica: Replica, name: str, state: str = "COMPLETED", at_ms: int = NOW_MS) -> None:
    replica.at_ms = at_ms
    token = replica.start(name, input=stored(f"input of {name}"))
    replica.end(name, token, state, result=stored(f"result of {name}"))


def _purge(replica: Replica, *, slice_max: int = 100, **horizons: int) -> object:
    said = wire.PurgeEnded(
        epoch=replica.state.epoch,
        slice_max=slice_max,
        horizons=[
            wire.Horizon(retention_class=name, before_ms=at_ms) for name, at_ms in horizons.items()
        ],
    )
    return replica.say(purge_ended=said)


def _documents(replica: Replica) -> list[str]:
    return sorted(replica.state.documents)


def test_input_and_result_stay_referred_to_until_a_purge() -> None:
    replica = Replica()
    _ended(replica, "e1")
    assert _documents(replica) == ["input of e1", "result of e1"]
    replica.at_ms = NOW_MS + 10
    assert _purge(replica, completed_documents=NOW_MS + 1) == Applied(1, {"left": False})
    assert _documents(replica) == []
    assert broken(replica.state) == []


def test_a_purge_takes_only_what_ended_before_its_horizon() -> None:
    replica = Replica()
    _ended(replica, "e1")
    _ended(replica, "e2", at_ms=NOW_MS + 10)
    _purge(replica, completed_documents=NOW_MS + 10)
    assert _documents(replica) == ["input of e2", "result of e2"]


def test_failed_executions_keep_their_documents_by_their_own_time() -> None:
    replica = Replica()
    _ended(replica, "e1", "FAILED")
    replica.at_ms = NOW_MS + 10
    _purge(replica, completed_documents=NOW_MS + 10)
    assert len(_documents(replica)) == 2
    _purge(replica, failed_documents=NOW_MS + 10)
    assert _documents(replica) == []


def test_with_the_history_of_an_execution_its_documents_go() -> None:
    replica = Replica()
    _ended(replica, "e1")
    _ended(replica, "e2", "FAILED")
    replica.at_ms = NOW_MS + 10
    _purge(replica, history=NOW_MS + 10)
    assert _documents(replica) == []


def test_a_purge_goes_in_slices_and_tells_that_more_is_left() -> None:
    replica = Replica()
    for number in range(5):
        _ended(replica, f"e{number}")
    replica.at_ms = NOW_MS + 10
    first = _purge(replica, slice_max=2, completed_documents=NOW_MS + 10)
    assert first == Applied(2, {"left": True})
    assert broken(replica.state) == []
    assert _purge(replica, slice_max=2) == Applied(2, {"left": True})
    assert _purge(replica, slice_max=2) == Applied(1, {"left": False})
    assert _documents(replica) == []


def test_a_document_that_something_else_refers_to_stays() -> None:
    replica = Replica()
    _ended(replica, "e1")
    replica.submit("e2", input=stored("input of e1"))
    replica.at_ms = NOW_MS + 10
    _purge(replica, completed_documents=NOW_MS + 10)
    assert replica.state.documents[Digest("input of e1")].count == 1
    assert broken(replica.state) == []


def test_what_is_in_doubt_or_quarantined_is_never_purged() -> None:
    replica = Replica()
    token = replica.start("e1", input=stored("doubtful"))
    replica.intend("e1", token, "k")
    replica.end("e1", token, "IN_DOUBT")
    replica.deploy("fragile", crash_budget=1)
    token = replica.start("e2", process="fragile", input=stored("poison"))
    held = wire.ReportWorkerDeath.Held(execution="e2", token=token, running_step="s", alone=True)
    replica.say(report_worker_death=wire.ReportWorkerDeath(node="n1", held=[held]))
    assert replica.execution("e2").state == "QUARANTINED"
    replica.at_ms = NOW_MS + 10**11
    _purge(replica, **dict.fromkeys(RetentionClass, replica.at_ms))
    assert _documents(replica) == ["doubtful", "poison"]
    assert {"e1", "e2"} <= set(replica.state.executions)


def test_a_dead_letter_keeps_its_document() -> None:
    replica = Replica()
    token = replica.start("e1")
    letter = wire.DeadLetter(document="d", step="s", payload=stored("the letter"))
    replica.end("e1", token, dead_letters=[letter])
    replica.at_ms = NOW_MS + 10**11
    _purge(replica, **dict.fromkeys(RetentionClass, replica.at_ms))
    assert _documents(replica) == ["the letter"]


def test_a_horizon_never_goes_back_and_never_passes_the_cluster_time() -> None:
    replica = Replica()
    _purge(replica, timelines=NOW_MS + 10**9)
    assert replica.state.horizons[RetentionClass.TIMELINES] == NOW_MS
    _purge(replica, timelines=5)
    assert replica.state.horizons[RetentionClass.TIMELINES] == NOW_MS
    assert broken(replica.state) == []


def test_an_old_leader_purges_nothing() -> None:
    replica = Replica()
    _ended(replica, "e1")
    replica.at_ms = NOW_MS + 10
    said = wire.PurgeEnded(
        epoch=replica.state.epoch - 1 or 99,
        slice_max=10,
        horizons=[wire.Horizon(retention_class=COMPLETED, before_ms=NOW_MS + 10)],
    )
    assert reason(replica.say(purge_ended=said)) == "stale_epoch"
    assert len(_documents(replica)) == 2


def test_a_person_may_purge_and_nobody_may_not() -> None:
    replica = Replica()
    _ended(replica, "e1")
    replica.at_ms = NOW_MS + 10
    horizon = wire.Horizon(retention_class=COMPLETED, before_ms=NOW_MS + 10)
    nobody = wire.PurgeEnded(slice_max=10, horizons=[horizon])
    assert reason(replica.say(purge_ended=nobody)) == "invalid"
    admin = wire.Actor(kind="token", name="admin")
    person = wire.PurgeEnded(slice_max=10, horizons=[horizon], actor=admin)
    assert replica.say(purge_ended=person) == Applied(1, {"left": False})


def test_an_unknown_class_is_refused_and_changes_nothing() -> None:
    replica = Replica()
    assert reason(_purge(replica, everything=NOW_MS)) == "invalid"  # type: ignore[arg-type]
    assert reason(_purge(replica, slice_max=0)) == "invalid"  # type: ignore[arg-type]


def test_what_is_retained_is_the_same_after_a_restore() -> None:
    replica = Replica()
    _ended(replica, "e1")
    _ended(replica, "e2", "FAILED", at_ms=NOW_MS + 5)
    _purge(replica, completed_documents=NOW_MS)
    machine = replica.machine
    again = StateMachine.restore(
        machine.rows(), index=machine.index, term=1, rolling_hash=machine.rolling_hash
    )
    assert again.state.retained == machine.state.retained
    assert again.state.horizons == machine.state.horizons
    assert again.state_hash() == machine.state_hash()


def test_conservation_holds_after_a_purge_of_all() -> None:
    replica = Replica()
    for number in range(3):
        _ended(replica, f"e{number}")
    replica.at_ms = NOW_MS + 10
    _purge(replica, **dict.fromkeys(RetentionClass, replica.at_ms))
    assert broken(replica.state) == []
    assert replica.state.totals["accepted"] == 3


def test_a_key_still_counts_after_its_execution_was_purged() -> None:
    replica = Replica()
    _ended(replica, "e1")
    replica.at_ms = NOW_MS + 10
    _purge(replica, **dict.fromkeys(RetentionClass, replica.at_ms))
    again = replica.submit("other", idempotency_key="key of e1")
    assert isinstance(again, Applied)
    assert again.facts["execution"] == "e1"


def test_late_words_about_a_purged_execution_write_nothing() -> None:
    replica = Replica()
    token = replica.start("e1")
    replica.end("e1", token)
    late = replica.checkpoint("e1", token - 1, 1)
    assert len(late.changes.timeline) == 1
    replica.at_ms = NOW_MS + 10
    _purge(replica, timelines=NOW_MS + 10)
    assert replica.checkpoint("e1", token - 1, 1).changes.timeline == []


def test_an_id_whose_documents_are_kept_is_never_used_again() -> None:
    replica = Replica(dedup_window_ms=1_000)
    _ended(replica, "e1")
    replica.at_ms = NOW_MS + 10_000
    replica.submit("e2")
    assert ExecutionId("e1") not in replica.state.ended
    assert reason(replica.submit("e1", idempotency_key="another")) == "already_exists"
    assert broken(replica.state) == []
