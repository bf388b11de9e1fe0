"""How full the fullest voter is decides what may enter."""

import pytest

from molecule.cluster.state import ClusterState
from molecule.config import Headroom
from molecule.model.disk import DiskReport, Level
from molecule.model.ids import NodeId
from molecule.scheduler import headroom
from tests.unit.cluster.builders import Replica

GB = 1024**3
SETTINGS = Headroom()


def a_disk(used_percent: float, *, total: int = 1000 * GB, reserve: int = GB) -> DiskReport:
    available = round(total * (100 - used_percent) / 100)
    return DiskReport(total_bytes=total, available_bytes=available, reserve_bytes=reserve)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (0, Level.ROOMY),
        (79.9, Level.ROOMY),
        (80, Level.PURGE_EARLY),
        (89.9, Level.PURGE_EARLY),
        (90, Level.NO_DOCUMENTS),
        (94.9, Level.NO_DOCUMENTS),
        (95, Level.NO_SUBMISSIONS),
        (100, Level.NO_SUBMISSIONS),
    ],
)
def test_the_level_rises_at_its_percents(used: float, expected: Level) -> None:
    assert headroom.level(a_disk(used), SETTINGS) is expected


def test_on_a_small_volume_the_reserve_is_kept_before_the_percents() -> None:
    disk = a_disk(60, total=GB, reserve=GB // 2)
    assert headroom.level(disk, SETTINGS) is Level.NO_SUBMISSIONS


@pytest.mark.parametrize(
    "disk", [DiskReport(0, 0, 0), DiskReport(100, 200, 0), DiskReport(100, -1, 0)]
)
def test_a_senseless_report_errs_to_safety(disk: DiskReport) -> None:
    assert headroom.level(disk, SETTINGS) is Level.NO_DOCUMENTS


def _voters(**up: bool) -> ClusterState:
    replica = Replica(nodes=0)
    for name, is_up in up.items():
        replica.register(name, voter=True)
        replica.state.nodes[NodeId(name)].is_up = is_up
    return replica.state


def test_the_fullest_voter_counts() -> None:
    state = _voters(n1=True, n2=True, n3=True)
    disks = {NodeId("n1"): a_disk(10), NodeId("n2"): a_disk(96), NodeId("n3"): a_disk(91)}
    assert headroom.admission(state, disks, SETTINGS) == (Level.NO_SUBMISSIONS, "n2")


def test_a_voter_that_is_down_does_not_count() -> None:
    state = _voters(n1=True, n2=False)
    disks = {NodeId("n1"): a_disk(85), NodeId("n2"): a_disk(99)}
    assert headroom.admission(state, disks, SETTINGS) == (Level.PURGE_EARLY, "n1")


def test_a_voter_that_was_not_heard_yet_says_nothing() -> None:
    state = _voters(n1=True, n2=True)
    assert headroom.admission(state, {}, SETTINGS) == (Level.ROOMY, "")


def test_a_worker_node_fills_its_own_disk_only() -> None:
    state = _voters(n1=True)
    state.nodes[NodeId("n1")].voter = False
    assert headroom.admission(state, {NodeId("n1"): a_disk(99)}, SETTINGS).level is Level.ROOMY
