"""`molecule why`: answers with their place in the log, and what codes mean."""

import json

from molecule.cli import why
from molecule.model import errors, reasons
from tests.fakes.door import FakeDoor
from tests.unit.cli.conftest import Shell

TOLD = {
    "execution": "e1",
    "state": "ASSIGNED",
    "index": 40,
    "incomplete": "the beginning of the timeline was purged",
    "answers": [
        {
            "question": "here",
            "text": "is on n2 (attempt 1): of the nodes that fit, the least loaded one",
            "index": 17,
            "at_ms": 1,
            "decided": True,
            "facts": {"node": "n2"},
        },
        {
            "question": "slow",
            "text": "9 of 10 ms it was assigned",
            "index": 40,
            "at_ms": 1,
            "decided": False,
            "facts": {},
        },
    ],
}


def test_why_tells_each_answer_with_its_place_in_the_log(shell: Shell, door: FakeDoor) -> None:
    door.resources["why/e1"] = TOLD
    said = shell.run("why", "e1")
    assert said.out == (
        "e1 is ASSIGNED\n"
        "here      log 17       is on n2 (attempt 1): of the nodes that fit, the least loaded one\n"
        "slow      now 40       9 of 10 ms it was assigned\n"
    )
    assert "purged" in said.talk


def test_why_as_json_is_the_answer_itself(shell: Shell, door: FakeDoor) -> None:
    door.resources["why/e1"] = TOLD
    assert json.loads(shell.run("why", "e1", "-o", "json").out) == TOLD


def test_why_of_an_unknown_execution_fails_in_words(shell: Shell) -> None:
    said = shell.run("why", "e9")
    assert said.code == 1
    assert "e9" in said.talk


def test_why_explains_an_error_code_without_a_cluster(shell: Shell) -> None:
    said = shell.run("why", "too_old")
    assert said.code == 0
    assert "never accepted as new" in said.out
    assert errors.ADVICE["too_old"] in said.out
    assert shell.nodes.asked == []


def test_why_explains_the_code_of_a_decision(shell: Shell) -> None:
    assert reasons.TEXTS["lease_expired"] in shell.run("why", "lease_expired").out


def test_every_error_of_the_tree_has_a_meaning_and_advice() -> None:
    kinds = [errors.MoleculeError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    for kind in kinds:
        meaning = why.meaning_of(kind.code)
        assert meaning is not None
        assert meaning["means"]
        assert meaning["then"]
