"""Cluster time in a worker: carried on between two words of the leader, and corrected by each."""

from molecule.worker.cluster_clock import ClusterClock


class Machine:
    """Its monotonic clock, by hand."""

    def __init__(self) -> None:
        self.at_s = 100.0
        self.clock = ClusterClock(lambda: self.at_s)

    def passes(self, seconds: float) -> None:
        self.at_s += seconds


def test_before_the_first_word_there_is_no_time() -> None:
    assert Machine().clock.now_ms() == 0


def test_time_goes_on_between_two_words() -> None:
    machine = Machine()
    machine.clock.hear(5_000)
    machine.passes(0.25)
    assert machine.clock.now_ms() == 5_250


def test_a_clock_that_is_fast_stays_ahead_by_no_more_than_between_two_words() -> None:
    machine = Machine()
    machine.clock.hear(5_000)
    for word in range(1, 1_001):
        machine.passes(0.26)  # and the leader counts a quarter of a second
        machine.clock.hear(5_000 + 250 * word)
    machine.passes(0.25)
    assert abs(machine.clock.now_ms() - (5_000 + 250 * 1_001)) <= 10


def test_time_never_goes_back() -> None:
    machine = Machine()
    machine.clock.hear(5_000)
    machine.passes(1.0)
    assert machine.clock.now_ms() == 6_000
    machine.clock.hear(5_500)  # it was long on its way
    assert machine.clock.now_ms() == 6_000
    machine.passes(0.25)
    assert machine.clock.now_ms() == 6_000
    machine.passes(0.5)
    assert machine.clock.now_ms() == 6_250
