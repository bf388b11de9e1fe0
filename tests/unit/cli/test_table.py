"""`molecule table`: what is sent for a row, and what is refused before."""

import json

from tests.fakes.door import FakeDoor
from tests.unit.cli.conftest import Shell


def test_a_row_is_put_with_its_condition_and_taken_out(shell: Shell, door: FakeDoor) -> None:
    row = {"key": "a/1", "value": {"n": 1}, "unique": {"ref": "X"}, "changed_at_ms": 5}
    door.resources["table_put/dev/orders/a/1"] = door.resources["table_delete/dev/orders/a/1"] = row
    said = shell.run(
        *("table", "put", "orders", "a/1", '{"n": 1}', "--if", "absent", "--unique", "ref=X"),
        *("-o", "json"),
    )
    assert (said.code, json.loads(said.out)) == (0, row)
    asked = json.loads(door.calls[-1].json)
    assert (asked["value"], asked["if"], asked["unique"]) == ({"n": 1}, "absent", {"ref": "X"})

    assert json.loads(shell.run("table", "delete", "orders", "a/1", "-o", "json").out) == row


def test_a_row_without_a_value_or_with_a_wrong_unique_key_is_not_sent(shell: Shell) -> None:
    nothing = shell.run("table", "put", "orders", "1")
    assert (nothing.code, "no value was given" in nothing.talk) == (2, True)
    wrong = shell.run("table", "put", "orders", "1", "{}", "--unique", "ref")
    assert (wrong.code, "NAME=VALUE" in wrong.talk) == (2, True)
