"""Key tables and claims: carried out once, answered the same, within their bounds, and restored."""

from typing import Any

import pytest

from molecule.cluster import invariants
from molecule.cluster.apply import StateMachine
from molecule.cluster.key_rows import TableName
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import ENVIRONMENT, Replica, reason

STOCK = TableName(ENVIRONMENT, "stock")


def answer(outcome: Outcome) -> str:
    assert isinstance(outcome, Applied), outcome
    return str(outcome.facts["answer"])


def value(replica: Replica, key: str = "a") -> str | None:
    table = replica.state.key_tables.get(STOCK)
    row = table.rows.get(key) if table is not None else None
    return row.value if row is not None else None


def edit(replica: Replica, **change: Any) -> Outcome:
    fields = {"table": "stock", "key": "a", "action": "put", "value": "1", **change}
    return replica.say(
        edit_table=wire.EditTable(environment=ENVIRONMENT, change=wire.TableChange(**fields))
    )


def started(*names: str, **bounds: int) -> tuple[Replica, list[int]]:
    replica = Replica(**bounds)
    return replica, [replica.start(name) for name in names]


def test_a_write_is_carried_out_once_and_answered_the_same_until_a_checkpoint_has_it() -> None:
    replica, (first, second) = started("e1", "e2")
    assert answer(replica.change("e1", first, "f1", value="1", condition="absent")) == "done"
    assert answer(replica.change("e2", second, "g1", value="2")) == "done"
    assert answer(replica.change("e1", first, "f1", value="1", condition="absent")) == "done"
    assert value(replica) == "2"
    replica.checkpoint("e1", first, 1)
    assert answer(replica.change("e1", first, "f1", value="1", condition="absent")) == "done"
    assert value(replica) == "2"


def test_a_conflict_is_answered_the_same_although_it_would_not_be_one_now() -> None:
    replica, (first, second) = started("e1", "e2")
    assert answer(replica.change("e1", first, "f1")) == "done"
    assert answer(replica.change("e2", second, "g1", condition="absent")) == "conflict"
    assert answer(replica.change("e1", first, "f2", action="delete")) == "done"
    assert answer(replica.change("e2", second, "g1", condition="absent")) == "conflict"
    assert value(replica) is None


def test_a_copy_that_was_held_up_behind_its_checkpoint_changes_nothing() -> None:
    replica, (token,) = started("e1")
    replica.change("e1", token, "f1", value="1")
    replica.confirm("e1", token, "f1")
    replica.checkpoint("e1", token, 1)
    assert not replica.execution("e1").answers
    replica.change("e1", token, "f2", value="2")
    late = replica.change("e1", token, "f1", value="1", sequence=0)
    assert reason(late) == "stale_sequence"
    assert value(replica) == "2"


def test_what_is_not_confirmed_outlives_a_checkpoint() -> None:
    replica, (token,) = started("e1")
    replica.change("e1", token, "f1", condition="absent")
    replica.checkpoint("e1", token, 1)
    assert answer(replica.change("e1", token, "f1", condition="absent", sequence=0)) == "done"


def test_a_later_owner_gets_the_answers_of_the_one_before() -> None:
    replica, (token,) = started("e1")
    replica.change("e1", token, "f1", condition="absent")
    replica.claim("e1", token, "f2")
    replica.say(report_node_death=wire.ReportNodeDeath(node="n1", life="1"))
    outcome = replica.assign("e1", "n2")
    assert isinstance(outcome, Applied)
    assert reason(replica.change("e1", token, "f3")) == "stale_token"
    assert reason(replica.claim("e1", token, "f3")) == "stale_token"
    assert answer(replica.change("e1", outcome.value, "f1", condition="absent")) == "done"
    assert answer(replica.claim("e1", outcome.value, "f2")) == "claimed"


@pytest.mark.parametrize(
    ("condition", "expected", "without", "with_1"),
    [
        ("", "", "done", "done"),
        ("absent", "", "done", "conflict"),
        ("present", "", "conflict", "done"),
        ("equals", "1", "conflict", "done"),
        ("equals", "2", "conflict", "conflict"),
    ],
)
@pytest.mark.parametrize("action", ["put", "delete"])
def test_conditions(action: str, condition: str, expected: str, without: str, with_1: str) -> None:
    for found, row in ((without, False), (with_1, True)):
        replica, (token,) = started("e1")
        if row:
            edit(replica)
        said = {"action": action, "condition": condition, "expected": expected, "value": "9"}
        assert answer(replica.change("e1", token, "f1", **said)) == found
        after = {"put": "9", "delete": None}[action]
        before = "1" if row else None
        assert value(replica) == (after if found == "done" else before)


def test_a_unique_key_finds_its_row_and_belongs_to_one() -> None:
    replica, (token,) = started("e1")
    replica.change("e1", token, "f1", key="a", value="1", unique={"mail": "m"})
    read = replica.change("e1", token, "", action="get", key="m", by="mail")
    assert isinstance(read, Applied)
    assert read.facts == {"answer": "done", "value": "1"}
    assert answer(replica.change("e1", token, "f2", key="b", unique={"mail": "m"})) == "taken"
    assert answer(replica.change("e1", token, "f3", key="a", unique={"mail": "n"})) == "done"
    assert answer(replica.change("e1", token, "", action="get", key="m", by="mail")) == "missing"
    assert answer(replica.change("e1", token, "f4", key="b", unique={"mail": "m"})) == "done"
    assert invariants.broken(replica.state) == []


