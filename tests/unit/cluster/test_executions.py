"""Acceptance, bounds, hints, documents and history of executions."""

from molecule.cluster import views
from molecule.cluster.changes import PayloadRow
from molecule.cluster.outcome import Applied, Rejected
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId
from molecule.model.keys import make_key
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import NOW_MS, Replica, reason, stored


def test_submission_of_an_unknown_process_is_refused() -> None:
    replica = Replica()
    assert reason(replica.submit("e1", process="wishes")) == "unknown_process"
    assert reason(replica.submit("e1", environment="prod")) == "unknown_process"
    assert reason(replica.submit("e1", environment="prod", version="v1")) == "unknown_environment"


def test_submission_may_name_a_version() -> None:
    replica = Replica()
    assert replica.submit("e1", version="v1") == Applied(0, {"execution": "e1", "state": "PENDING"})
    assert reason(replica.submit("e2", version="v2")) == "unknown_process"


def test_submission_without_a_key_is_refused() -> None:
    replica = Replica()
    assert replica.submit("e1", idempotency_key="") == Rejected("invalid", {"field": "key"})
    assert replica.submit("") == Rejected("invalid", {"field": "execution"})


def test_name_of_an_execution_is_used_once() -> None:
    replica = Replica()
    token = replica.start("e1")
    assert reason(replica.submit("e1", idempotency_key="new")) == "already_exists"
    replica.end("e1", token)
    assert reason(replica.submit("e1", idempotency_key="new")) == "already_exists"


def test_bound_on_live_executions_refuses_and_frees() -> None:
    replica = Replica(pending_executions_max=2)
    token = replica.start("e1")
    replica.submit("e2")
    full = replica.submit("e3")
    assert full == Rejected("overloaded", {"limit": "pending_executions_max"})
    replica.end("e1", token)
    assert isinstance(replica.submit("e3"), Applied)


def test_bound_on_keys_forgets_the_oldest_first() -> None:
    replica = Replica(dedup_keys_max=2)
    keys = [make_key(NOW_MS - 4 + number, bytes(10)) for number in range(4)]
    for number, key in enumerate(keys):
        replica.end(f"e{number}", replica.start(f"e{number}", idempotency_key=key))
    replica.submit("last")
    assert [*replica.state.ended] == ["e2", "e3"]
    # The forgotten keys hold their time: they are too old, never new.
    assert reason(replica.submit("again", idempotency_key=keys[0])) == "too_old"
    assert reason(replica.submit("again", idempotency_key=keys[1])) == "too_old"
    assert isinstance(replica.submit("again", idempotency_key=keys[2]), Applied)


def test_key_from_a_fast_clock_is_remembered_until_its_time_has_come() -> None:
    replica = Replica(dedup_keys_max=1)
    fast = make_key(NOW_MS + 30_000, bytes(10))
    replica.end("e1", replica.start("e1", idempotency_key=fast))
    replica.end("e2", replica.start("e2"))
    replica.submit("e3")
    assert replica.submit("again", idempotency_key=fast) == Applied(
        1, {"execution": "e1", "state": "COMPLETED", "repeated": True}
    )
    replica.at_ms = NOW_MS + 40_000
    assert reason(replica.submit("again", idempotency_key=fast)) == "too_old"
    too_fast = make_key(NOW_MS + 140_000, bytes(10))
    assert reason(replica.submit("e4", idempotency_key=too_fast)) == "invalid"


def test_priority_comes_from_the_version_unless_given() -> None:
    replica = Replica()
    replica.deploy("urgent", priority=7)
    replica.submit("e1", process="urgent")
    replica.submit("e2", process="urgent", priority=9)
    assert (replica.execution("e1").priority, replica.execution("e2").priority) == (7, 9)


def test_hint_yields_to_others_of_equal_priority_only() -> None:
    replica = Replica(nodes=1)
    hint = wire.PlacementHint(node="n1", incarnation=1)
    replica.submit("waiting", priority=5)
    replica.submit("equal", priority=5, hint=hint)
    replica.submit("higher", priority=6, hint=hint)
    states = {name: replica.execution(name).state.value for name in ("equal", "higher")}
    assert states == {"equal": "PENDING", "higher": "ASSIGNED"}


