"""Overlap, keys, pauses, limits at the door, and when a placement hint is valid."""

import pytest

from molecule.cluster import views
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import ENVIRONMENT, Replica, reason


def hint(replica: Replica, node: str = "n1", *, life: int = 0) -> wire.PlacementHint:
    known = views.node(replica.state, replica.state.nodes[node])  # type: ignore[index]  # a NodeId
    return wire.PlacementHint(node=node, incarnation=known["incarnation"] + life)


def pause(replica: Replica, process: str = "orders", *, paused: bool = True) -> Outcome:
    said = wire.PauseProcess(
        environment=ENVIRONMENT, process=process, paused=paused, reason="a fault there"
    )
    return replica.say(pause_process=said)


def verdict(replica: Replica, name: str, **fields: object) -> str:
    """What was said of the hint of this submission."""
    result = replica.result(submit_execution=replica.submission(name, **fields))
    assert isinstance(result.outcomes[0], Applied), result.outcomes
    return str(next(row for row in result.changes.timeline if row.kind == "accepted").facts["hint"])


def test_hint_is_valid_on_a_free_node_where_nothing_waits() -> None:
    replica = Replica()
    assert verdict(replica, "e1", hint=hint(replica)) == "valid"
    assert replica.execution("e1").node == "n1"


def test_hint_is_refused_for_another_life_of_the_node() -> None:
    replica = Replica()
    assert verdict(replica, "e1", hint=hint(replica, life=-1)) == "stale_incarnation"


def test_hint_is_refused_when_earlier_entries_took_the_last_slot() -> None:
    replica = Replica(slots=1)
    replica.start("e1")
    assert verdict(replica, "e2", hint=hint(replica)) == "no_slot"


def test_hint_is_refused_on_a_node_that_is_lost() -> None:
    replica = Replica()
    given = hint(replica)
    replica.say(report_node_death=wire.ReportNodeDeath(node="n1", life="1"))
    assert verdict(replica, "e1", hint=given) == "not_schedulable"


@pytest.mark.parametrize(
    ("waiting", "asked", "said"),
    [(0, 0, "others_wait"), (5, 3, "others_wait"), (3, 5, "valid")],
)
def test_hint_is_refused_when_somebody_waits_with_equal_or_higher_priority(
    waiting: int, asked: int, said: str
) -> None:
    replica = Replica()
    replica.deploy("others")
    replica.submit("w1", process="others", priority=waiting)
    assert verdict(replica, "e1", hint=hint(replica), priority=asked) == said


def test_hint_is_valid_when_those_who_wait_cannot_run_there_or_are_paused() -> None:
    replica = Replica()
    replica.deploy("gpu", require={"gpu": "yes"})
    replica.deploy("far", zone="elsewhere")
    replica.deploy("paused")
    pause(replica, "paused")
    for process in ("gpu", "far", "paused"):
        replica.submit(f"w-{process}", process=process)
    assert verdict(replica, "e1", hint=hint(replica)) == "valid"


def test_hint_is_refused_while_the_key_is_wanted_or_the_process_paused() -> None:
    replica = Replica()
    replica.submit("e1", concurrency_key="k")
    assert verdict(replica, "e2", hint=hint(replica), concurrency_key="k") == "key_held"
    pause(replica)
    assert verdict(replica, "e3", hint=hint(replica)) == "paused"


def test_paused_process_is_told_with_who_and_why_and_survives_a_new_version() -> None:
    replica = Replica()
    assert isinstance(pause(replica), Applied)
    assert pause(replica) == Applied(0, {"repeated": True})
    replica.say(
        put_version=wire.PutVersion(
            process="orders", version="v2", options=wire.VersionOptions(), package=wire.Payload()
        )
    )
    replica.say(
        activate_version=wire.ActivateVersion(
            environment=ENVIRONMENT, process="orders", version="v2"
        )
    )
    (told,) = views.deployments(replica.state)
    assert (told["version"], told["paused"], told["pause_reason"]) == ("v2", True, "a fault there")
    replica.submit("e1")
    assert reason(replica.assign("e1")) == "paused"
    pause(replica, paused=False)
    assert isinstance(replica.assign("e1"), Applied)


def test_pausing_what_is_not_deployed_is_refused() -> None:
    assert reason(pause(Replica(), "nothing")) == "unknown_process"


def test_skipped_submission_is_told_which_execution_is_not_over() -> None:
    replica = Replica()
    replica.deploy("poll", overlap="skip")
    replica.start("e1", process="poll")
    refused = Rejected("overlap", {"execution": "e1", "state": "ASSIGNED"})
    assert replica.submit("e2", process="poll") == refused
    assert replica.state.totals["accepted"] == 1
    replica.end("e1", 1)
    assert isinstance(replica.submit("e2", process="poll"), Applied)


def test_replacing_ends_only_as_many_as_the_limit_asks_for() -> None:
    replica = Replica()
    replica.deploy("preview", overlap="replace", concurrency_limit=2)
    for number in range(4):
        replica.submit(f"e{number}", process="preview")
    assert sorted(replica.state.executions) == ["e2", "e3"]


