"""Cluster time: runs with the leader's monotonic clock, and believes no single wall clock."""

from molecule.node.clock import ClusterClock

HOUR_MS = 3_600_000
NOW_MS = 1_700_000_000_000


class Leader:
    """A leader of three voters whose own wall clock is an hour ahead."""

    def __init__(self) -> None:
        self.at_us = 0
        self.clock = ClusterClock(
            ("n1", "n2", "n3"),
            now_us=lambda: self.at_us,
            wall=lambda: NOW_MS + HOUR_MS + self.at_us // 1000,
        )

    def hears(self, **told: int) -> int:
        for node, wall_clock_ms in told.items():
            self.clock.hear(node, wall_clock_ms=wall_clock_ms, at_us=self.at_us)
        return self.clock.now_ms()


def test_a_new_leader_whose_clock_is_ahead_does_not_move_the_time_of_the_cluster() -> None:
    leader = Leader()
    leader.clock.claim(state_ms=NOW_MS)
    assert leader.hears(n1=NOW_MS + HOUR_MS) == NOW_MS
    assert leader.hears(n2=NOW_MS + 10, n3=NOW_MS + 20) == NOW_MS + 20


def test_time_that_passed_without_a_leader_is_made_good_by_a_majority() -> None:
    leader = Leader()
    leader.clock.claim(state_ms=NOW_MS)
    assert leader.hears(n2=NOW_MS + 90_000) == NOW_MS
    assert leader.hears(n3=NOW_MS + 95_000) == NOW_MS + 90_000


def test_time_goes_on_with_the_monotonic_clock_and_never_back() -> None:
    leader = Leader()
    leader.clock.claim(state_ms=NOW_MS)
    leader.at_us = 5_000_000
    assert leader.hears(n2=NOW_MS - HOUR_MS, n3=NOW_MS - HOUR_MS) == NOW_MS + 5_000


def test_only_voters_are_asked_for_the_time() -> None:
    leader = Leader()
    leader.clock.claim(state_ms=NOW_MS)
    assert leader.hears(w1=NOW_MS + HOUR_MS, w2=NOW_MS + HOUR_MS, n2=NOW_MS + HOUR_MS) == NOW_MS


def test_the_first_leader_of_all_begins_with_its_own_clock() -> None:
    leader = Leader()
    leader.clock.claim(state_ms=0)
    assert leader.clock.now_ms() == NOW_MS + HOUR_MS


def test_what_is_stamped_before_the_claim_moves_no_time() -> None:
    assert Leader().clock.now_ms() == 0
