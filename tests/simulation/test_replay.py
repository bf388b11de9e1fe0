"""A failure is worth its seed: the same seed is the same run, in any process."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.campaign import explain
from tests.simulation.setups import Setup

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("member", ["replica", "library"])
def test_same_seed_gives_the_same_run(member: str) -> None:
    seed = secrets.randbits(32)
    setup = Setup(faults=40, member="library" if member == "library" else "replica")

    first, second = setup.run(seed), setup.run(seed)

    assert first.trace_hash == second.trace_hash
    assert first == second


def test_different_seeds_give_different_runs() -> None:
    seed = secrets.randbits(32)

    assert Setup(faults=5).run(seed).trace_hash != Setup(faults=5).run(seed + 1).trace_hash


@pytest.mark.parametrize("member", ["replica", "library"])
def test_order_of_sets_does_not_matter(member: str) -> None:
    seed = secrets.randbits(32)
    command = f"-m tests.simulation.run --no-minimise --member {member} --faults 30 --voters 5"

    told = [
        subprocess.run(
            [sys.executable, *command.split(), "--seed", str(seed)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=False,
        ).stdout.splitlines()[0]
        for hash_seed in ("1", "2")
    ]

    assert told[0] == told[1]
    assert "trace" in told[0]


def test_failure_tells_how_to_replay_it_and_which_faults_are_enough() -> None:
    setup = Setup(faults=30, guards_off=(3,))
    report = next(report for seed in range(100) if (report := setup.run(seed)).violation)

    text = explain(report, setup)

    assert f"--seed {report.seed} --voters 3 --faults 30 --guards-off 3" in text
    assert str(report.violation) in text
    assert f"of {len(report.plan)} faults are enough" in text
