"""The checker notices every kind of planted violation, and nothing in a good history."""

from collections.abc import Callable

import pytest

from tests.simulation.invariants import Checker, Entry
from tests.simulation.member import Role, View
from tests.simulation.register import NOTHING, Outcome

ONE, TWO, THREE = "n1", "n2", "n3"


def a_view(
    role: Role = Role.FOLLOWER, term: int = 1, log_first: int = 1, log_last: int = 9
) -> View:
    return View(role=role, term=term, leader=None, log_first=log_first, log_last=log_last)


def apply(checker: Checker, member: str, index: int, data: bytes = b"a", **other: object) -> None:
    outcome = other.get("outcome", NOTHING)
    assert isinstance(outcome, Outcome)
    checker.applied(index, Entry(1, data, bytes([index]) + data, member, 2), outcome)


def _good(checker: Checker) -> None:
    checker.voted(ONE, 1, ONE)
    checker.voted(TWO, 1, ONE)
    checker.seen(ONE, a_view(Role.LEADER))
    for index in (2, 3):
        apply(checker, ONE, index)
        checker.acknowledged(ONE, index, b"a")
        apply(checker, TWO, index)
    checker.promised(TWO, 3)
    checker.counted(ONE, TWO, 3, own=1, theirs=1)
    checker.cut(THREE, 3, 2, in_term=2)
    # It still hears the leader before the one that committed this entry.
    checker.cut(THREE, 3, 1, in_term=1)
    checker.read(ONE, 3, 3)
    checker.starting(TWO)
    checker.started(TWO, a_view())
    apply(checker, TWO, 2)
    checker.loaded(THREE, 3, b"\x03a")
    apply(checker, ONE, 4, b"c", outcome=Outcome(epoch=1, leader=ONE))
    apply(checker, ONE, 5, b"j", outcome=Outcome(epoch=1, leader=ONE, job=1))
    checker.converged({ONE: (5, b"\x05j")})


def _second_vote(checker: Checker) -> None:
    checker.voted(TWO, 1, THREE)


def _second_leader(checker: Checker) -> None:
    checker.seen(TWO, a_view(Role.LEADER))


def _older_term(checker: Checker) -> None:
    checker.seen(TWO, a_view(term=3))
    checker.seen(TWO, a_view(term=2))


def _older_term_after_restart(checker: Checker) -> None:
    checker.spoke(TWO, 3)
    checker.starting(TWO)
    checker.seen(TWO, a_view(term=2))


def _applied_entry_cut(checker: Checker) -> None:
    checker.seen(ONE, a_view(Role.LEADER, log_last=4))


def _committed_entry_cut(checker: Checker) -> None:
    checker.cut(THREE, 3, 1, in_term=2)


def _acknowledged_log_gone(checker: Checker) -> None:
    checker.promised(THREE, 8)
    checker.starting(THREE)
    checker.started(THREE, a_view(log_last=7))


def _garbage_loaded(checker: Checker) -> None:
    checker.started(THREE, a_view(log_last=1 << 60))


def _miscounted(checker: Checker) -> None:
    checker.counted(ONE, TWO, 3, own=1, theirs=None)


def _changed_entry(checker: Checker) -> None:
    apply(checker, TWO, 3, b"b")


def _entry_twice(checker: Checker) -> None:
    apply(checker, TWO, 2)


def _skipped_entry(checker: Checker) -> None:
    checker.starting(TWO)
    apply(checker, TWO, 3)


def _other_state(checker: Checker) -> None:
    checker.applied(3, Entry(1, b"a", b"another", TWO, 2), NOTHING)


def _other_snapshot(checker: Checker) -> None:
    checker.loaded(TWO, 3, b"another")


def _other_acknowledgement(checker: Checker) -> None:
    checker.acknowledged(TWO, 3, b"b")


def _acknowledged_then_other(checker: Checker) -> None:
    checker.acknowledged(ONE, 6, b"x")
    apply(checker, ONE, 6, b"y")


def _acknowledged_nowhere(checker: Checker) -> None:
    checker.acknowledged(ONE, 6, b"x")
    checker.converged({ONE: (6, b"\x06")})


def _stale_read(checker: Checker) -> None:
    checker.read(ONE, 2, 3)


def _ended_short(checker: Checker) -> None:
    checker.converged({ONE: (2, b"\x02a")})


def _ended_otherwise(checker: Checker) -> None:
    checker.converged({ONE: (5, b"another")})


def _spoke_alone(checker: Checker) -> None:
    checker.spoke_while_cut_off(ONE, "acknowledged entry 7", 1.0)


def _epoch_skipped(checker: Checker) -> None:
    apply(checker, ONE, 6, b"c", outcome=Outcome(epoch=3, leader=TWO))


def _job_of_another(checker: Checker) -> None:
    apply(checker, ONE, 6, b"j", outcome=Outcome(epoch=1, leader=TWO, job=2))


def _job_twice(checker: Checker) -> None:
    apply(checker, ONE, 6, b"k", outcome=Outcome(epoch=1, leader=ONE, job=1))


def _no_leader(checker: Checker) -> None:
    checker.missed("a majority that talks has a leader", "")


PLANTED: list[tuple[Callable[[Checker], None], str]] = [
    (_second_vote, "one vote per member and term"),
    (_second_leader, "one leader per term"),
    (_older_term, "terms never go back"),
    (_older_term_after_restart, "terms never go back"),
    (_applied_entry_cut, "a committed entry is never lost"),
    (_committed_entry_cut, "a committed entry is never lost"),
    (_acknowledged_log_gone, "durable is never less than acknowledged"),
    (_miscounted, "durable is never less than acknowledged"),
    (_garbage_loaded, "damage is never taken for data"),
    (_changed_entry, "a committed entry is never changed"),
    (_entry_twice, "entries are applied once and in order"),
    (_skipped_entry, "entries are applied once and in order"),
    (_other_state, "applied prefixes are equal"),
    (_other_snapshot, "applied prefixes are equal"),
    (_other_acknowledgement, "what was acknowledged is committed for ever"),
    (_acknowledged_then_other, "what was acknowledged is committed for ever"),
    (_acknowledged_nowhere, "what was acknowledged is committed for ever"),
    (_stale_read, "a fresh read sees what was acknowledged before it"),
    (_ended_short, "a committed entry is never lost"),
    (_ended_otherwise, "applied prefixes are equal"),
    (_spoke_alone, "a leader cut off acknowledges nothing"),
    (_epoch_skipped, "epochs never go back"),
    (_job_of_another, "one leader per epoch"),
    (_job_twice, "one leader per epoch"),
    (_no_leader, "a majority that talks has a leader"),
]


def test_checker_finds_nothing_in_a_good_history() -> None:
    checker = Checker((ONE, TWO, THREE))

    _good(checker)

    assert checker.violation is None


@pytest.mark.parametrize(("plant", "invariant"), PLANTED, ids=[p.__name__ for p, _ in PLANTED])
def test_checker_finds_a_planted_violation(
    plant: Callable[[Checker], None], invariant: str
) -> None:
    checker = Checker((ONE, TWO, THREE))
    _good(checker)
    if plant in (_changed_entry, _other_state):
        checker.starting(TWO)
        apply(checker, TWO, 2)

    plant(checker)

    assert checker.violation is not None
    assert checker.violation.invariant == invariant


def test_checker_keeps_the_first_violation() -> None:
    checker = Checker((ONE, TWO, THREE))
    checker.missed("first", "")

    checker.missed("second", "")

    assert checker.violation is not None
    assert checker.violation.invariant == "first"