def test_trigger_submission_of_a_skipping_process_leaves_its_group_alone() -> None:
    replica = Replica()
    replica.deploy("files", overlap="skip", has_trigger=True, trigger_on=True)
    replica.say(
        assign_trigger=wire.AssignTrigger(
            epoch=1, environment=ENVIRONMENT, process="files", node="n1", incarnation=1
        )
    )
    fields = {"process": "files", "group": "g", "trigger_token": 1}
    assert isinstance(replica.submit("e1", **fields), Applied)
    assert reason(replica.submit("e2", **fields)) == "overlap"
    assert replica.state.groups["g"].accepted == 1  # type: ignore[index]  # a GroupId


def test_process_takes_as_many_as_its_own_limit_and_others_still_fit() -> None:
    replica = Replica(pending_per_process_max=2)
    replica.deploy("others")
    replica.submit("e1")
    replica.submit("e2")
    full = replica.submit("e3")
    assert full == Rejected("overloaded", {"limit": "pending_per_process_max"})
    assert list(replica.state.executions) == ["e1", "e2"], "what came in stays"
    assert isinstance(replica.submit("o1", process="others"), Applied)
    replica.say(cancel_execution=wire.CancelExecution(execution="e1"))
    assert isinstance(replica.submit("e3"), Applied)


def test_key_that_is_held_for_dead_letters_counts_like_work_and_is_told() -> None:
    replica = Replica(pending_executions_max=1)
    replica.deploy("ledger", keyed=True, on_dead_letter="hold_key")
    token = replica.start("e1", process="ledger", concurrency_key="a/b%2F")
    replica.end("e1", token, dead_letters=[wire.DeadLetter(document="d")] * 2)
    assert reason(replica.submit("e2", process="ledger")) == "overloaded"
    (held,) = views.held_keys(replica.state)
    assert (held["concurrency_key"], held["dead_letters"], held["execution"]) == ("a/b%2F", 2, "e1")
    settled = wire.SettleKey(environment=ENVIRONMENT, process="ledger", concurrency_key="a/b%2F")
    assert isinstance(replica.say(settle_key=settled), Applied)
    assert isinstance(replica.submit("e2", process="ledger"), Applied)


def test_what_is_parked_counts_like_work_at_the_door() -> None:
    replica = Replica(pending_executions_max=1)
    token = replica.start("e1")
    replica.intend("e1", token, "k")
    replica.end("e1", token, "IN_DOUBT")
    assert reason(replica.submit("e2")) == "overloaded"
    given_up = wire.FailParked(execution="e1", actor=wire.Actor(kind="token", name="ann"))
    assert isinstance(replica.say(fail_parked=given_up), Applied)
    assert isinstance(replica.submit("e2"), Applied)


def test_hint_is_refused_while_dead_letters_hold_the_key_and_nobody_else_wants_it() -> None:
    replica = Replica()
    replica.deploy("ledger", keyed=True, on_dead_letter="hold_key")
    token = replica.start("e1", process="ledger", concurrency_key="k")
    replica.end("e1", token, dead_letters=[wire.DeadLetter(document="d")])
    fields = {"process": "ledger", "concurrency_key": "k", "hint": hint(replica)}
    assert verdict(replica, "e2", **fields) == "key_held"


@pytest.mark.parametrize(("asked", "kept"), [(0, 4), (7, 7), (100, 9), (-5, 0)])
def test_priority_is_that_of_the_submission_within_bounds(asked: int, kept: int) -> None:
    replica = Replica()
    replica.deploy("urgent", priority=4)
    replica.submit("e1", process="urgent", priority=asked)
    assert replica.execution("e1").priority == kept


def test_progress_of_a_trigger_is_refused_beside_a_record_that_had_no_room() -> None:
    replica = Replica(pending_executions_max=2)
    replica.deploy("files", has_trigger=True, trigger_on=True)
    assign = wire.AssignTrigger(
        epoch=1, environment=ENVIRONMENT, process="files", node="n1", incarnation=1
    )
    token = replica.say(assign_trigger=assign)
    assert isinstance(token, Applied)
    fields = {"process": "files", "trigger_token": token.value, "group": "g"}
    records = [
        wire.Command(version=1, submit_execution=replica.submission(name, **fields))
        for name in ("r0", "r1", "r2")
    ]
    progress = wire.RecordGroup(
        group="g",
        environment=ENVIRONMENT,
        process="files",
        trigger_token=token.value,
        through=3,
        closed=True,
    )
    word = [*records, wire.Command(version=1, record_group=progress)]

    result = replica.commit(*word)
    assert [reason(one) for one in result.outcomes] == ["", "", "overloaded", "overloaded"]
    (group,) = replica.state.groups.values()
    assert (group.through, group.closed, group.accepted) == (0, False, 2)

    outcome = replica.assign("r0")
    assert isinstance(outcome, Applied)
    replica.end("r0", outcome.value)
    again = replica.commit(*word)
    assert [reason(one) for one in again.outcomes] == ["", "", "", ""]
    assert (group.through, group.closed, group.accepted) == (3, True, 3)

    late = wire.RecordGroup(
        group="g", environment=ENVIRONMENT, process="files", trigger_token=token.value, through=1
    )
    replica.say(record_group=late)
    assert (group.through, group.closed) == (3, True), "what was read does not go back"
