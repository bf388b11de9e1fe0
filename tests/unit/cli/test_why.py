"""`molecule why`, post-mortems and timelines: what people read about an execution."""

import json

import pytest

from molecule.cli import why
from molecule.model import errors, failure_codes, reasons
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


@pytest.mark.parametrize(
    "code",
    ["connection_failed", "data", "statement", "table_conflict", "await_timeout", "http_503"],
)
def test_why_explains_the_code_that_an_execution_shows(shell: Shell, code: str) -> None:
    told = failure_codes.told(code)
    assert told is not None
    said = shell.run("why", code, "--output", "json")
    assert json.loads(said.out) == {"code": code, "means": told[0], "then": told[1]}
    assert shell.nodes.asked == []


def test_a_code_of_several_kinds_tells_each_meaning() -> None:
    meaning = why.meaning_of("not_found")
    assert meaning is not None
    assert meaning["of_a_step"] == failure_codes.TEXTS["not_found"][0]
    timeout = why.meaning_of("timeout")
    assert timeout is not None
    assert timeout["of_a_decision"] == reasons.TEXTS["timeout"]


def test_every_error_of_the_tree_has_a_meaning_and_advice() -> None:
    kinds = [errors.MoleculeError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    for kind in kinds:
        meaning = why.meaning_of(kind.code)
        assert meaning is not None
        assert meaning["means"]
        assert meaning["then"]


LOSS = {
    "id": "n2.2",
    "node": "n2",
    "reason": "lease_expired",
    "evidence": "",
    "silent_for_ms": 2750,
    "index": 20,
    "at_ms": 1,
    "led": False,
    "without_leader_ms": 0,
    "moved": 2,
    "effects_in_doubt": 1,
    "steps_repeated": 1,
    "late_words_refused": 1,
    "executions": [{"execution": "e1", "token": 2, "became": "PENDING", "doubts": 0}],
}


def test_the_last_post_mortem_is_told_in_words(shell: Shell, door: FakeDoor) -> None:
    door.resources["postmortems"] = {"items": [LOSS], "next": None}
    out = shell.run("cluster", "postmortem", "--last").out
    assert "2750 ms" in out
    assert reasons.TEXTS["lease_expired"] in out
    assert "execution=e1" in out


def test_one_post_mortem_is_asked_for_by_its_id(shell: Shell, door: FakeDoor) -> None:
    door.resources["postmortem/n2.2"] = LOSS
    assert json.loads(shell.run("cluster", "postmortem", "n2.2", "-o", "json").out) == LOSS


def test_without_losses_the_last_post_mortem_says_so(shell: Shell, door: FakeDoor) -> None:
    door.resources["postmortems"] = {"items": [], "next": None}
    said = shell.run("cluster", "postmortem", "--last")
    assert said.code == 0
    assert "no node was lost" in said.talk


def test_timeline_prints_a_line_for_each_row(shell: Shell, door: FakeDoor) -> None:
    row = {
        "index": 5,
        "number": 0,
        "at_ms": 1_760_000_000_000,
        "kind": "assigned",
        "node": "n2",
        "token": 7,
        "attempt": 1,
        "facts": {"reason": "least loaded", "not_chosen": []},
    }
    door.resources["timeline/e1"] = {"items": [row], "next": None}
    said = shell.run("execution", "timeline", "e1")

    assert said.out == (
        "2025-10-09 08:53:20.000Z       5 n2#1 token=7       assigned     reason=least loaded"
        " not_chosen=-\n"
    )
