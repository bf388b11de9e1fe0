"""A run in which a leader changed or a process died has no figures when nobody broke anything."""

from collections.abc import Mapping
from typing import cast

import pytest

from tests.bench import __main__ as bench
from tests.bench.figures import Figures, Scale
from tests.bench.site import Disturbed, Site

PROCESSES: Mapping[int, str] = {11: "n1 node", 12: "n1 worker", 13: "other"}
SCALE = Scale(is_quick=True, kills=0, pending=0)


class Seen:
    """A site of which epochs and processes are seen before and after, in turn."""

    def __init__(self, *, epochs: list[int], after: Mapping[int, str] = PROCESSES) -> None:
        self._epochs = epochs
        self._pids = [PROCESSES, after]

    async def epoch(self) -> int:
        return self._epochs.pop(0)

    def pids(self) -> Mapping[int, str]:
        return self._pids.pop(0)

    def check_alive(self, before: Mapping[int, str]) -> None:
        Site.check_alive(cast("Site", self), before)


async def nothing(_site: Site, _figures: Figures, _scale: Scale) -> None:
    """A workload that breaks nothing."""


async def measured(seen: Seen, name: str = "W1") -> None:
    known = bench.WORKLOADS[name]
    workload = bench.Workload(nothing, known.keeps_processes, known.keeps_leader)
    await bench._measure(cast("Site", seen), workload, SCALE, Figures(say=lambda _line: None))


async def test_the_same_leader_and_processes_are_no_disturbance() -> None:
    gone = {pid: role for pid, role in PROCESSES.items() if role != "other"}
    await measured(Seen(epochs=[3, 3], after={**gone, 20: "n1 worker"}))


@pytest.mark.parametrize("name", ["W1", "W2", "W4", "W5"])
async def test_another_leader_fails_the_run(name: str) -> None:
    with pytest.raises(Disturbed, match="another node leads"):
        await measured(Seen(epochs=[3, 4]), name)


@pytest.mark.parametrize("name", ["W1", "W2", "W5"])
async def test_a_process_that_died_fails_the_run(name: str) -> None:
    after = {11: "n1 node", 20: "n1 worker"}
    with pytest.raises(Disturbed, match="died without a fault: n1 worker"):
        await measured(Seen(epochs=[3, 3], after=after), name)
