"""Stuck or starved: who had no processor is not to blame for the renewals that it missed."""

import os

import pytest

from molecule.node.starving import Starving, Times, read

LEASE_US = 2_500_000
STEP_US = LEASE_US // 20


def looked_at(*, ran: float, waited: float, count: int = 30) -> tuple[Starving, int]:
    """A worker that ran and waited for these parts of the time, and when it was last looked at."""
    starving = Starving(lease_us=LEASE_US)
    for number in range(count):
        at_us = number * STEP_US
        times = Times(ran_us=int(at_us * ran), waited_us=int(at_us * waited))
        starving.note("w1", times, now_us=at_us)
    return starving, (count - 1) * STEP_US


@pytest.mark.parametrize(
    ("ran", "waited", "is_starved"),
    [
        (0.05, 0.90, True),
        (0.15, 0.60, True),
        (0.00, 0.00, False),  # it sleeps, or waits for a target in its loop
        (0.95, 0.05, False),  # it computes without end
        (0.40, 0.60, False),  # the same on a busy machine
        (0.10, 0.30, False),
    ],
)
def test_who_waits_for_a_processor_and_hardly_runs_is_starved(
    ran: float, waited: float, is_starved: bool
) -> None:
    starving, now_us = looked_at(ran=ran, waited=waited)
    assert starving.take_out("w1", now_us=now_us + STEP_US) is is_starved


def test_what_was_long_ago_does_not_count() -> None:
    starving, now_us = looked_at(ran=0.0, waited=1.0)
    for number in range(1, 25):
        times = Times(ran_us=number * STEP_US, waited_us=now_us)
        starving.note("w1", times, now_us=now_us + number * STEP_US)
    assert not starving.take_out("w1", now_us=now_us + 25 * STEP_US)


def test_a_node_that_could_not_even_look_blames_nobody() -> None:
    starving, now_us = looked_at(ran=0.0, waited=0.0)
    assert starving.take_out("w1", now_us=now_us + LEASE_US // 2)


def test_of_somebody_unknown_or_seen_for_a_moment_nothing_is_said() -> None:
    starving, now_us = looked_at(ran=0.0, waited=1.0, count=3)
    assert not starving.take_out("w1", now_us=now_us)
    assert not starving.take_out("w1", now_us=now_us), "it is forgotten"


def test_an_idle_worker_is_looked_at_less_often() -> None:
    starving, now_us = looked_at(ran=0.0, waited=0.0)
    soon_us = now_us + STEP_US
    assert starving.is_due("w1", is_idle=False, now_us=soon_us)
    assert not starving.is_due("w1", is_idle=True, now_us=soon_us)
    assert starving.is_due("w1", is_idle=True, now_us=now_us + LEASE_US // 5)


def test_as_few_looks_as_at_an_idle_worker_tell_that_it_is_starved() -> None:
    starving = Starving(lease_us=LEASE_US)
    for at_us in range(0, LEASE_US, LEASE_US // 5):
        starving.note("w1", Times(ran_us=0, waited_us=at_us), now_us=at_us)
    assert starving.take_out("w1", now_us=LEASE_US)


def test_the_kernel_tells_of_processes_that_are_there() -> None:
    first = read(os.getpid())
    assert first is not None
    sum(range(2_000_000))
    later = read(os.getpid())
    assert later is not None
    assert later.ran_us > first.ran_us
    assert read(2**22 + 1) is None
