"""Fresh seeds in every run: no mix of faults breaks what consensus promises."""

import secrets

import pytest

from tests.simulation.campaign import Sum, all_setups, run_some
from tests.simulation.setups import Setup

# Together about 20,000 faults; each part is a test of its own, so that cores can share them.
PARTS = 10
FAULTS_OF_A_PART = 2_000
ELECTION_TIMEOUT_S = 0.6


def _run_until(faults: int) -> Sum:
    total = Sum()
    for setup in all_setups(secrets.randbits(40), faults=150):
        total.merge(run_some((setup,)))
        if total.failures or total.faults >= faults:
            break
    return total


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_replicas_keep_every_promise_under_faults(part: int) -> None:
    total = _run_until(FAULTS_OF_A_PART)

    assert not total.failures, "\n\n".join(failure.text for failure in total.failures)
    # A run that proves nothing fails: work was done and leaders changed while faults struck.
    assert total.written > total.runs * 10
    assert total.read > total.runs * 3
    assert total.leader_changes > total.runs
    # 99 % within three election timeouts, with room for chance in a small sample. The bound of
    # ten timeouts is an invariant of every single run.
    late = [seconds for seconds in total.leader_after_s if seconds > 3 * ELECTION_TIMEOUT_S]
    assert len(late) <= 2 + 0.02 * len(total.leader_after_s), total.leader_after_s


@pytest.mark.parametrize("voters", [1, 3, 5])
def test_replicas_without_faults_elect_once_and_answer_everything(voters: int) -> None:
    # Short runs: in one of them clients may ask for nothing of a kind.
    reports = [Setup(voters=voters, faults=0).run(secrets.randbits(32)) for _ in range(5)]

    assert [report.violation for report in reports] == [None] * 5
    assert not any(report.struck for report in reports)
    assert sum(report.tally.written for report in reports) > 0
    assert sum(report.tally.read for report in reports) > 0
