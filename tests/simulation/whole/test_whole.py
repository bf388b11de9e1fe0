"""Whole nodes under faults: fresh seeds in every run, and what a run must have shown."""

import secrets

import pytest

from tests.simulation.campaign import explain
from tests.simulation.whole.setups import WholeSetup, run
from tests.simulation.whole.world import WholeWorld

PARTS = 2
RUNS_OF_A_PART = 3
FAULTS = 30


def _seen(world: WholeWorld) -> tuple[int, int, int]:
    promises = world.promises
    return len(promises.executions), promises.moved, promises.effects


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_whole_nodes_keep_the_contract_under_faults(part: int) -> None:
    executions = moved = effects = struck = 0
    for turn in range(RUNS_OF_A_PART):
        setup = WholeSetup(voters=5 if turn == 0 and part == 0 else 3, faults=FAULTS)
        report, seen = run(secrets.randbits(40), setup, look=_seen)
        assert report.violation is None, explain(report, setup)
        executions, moved, effects = executions + seen[0], moved + seen[1], effects + seen[2]
        struck += report.struck

    # A run that proves nothing fails.
    assert struck > RUNS_OF_A_PART * 5
    assert effects > executions > RUNS_OF_A_PART * 5
    assert moved > 0


def test_without_faults_everything_ends() -> None:
    report, (executions, _, effects) = run(secrets.randbits(40), WholeSetup(faults=0), look=_seen)

    assert report.violation is None
    assert executions > 0
    assert effects > 0


def test_a_seed_replays_event_for_event() -> None:
    seed = secrets.randbits(40)
    setup = WholeSetup(faults=12)

    hashes = {setup.run(seed).trace_hash for _ in range(2)}

    assert len(hashes) == 1, setup.command(seed)