def test_payload_rows_follow_the_life_of_an_execution() -> None:
    replica = Replica()
    accepted = replica.result(submit_execution=replica.submission("e1"))
    replica.assign("e1")
    placed = replica.checkpoint("e1", 1, 1, position=wire.Payload(inline=b"here"))
    ended = replica.end("e1", 1, result=wire.Payload(inline=b"done"))

    def slots(rows: list[PayloadRow]) -> list[tuple[str, str, bool]]:
        return [(row.owner, row.slot, row.payload is None) for row in rows]

    assert slots(accepted.changes.payloads) == [("e1", "input", False)]
    assert slots(placed.changes.payloads) == [("e1", "position", False)]
    assert slots(ended.changes.payloads) == [("e1", "result", False), ("e1", "position", True)]
    body = ended.changes.payloads[0].payload
    assert wire.Payload.FromString(body or b"").inline == b"done"


def test_documents_are_counted_until_nothing_refers_to_them() -> None:
    replica = Replica()
    token = replica.start("e1", input=stored("input"))
    replica.checkpoint("e1", token, 1, position=stored("first", 1, "shared"))
    moved = replica.checkpoint("e1", token, 2, position=stored("second", 1, "shared"))
    assert moved.changes.documents == {"first": 0, "shared": 1, "second": 1}
    replica.intend(
        "e1", token, "k", request=wire.DocumentRef(digest="request"), effect="idempotent"
    )
    ended = replica.end("e1", token, result=stored("result"))
    assert ended.changes.documents == {"result": 1, "second": 0, "shared": 0, "request": 0}
    # Input and result of what has ended are kept for history.
    assert sorted(replica.state.documents) == ["input", "result"]


def test_history_row_tells_what_the_execution_was() -> None:
    replica = Replica()
    token = replica.start("e1", track={"flight": "AA1"}, actor=wire.Actor(kind="user", name="ann"))
    step = wire.StepRecord(step="store", type="sql.upsert", duration_us=7, error="no", retries=1)
    ended = replica.end(
        "e1", token, "FAILED", reason="r", error_code="c", error="e", step="s", steps=[step]
    )
    (row,) = ended.changes.history
    assert (row.execution, row.state, row.process) == ("e1", ExecutionState.FAILED, "orders")
    expected = {"state": "FAILED", "error_code": "c", "step": "s", "node": "n1", "steps": 1}
    assert expected.items() <= row.view.items()
    assert row.view["track"] == {"flight": "AA1"}
    assert row.view["actor"] == "user:ann"


def test_view_of_a_live_execution_has_the_fields_of_history() -> None:
    replica = Replica()
    replica.submit("e1")
    live = views.execution(replica.state, replica.execution("e1"))
    ended = replica.result(cancel_execution=wire.CancelExecution(execution="e1"))
    assert set(ended.changes.history[0].view) == set(live) - {"blocked_by_key"}


def test_dead_letters_are_written_with_their_word_and_bounded() -> None:
    replica = Replica(dead_letters_per_execution_max=2)
    token = replica.start("e1")
    letters = [wire.DeadLetter(document=f"d{number}", step="map") for number in range(2)]
    first = replica.checkpoint("e1", token, 1, dead_letters=letters)
    again = replica.checkpoint("e1", token, 1, dead_letters=letters)
    assert [row.document for row in first.changes.dead_letters] == ["d0", "d1"]
    assert again.changes.dead_letters == []
    over = replica.end("e1", token, dead_letters=letters[:1]).outcomes[0]
    assert over == Rejected("limit", {"limit": "dead_letters_per_execution_max"})


def test_open_intents_are_bounded() -> None:
    replica = Replica(intents_open_per_execution_max=2)
    token = replica.start("e1")
    assert reason(replica.intend("e1", token, "a", "b", "c")) == "limit"
    assert isinstance(replica.intend("e1", token, "a", "b"), Applied)
    # Saying the same again opens nothing more.
    assert isinstance(replica.intend("e1", token, "a", "b"), Applied)
    assert reason(replica.intend("e1", token, "c")) == "limit"


def test_intent_without_key_or_class_is_refused_with_its_batch() -> None:
    replica = Replica()
    token = replica.start("e1")
    assert reason(replica.intend("e1", token, "a", "")) == "invalid"
    assert reason(replica.intend("e1", token, "a", effect="pure")) == "invalid"
    assert replica.execution("e1").intents == {}


