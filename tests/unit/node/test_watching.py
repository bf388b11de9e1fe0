"""What a node watches: clocks that are off, executions that are unaccounted for."""

from molecule.cluster.apply import StateMachine
from molecule.cluster.outcome import Applied
from molecule.config import Limits
from molecule.node.clock import ClusterClock
from molecule.node.clock_watch import ClockWatch
from molecule.node.conservation import Conservation
from molecule.node.replica import Replica
from molecule.storage.rows import Batch, Mark
from molecule.telemetry.node_metrics import NodeMetrics
from tests.unit.cluster import builders

NOW_MS = 1_700_000_000_000


class Watched:
    """Node n1 leads three voters whose wall clocks are as told."""

    def __init__(self, *, leads: bool = True, **wall_clocks: int) -> None:
        clock = ClusterClock(("n1", "n2", "n3"), now_us=lambda: 0, wall=lambda: NOW_MS)
        clock.claim(state_ms=NOW_MS)
        for node, ahead_ms in wall_clocks.items():
            clock.hear(node, wall_clock_ms=NOW_MS + ahead_ms, at_us=0)
        self.handed_to: list[str | None] = []
        self.metrics = NodeMetrics(software="0", limits=Limits())
        self.watch = ClockWatch(
            me="n1",
            clock=clock,
            leads=lambda: leads,
            transfer=self._transfer,
            metrics=self.metrics,
            limits=Limits(),
        )

    def _transfer(self, to: str | None = None) -> None:
        self.handed_to.append(to)

    def look(self, times: int = 3) -> str:
        for _ in range(times):
            self.watch.look()
        return self.metrics.render().decode()


def test_a_leader_that_is_off_hands_over_to_the_voter_nearest_to_the_median() -> None:
    watched = Watched(n1=2_001, n2=0, n3=-1_500)
    text = watched.look()
    assert watched.handed_to == ["n2"]
    assert 'molecule_raft_clock_offset_seconds{peer="n1"} 2.001' in text
    assert 'molecule_alarms_total{name="clock_offset"} 1.0' in text


def test_another_voter_that_is_off_raises_one_alarm_and_moves_nothing() -> None:
    watched = Watched(n1=0, n2=10, n3=-60_000)
    watched.look()
    assert 'molecule_alarms_total{name="clock_offset"} 1.0' in watched.look()
    assert watched.handed_to == []


def test_a_heartbeat_that_was_held_up_is_no_clock_that_is_off() -> None:
    watched = Watched(n1=-5_000, n2=0, n3=0)
    assert 'molecule_alarms_total{name="clock_offset"}' not in watched.look(times=2)
    assert watched.handed_to == []


def test_two_seconds_are_not_too_much() -> None:
    watched = Watched(n1=2_000, n2=0, n3=0)
    assert "clock_offset" not in watched.look().replace("clock_offset_seconds", "")
    assert watched.handed_to == []


def test_without_a_majority_nobody_is_judged() -> None:
    watched = Watched(n1=60_000)
    watched.look()
    assert watched.handed_to == []


def test_who_does_not_lead_judges_nobody() -> None:
    watched = Watched(leads=False, n1=60_000, n2=0, n3=0)
    assert "molecule_raft_clock_offset_seconds{" not in watched.look()
    assert watched.handed_to == []


class NoStore:
    """Keeps nothing."""

    def stage(self, batch: Batch) -> None:
        """Drop it."""

    async def flush(self) -> Mark | None:
        """There is nothing to write."""
        return None


def accounted(machine: StateMachine) -> tuple[Conservation, NodeMetrics]:
    metrics = NodeMetrics(software="0", limits=Limits())
    return Conservation(replica=Replica(machine, NoStore(), Limits()), metrics=metrics), metrics


def test_a_planted_difference_is_found_and_alarmed_once() -> None:
    replica = builders.Replica()
    for name in ("e1", "e2", "e3"):
        assert isinstance(replica.submit(name), Applied)
    conservation, metrics = accounted(replica.machine)
    conservation.look()
    assert "molecule_conservation_gap 0.0" in metrics.render().decode()
    # One execution vanishes from the table, as no command ever lets it.
    del replica.state.executions[next(iter(replica.state.executions))]
    conservation.look()
    conservation.look()
    text = metrics.render().decode()
    assert "molecule_conservation_gap 1.0" in text
    assert 'molecule_alarms_total{name="conservation_gap"} 1.0' in text


def test_a_total_that_was_counted_twice_is_found() -> None:
    replica = builders.Replica()
    replica.submit("e1")
    replica.state.totals["accepted"] += 1
    conservation, metrics = accounted(replica.machine)
    conservation.look()
    assert "molecule_conservation_gap 1.0" in metrics.render().decode()
