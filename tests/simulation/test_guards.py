"""Each guard is needed: without it, and in the unmodified library, an invariant breaks.

Seeds are fresh in every run. A guard whose removal is not noticed here is not tested anywhere.
"""

import secrets
import socket

import pytest

from tests.simulation.library_copy import library
from tests.simulation.setups import ROWS, Setup
from tests.simulation.world import Report

# Row 9 needs the most seeds: one run of eleven breaks, so 200 in a row do not fail by chance.
SEEDS_MAX = 200
FAULTS = 60


def _first_broken(setups: list[Setup]) -> Report | None:
    """The first run that breaks what an outsider can see."""
    for attempt in range(SEEDS_MAX):
        report = setups[attempt % len(setups)].run(secrets.randbits(40))
        if report.violation is not None:
            return report
    return None


@pytest.mark.parametrize("row", ROWS)
def test_replica_without_a_guard_breaks_an_invariant(row: int) -> None:
    counts = (5,) if row == 5 else (3, 5)

    broken = _first_broken(
        [Setup(voters=voters, faults=FAULTS, guards_off=(row,)) for voters in counts]
    )

    assert broken is not None, f"nobody noticed that the guard of row {row} is off"


@pytest.mark.parametrize("row", ROWS)
def test_unmodified_library_breaks_an_invariant_where_each_guard_stands(row: int) -> None:
    broken = _first_broken(
        [Setup(voters=voters, faults=FAULTS, member="library", aim=row) for voters in (3, 5)]
    )

    assert broken is not None, f"the library survived what row {row} is about"


@pytest.mark.parametrize("row", ROWS)
def test_replica_with_all_guards_survives_what_breaks_it_without(row: int) -> None:
    for voters in (3, 5):
        seed = secrets.randbits(40)
        setup = Setup(voters=voters, faults=20, aim=row)

        report = setup.run(seed)

        assert report.violation is None, f"{report.violation}\n{setup.command(seed)}"


def test_the_unmodified_library_leaves_the_socket_module_to_others() -> None:
    library()

    assert socket.inet_ntop(socket.AF_INET6, bytes(15) + b"\x01") == "::1"