def test_checkpoint_forgets_what_is_known_and_keeps_what_is_open() -> None:
    replica = Replica()
    token = replica.start("e1")
    replica.intend("e1", token, "done", "open")
    replica.intend("e1", token, "sent", effect="idempotent")
    confirmed = wire.ConfirmEffects(
        execution="e1",
        token=token,
        confirmations=[wire.Confirmation(effect_key="done", how="sent")],
    )
    replica.say(confirm_effects=confirmed)
    replica.checkpoint("e1", token, 1, steps=[wire.StepRecord(step="tell")])
    assert [*replica.execution("e1").intents] == ["open"]
    # The whole word comes again when its answer was lost.
    assert replica.say(confirm_effects=confirmed) == Applied(0, {"confirmed": 0})


def test_copy_of_an_intent_that_was_held_up_is_refused() -> None:
    replica = Replica()
    token = replica.start("e1")
    replica.checkpoint("e1", token, 1)
    intent = wire.Intent(effect_key="a", effect="once")
    word = wire.RecordIntents(execution="e1", token=token, intents=[intent], sequence=1)
    assert isinstance(replica.say(record_intents=word), Applied)
    replica.checkpoint("e1", token, 2)
    assert replica.say(record_intents=word) == Rejected("stale_sequence", {"current": 2})


def test_timeline_is_bounded_and_still_tells_the_end() -> None:
    replica = Replica(timeline_rows_per_execution_max=3)
    token = replica.start("e1")
    kinds = []
    for sequence in range(1, 5):
        result = replica.checkpoint("e1", token, sequence)
        kinds += [row.kind for row in result.changes.timeline]
    kinds += [row.kind for row in replica.end("e1", token).changes.timeline]
    assert kinds == ["checkpoint", "truncated", "ended"]


def test_conservation_counts_both_sides() -> None:
    replica = Replica()
    replica.end("e1", replica.start("e1"))
    replica.end("e2", replica.start("e2"), "FAILED")
    token = replica.start("e3")
    replica.intend("e3", token, "a")
    replica.end("e3", token, "IN_DOUBT")
    replica.submit("e4")
    replica.say(cancel_execution=wire.CancelExecution(execution="e4"))
    replica.submit("e5")
    assert views.conservation(replica.state) == {
        "accepted": 5,
        "completed": 1,
        "failed": 1,
        "cancelled": 1,
        "active": 1,
        "parked": 1,
    }


def test_doubts_say_what_was_sent_where_and_when_it_may_be_denied() -> None:
    replica = Replica()
    token = replica.start("e1")
    request = wire.DocumentRef(digest="sha of the request", size_bytes=9)
    replica.intend("e1", token, "a", target="POST /late", document="7", request=request)
    (doubt,) = views.doubts(replica.state, replica.execution("e1"))
    assert (doubt["step"], doubt["document"], doubt["target"]) == ("tell", "7", "POST /late")
    assert doubt["request_digest"] == "sha of the request"
    assert doubt["sent_after_ms"] == NOW_MS
    assert doubt["answer_not_before_ms"] == NOW_MS + 5_000 + 2_750


def test_word_about_an_execution_that_never_was_is_refused() -> None:
    replica = Replica()
    assert reason(replica.end("ghost", 1).outcomes[0]) == "unknown_execution"
    assert ExecutionId("ghost") not in replica.state.executions


def test_each_late_word_is_counted_also_after_the_end() -> None:
    replica = Replica()
    old = replica.start("e1")
    replica.say(report_node_death=wire.ReportNodeDeath(node="n1", life="1"))
    new = replica.assign("e1", "n2")
    assert isinstance(new, Applied)
    assert reason(replica.end("e1", old).outcomes[0]) == "stale_token"
    assert replica.state.totals["late_words"] == 1
    replica.end("e1", new.value)
    assert reason(replica.end("e1", old).outcomes[0]) == "stale_token"
    assert replica.state.totals["late_words"] == 2


def test_only_what_is_parked_is_given_up() -> None:
    replica = Replica()
    give_up = wire.FailParked(execution="e1", actor=wire.Actor(kind="token", name="ann"))
    replica.submit("e1")
    assert reason(replica.say(fail_parked=give_up)) == "wrong_state"
    assert isinstance(replica.assign("e1"), Applied)
    assert reason(replica.say(fail_parked=give_up)) == "wrong_state"
