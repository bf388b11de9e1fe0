"""The checks: silent on every good history, and each planted fault is found by its invariant alone.

A mutant that a seed has no place for is planted at another seed; one that fits nowhere fails.
"""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos import verdict
from chaos.history import History
from tests.unit.chaos import mutants_of_keeping, mutants_of_the_cluster, mutants_of_work
from tests.unit.chaos.edits import Edit, Unfit
from tests.unit.chaos.good_runs import good
from tests.unit.chaos.mutants import Mutant

MUTANTS = {
    **mutants_of_keeping.MUTANTS,
    **mutants_of_work.MUTANTS,
    **mutants_of_the_cluster.MUTANTS,
}
SEEDS = range(40)
PLANTED = 3


def planted(mutant: Mutant) -> Iterator[tuple[History, str]]:
    """The mutant in each good history that has a place for it, with the id to be named."""
    for seed in SEEDS:
        edit = Edit(good(seed))
        try:
            named = mutant.plant(edit)
        except Unfit:
            continue
        yield edit.made(), named


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_good_history_alarms_nobody(seed: int) -> None:
    found = verdict.judge(good(seed))
    assert (found.violations, found.lacks) == ((), ())


def test_good_histories_hold_answers_that_are_unknown_both_ways() -> None:
    """Some of what nobody was told of is there, and some is not."""
    there, not_there = 0, 0
    for seed in SEEDS:
        history = good(seed)
        told = {ending[0].idempotency_key for ending in history.endings.values()}
        known = {ask.idempotency_key for ask, one in history.submissions if one.is_ok}
        unknown = {ask.idempotency_key for ask, _ in history.submissions} - known
        there += len(unknown & told)
        not_there += len(unknown - told)
    assert min(there, not_there) > 0


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_fault_is_found_by_its_invariant_alone(name: str) -> None:
    mutant = MUTANTS[name]
    count = 0
    for history, named in planted(mutant):
        count += 1
        found = verdict.judge(history).violations
        assert {one.invariant for one in found} == {mutant.invariant}, found
        assert mutant.rule in {one.rule for one in found}, found
        assert any(named in one.ids for one in found if one.rule == mutant.rule), found
        lines = {line for one in found for line in one.lines}
        assert lines <= set(range(1, len(history.records) + 1))
        assert all(one.lines for one in found), found
        if count == PLANTED:
            break
    assert count == PLANTED


def test_every_invariant_has_mutants() -> None:
    assert {mutant.invariant for mutant in MUTANTS.values()} == set(verdict.CHECKS)
