"""The search for an order that explains a register: against every order, and on known stories."""

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.checks import i7_registers
from chaos.history import Operation
from chaos.linearizable import NEVER, Call, Judgement, judge
from chaos.records import Answered, Invoked
from tests.unit.chaos import stories
from tests.unit.chaos.stories import Story

YES, NO = Judgement.LINEARIZABLE, Judgement.NOT_LINEARIZABLE


def write(value: str | None, began: int, ended: float) -> Call:
    return Call("write", began, ended, value)


def read(value: str | None, began: int, ended: float) -> Call:
    return Call("read", began, ended, value)


def swap(
    expected: str | None, value: str, began: int, ended: float, *, matched: bool | None
) -> Call:
    return Call("swap", began, ended, value, expected, matched)


def by_trying_all(calls: Sequence[Call]) -> Judgement:
    """Every subset of the unknown calls, in every order that time allows."""
    unknown = [call for call in calls if call.ended == NEVER]
    known = [call for call in calls if call.ended != NEVER]
    for count in range(len(unknown) + 1):
        for some in itertools.combinations(unknown, count):
            for order in itertools.permutations([*known, *some]):
                if _explains(order):
                    return YES
    return NO


def _explains(order: Sequence[Call]) -> bool:
    current = None
    for place, call in enumerate(order):
        if any(later.ended < call.began for later in order[place + 1 :]):
            return False
        fits, current = call.after(current)
        if not fits:
            return False
    return True


@st.composite
def any_calls(draw: st.DrawFn) -> list[Call]:
    values = st.sampled_from([None, "a", "b"])
    calls = []
    for _ in range(draw(st.integers(1, 5))):
        began = draw(st.integers(0, 12))
        ended: float = began + draw(st.integers(0, 6))
        kind = draw(st.sampled_from(["read", "write", "swap"]))
        if kind != "read" and draw(st.integers(0, 3)) == 0:
            ended = NEVER
        if kind == "swap":
            matched = None if ended == NEVER else draw(st.booleans())
            calls.append(Call("swap", began, ended, draw(values), draw(values), matched))
        else:
            calls.append(Call("read" if kind == "read" else "write", began, ended, draw(values)))
    return calls


@given(any_calls())
@settings(max_examples=400, deadline=None)
def test_search_finds_what_trying_all_orders_finds(calls: list[Call]) -> None:
    assert judge(calls).judgement is by_trying_all(calls)


def test_both_judgements_come_from_calls_at_random() -> None:
    """So that the comparison above is not one of a constant."""
    assert judge([]).judgement is YES
    assert judge([read("a", 1, 2)]).judgement is NO


def test_a_read_may_see_a_write_that_is_under_way_or_not() -> None:
    assert judge([write("a", 1, 9), read("a", 2, 3)]).judgement is YES
    assert judge([write("a", 1, 9), read(None, 2, 3)]).judgement is YES


def test_what_one_reader_saw_the_next_one_sees() -> None:
    calls = [write("a", 1, 9), read("a", 2, 3), read(None, 4, 5)]
    assert judge(calls).judgement is NO


def test_a_read_after_an_acknowledged_write_is_not_old() -> None:
    calls = [write("a", 1, 2), write("b", 3, 4), read("a", 5, 6)]
    found = judge(calls)
    assert (found.judgement, found.stuck) == (NO, (2,))


def test_an_unknown_write_may_come_late_and_only_once() -> None:
    calls = [write("a", 1, NEVER), write("b", 2, 3), read("b", 4, 5), read("a", 6, 7)]
    assert judge(calls).judgement is YES
    assert judge([*calls, write("b", 8, 9), read("a", 10, 11)]).judgement is NO


def test_an_unknown_write_may_never_come() -> None:
    calls = [write("a", 1, 2), write("b", 3, NEVER), read("a", 4, 5)]
    assert judge(calls).judgement is YES


def test_of_two_swaps_from_one_value_one_wins() -> None:
    first = swap(None, "a", 1, 5, matched=True)
    assert judge([first, swap(None, "b", 2, 6, matched=False)]).judgement is YES
    assert judge([first, swap(None, "b", 2, 6, matched=True)]).judgement is NO


def test_a_swap_that_found_nothing_changes_nothing() -> None:
    calls = [write("a", 1, 2), swap("x", "b", 3, 4, matched=False), read("a", 5, 6)]
    assert judge(calls).judgement is YES


def test_instants_that_are_equal_are_at_the_same_time() -> None:
    assert judge([write("a", 1, 2), read(None, 2, 3)]).judgement is YES


def test_a_search_that_takes_too_long_decides_nothing() -> None:
    calls = [write(str(number), 1, NEVER) for number in range(12)]
    assert judge([*calls, read("x", 2, 3)], steps_max=100).judgement is Judgement.UNDECIDED


def of_a_run(seed: int, operations: int) -> list[Call]:
    """What clients saw of a register in a good history; one in ten never heard of its write."""
    story = Story(random.Random(seed))
    stories.register(story, "x", 10_000, operations=operations)
    answers = {one.operation: one for one in story.records if isinstance(one, Answered)}
    asked = [one for one in story.records if isinstance(one, Invoked)]
    called = [i7_registers.call_of(Operation(one, answers[one.operation])) for one in asked]
    return [call for call in called if call is not None]


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_operations_of_a_run_are_explained(seed: int) -> None:
    calls = of_a_run(seed, 1_000)
    assert sum(call.ended == NEVER for call in calls) > 50
    assert judge(calls).judgement is YES


@pytest.mark.parametrize("seed", range(3))
def test_one_stale_read_among_many_unknown_writes_is_found(seed: int) -> None:
    calls = of_a_run(seed, 300)
    end = max(call.began for call in calls) + 5_000
    old = next(call for call in calls if call.action == "write" and call.value and call.ended < end)
    assert sum(call.ended == NEVER for call in calls) > 20
    assert judge([*calls, read(old.value, end, end + 1)]).judgement is NO


def test_a_thousand_operations_of_ten_clients_take_few_steps() -> None:
    """Clients overlap all the time, and one in ten never hears what became of its write."""
    calls = []
    for number in range(500):
        began = number * 10
        ended = NEVER if number % 10 == 0 else began + 95
        calls.append(write(str(number), began, ended))
        calls.append(read(str(number), began + 5, began + 100))
    assert judge(calls, steps_max=20_000).judgement is YES
