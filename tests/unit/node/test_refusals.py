"""What the replicated state refuses: one error for each code, whichever door it comes by."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from molecule.cluster.outcome import Rejected
from molecule.model.errors import (
    Conflict,
    KeyConflict,
    MoleculeError,
    Unavailable,
    WrongState,
)
from molecule.node import refusals

CLUSTER = Path(refusals.__file__).parents[1] / "cluster"
SAID_BY_PEOPLE = (
    "apply_submissions",
    "overlap",
    "apply_deployments",
    "apply_signals",
    "apply_draining",
    "apply_membership",
    "apply_parked",
)
BY_LEADERS = {"stale_epoch", "not_held", "unknown_life"}
"""Of commands that only leaders and supervisors say."""
FACTS: Mapping[str, str | int | bool] = {
    "field": "name",
    "limit": "pending_executions_max",
    "state": "COMPLETED",
    "effect": "e1/tell/0",
    "not_before_ms": 5,
    "path": "POST /in",
    "by": "n2",
    "role": "voter",
    "detail": "there is a row",
}


def told(rejected: Rejected) -> MoleculeError:
    about = {"execution": "e1", "key": "k1", "process": "orders", "table": "t", "node": "n1"}
    return refusals.error_of(rejected, otherwise=Conflict, environment="test", **about)


def test_every_code_that_people_can_meet_has_its_error() -> None:
    source = "\n".join((CLUSTER / f"{name}.py").read_text() for name in SAID_BY_PEOPLE)
    codes = set(re.findall(r'Rejected\(\s*"(\w+)"', source))
    assert len(codes) > 20
    assert codes - BY_LEADERS <= set(refusals.ERRORS)


@pytest.mark.parametrize("code", [*refusals.ERRORS, "unheard_of"])
def test_a_text_names_all_that_it_is_about(code: str) -> None:
    error = told(Rejected(code, FACTS))
    assert not re.search(r"\(\w+\)(?<!\(ms\))$|\{|\(\w+_?\w*\)", error.message), error.message
    assert error.facts == FACTS


def test_the_facts_of_a_refusal_come_before_what_was_asked_for() -> None:
    error = told(Rejected("overlap", {"execution": "e0"}))
    assert error.message == "orders skips what overlaps, and e0 is not over"


def test_a_key_of_the_future_may_be_right_a_moment_later() -> None:
    ahead = told(Rejected("invalid", {"field": "key", "made_at_ms": 5}))
    assert isinstance(ahead, Unavailable)


def test_the_same_code_is_the_same_error_at_every_door() -> None:
    assert isinstance(told(Rejected("key_conflict")), KeyConflict)
    assert isinstance(told(Rejected("wrong_state", FACTS)), WrongState)


def test_a_code_that_nobody_foresaw_is_told_as_it_is() -> None:
    error = told(Rejected("internal"))
    assert (type(error), error.message) == (Conflict, "the cluster refused: internal")
    later = refusals.error_of(Rejected("internal"), otherwise=Unavailable)
    assert isinstance(later, Unavailable)
