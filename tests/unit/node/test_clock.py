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


def test_a_leader_that_heard_the_one_before_goes_on_from_there_and_does_not_jump() -> None:
    leader = Leader()
    leader.clock.heed(NOW_MS + 1_000, at_us=0)
    leader.at_us = 400_000
    leader.clock.claim(state_ms=NOW_MS)
    assert leader.clock.unheard_ms() == 400
    assert leader.hears(n2=NOW_MS + HOUR_MS, n3=NOW_MS + HOUR_MS) == NOW_MS + 1_400


def test_towards_a_majority_that_is_ahead_it_runs_half_as_fast_again_and_no_faster() -> None:
    leader = Leader()
    leader.clock.heed(NOW_MS, at_us=0)
    leader.clock.claim(state_ms=NOW_MS)
    leader.hears(n2=NOW_MS + 3_000, n3=NOW_MS + 3_000)
    leader.at_us = 2_000_000
    assert leader.clock.now_ms() == NOW_MS + 3_000
    assert leader.hears(n2=NOW_MS + 5_000, n3=NOW_MS + 5_000) == NOW_MS + 3_000
    leader.at_us = 10_000_000
    assert leader.clock.now_ms() == NOW_MS + 13_000


def test_away_from_a_majority_that_is_behind_it_runs_half_as_fast_and_never_back() -> None:
    leader = Leader()
    leader.clock.heed(NOW_MS, at_us=0)
    leader.clock.claim(state_ms=NOW_MS)
    leader.hears(n2=NOW_MS - 1_000, n3=NOW_MS - 1_000)
    leader.at_us = 1_000_000
    assert leader.clock.now_ms() == NOW_MS + 500
    leader.at_us = 4_000_000
    assert leader.clock.now_ms() == NOW_MS + 3_000


def test_the_beginning_is_over_a_second_behind_the_first_majority() -> None:
    leader = Leader()
    leader.clock.claim(state_ms=NOW_MS)
    assert leader.hears(n2=NOW_MS + HOUR_MS, n3=NOW_MS + HOUR_MS) == NOW_MS + HOUR_MS
    leader.at_us = 1_000_000
    later = leader.hears(n2=NOW_MS + 2 * HOUR_MS, n3=NOW_MS + 2 * HOUR_MS)
    assert later == NOW_MS + HOUR_MS + 1_000


def test_an_older_word_of_a_leader_does_not_set_time_back() -> None:
    leader = Leader()
    leader.clock.heed(NOW_MS + 500, at_us=0)
    leader.clock.heed(NOW_MS, at_us=100_000)
    leader.clock.claim(state_ms=NOW_MS)
    assert leader.clock.now_ms() == NOW_MS + 500


def test_offsets_are_told_of_voters_that_were_heard_of_late() -> None:
    leader = Leader()
    leader.clock.claim(state_ms=NOW_MS)
    leader.hears(n1=NOW_MS + HOUR_MS)
    assert leader.clock.offsets_ms() == {}
    leader.hears(n2=NOW_MS, n3=NOW_MS - 5)
    assert leader.clock.offsets_ms() == {"n1": HOUR_MS, "n2": 0, "n3": -5}
    leader.at_us = 6_000_000
    leader.hears(n2=NOW_MS + 6_000)
    assert leader.clock.offsets_ms() == {"n2": 0}


def test_of_two_clocks_that_differ_neither_is_off_while_the_third_was_not_heard() -> None:
    leader = Leader()
    leader.clock.claim(state_ms=NOW_MS)
    leader.hears(n1=NOW_MS + HOUR_MS, n2=NOW_MS)
    assert leader.clock.offsets_ms() == {"n1": 0, "n2": 0}
    leader.hears(n3=NOW_MS + 20)
    assert leader.clock.offsets_ms() == {"n1": HOUR_MS - 20, "n2": -20, "n3": 0}


def test_how_long_nobody_led_is_counted_from_the_last_word_of_a_leader() -> None:
    leader = Leader()
    assert leader.clock.unheard_ms() == 0
    leader.clock.heed(NOW_MS, at_us=0)
    leader.at_us = 1_700_000
    assert leader.clock.unheard_ms() == 1_700