def test_rows_and_bytes_are_bounded() -> None:
    replica, (token,) = started("e1", table_rows_max=2, table_row_bytes_max=10, tables_bytes_max=14)
    assert reason(replica.change("e1", token, "f1", value="x" * 10)) == "limit"
    for number, key in enumerate("ab"):
        assert answer(replica.change("e1", token, f"g{number}", key=key, value="12345")) == "done"
    full = replica.change("e1", token, "h", key="c", value="1")
    assert full == Rejected("limit", {"limit": "table_rows_max"})
    full = replica.change("e1", token, "i", key="a", value="12345678")
    assert full == Rejected("limit", {"limit": "tables_bytes_max"})
    assert answer(replica.change("e1", token, "j", action="delete")) == "done"
    assert answer(replica.change("e1", token, "h", key="c", value="1")) == "done"
    assert invariants.broken(replica.state) == []


def test_answers_that_nobody_confirms_are_bounded() -> None:
    replica, (token,) = started("e1", intents_open_per_execution_max=1)
    replica.change("e1", token, "f1")
    assert reason(replica.change("e1", token, "f2")) == "limit"
    assert reason(replica.claim("e1", token, "f3")) == "limit"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"table": ""}, "table"),
        ({"key": ""}, "key"),
        ({"value": ""}, "value"),
        ({"condition": "maybe"}, "if"),
        ({"action": "burn"}, "action"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, str], field: str) -> None:
    replica, (token,) = started("e1")
    for outcome in (replica.change("e1", token, "f1", **change), edit(replica, **change)):
        assert outcome == Rejected("invalid", {"field": field})
    assert reason(replica.change("e1", token, "")) == "invalid"
    assert reason(replica.claim("e1", token, "f1", key="")) == "invalid"


def test_a_person_changes_a_row_where_the_environment_is_known() -> None:
    replica = Replica()
    assert isinstance(edit(replica), Applied)
    assert reason(edit(replica, condition="absent")) == "conflict"
    assert reason(edit(replica, action="get")) == "invalid"
    elsewhere = wire.EditTable(
        environment="nowhere", change=wire.TableChange(table="t", key="k", action="delete")
    )
    assert reason(replica.say(edit_table=elsewhere)) == "unknown_environment"


def test_a_key_counts_from_the_end_of_the_execution_that_claimed_it() -> None:
    replica, (first, second) = started("e1", "e2")
    assert answer(replica.claim("e1", first, "f1")) == "claimed"
    found = replica.claim("e2", second, "g1")
    assert isinstance(found, Applied)
    assert found.facts == {"answer": "duplicate", "value": "e1"}
    assert reason(replica.claim("e2", second, "g2", wait=True)) == "under_way"
    assert answer(replica.claim("e2", second, "g3", scope="other")) == "claimed"
    replica.end("e1", first)
    replica.at_ms += 59_999
    assert answer(replica.claim("e2", second, "g2", wait=True)) == "duplicate"
    replica.at_ms += 1
    assert answer(replica.claim("e2", second, "g4")) == "claimed"
    assert invariants.broken(replica.state) == []


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_key_is_free_again_when_its_execution_does_not_complete(state: str) -> None:
    replica, (first, second) = started("e1", "e2")
    replica.claim("e1", first, "f1")
    assert answer(replica.claim("e2", second, "g1")) == "duplicate"
    if state == "FAILED":
        replica.end("e1", first, "FAILED")
    else:
        replica.say(cancel_execution=wire.CancelExecution(execution="e1"))
    assert answer(replica.claim("e2", second, "g1")) == "duplicate"  # as it was answered
    assert answer(replica.claim("e2", second, "g2")) == "claimed"
    assert invariants.broken(replica.state) == []


def test_a_redrive_has_the_claim_of_the_effect_that_it_repeats() -> None:
    replica, (first, second) = started("e1", "e2")
    replica.claim("e1", first, "f1")
    replica.end("e1", first)
    assert answer(replica.claim("e2", second, "f1")) == "claimed"
    replica.end("e2", second, "FAILED")
    third = replica.start("e3")
    assert answer(replica.claim("e3", third, "g1")) == "duplicate"


def test_two_documents_of_one_execution_with_one_key_are_duplicates() -> None:
    replica, (token,) = started("e1")
    assert answer(replica.claim("e1", token, "f1")) == "claimed"
    assert answer(replica.claim("e1", token, "f2")) == "duplicate"


def test_claims_are_bounded_and_forgotten_in_time() -> None:
    replica, (token,) = started("e1", claims_max=1)
    replica.claim("e1", token, "f1")
    assert reason(replica.claim("e1", token, "f2", key="other")) == "limit"
    replica.end("e1", token)
    replica.at_ms += 60_000
    replica.submit("e2")
    assert replica.state.claims == {}
    assert replica.state.claim_ends == []


def test_tables_answers_and_claims_survive_a_snapshot() -> None:
    replica, (first, second) = started("e1", "e2")
    replica.change("e1", first, "f1", key="a/b%", unique={"mail": "m"})
    replica.claim("e1", first, "f2")
    replica.confirm("e1", first, "f1")
    replica.claim("e2", second, "g1", key="other")
    replica.end("e2", second)
    machine = replica.machine
    again = StateMachine.restore(
        machine.rows(), index=machine.index, term=1, rolling_hash=machine.rolling_hash
    )
    assert again.state_hash() == machine.state_hash()
    assert invariants.broken(again.state) == []
    assert again.state.key_tables == machine.state.key_tables
    assert again.state.claims == machine.state.claims
    restored, kept = (one.state.executions[ExecutionId("e1")] for one in (again, machine))
    assert restored.progress == kept.progress
