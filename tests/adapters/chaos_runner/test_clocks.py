"""What Python reads as wall clock is moved while it runs; its monotonic clocks stay."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from chaos.faults.clock import Moved
from chaos.faults.fault import NotConfirmed
from chaos.runner import clocks
from chaos.runner.clocks import Clock
from chaos.runner.site import Site

_REFUSAL = clocks.why_not()
pytestmark = pytest.mark.skipif(bool(_REFUSAL), reason=_REFUSAL or "-")

HOUR_NS = 3_600 * 10**9
FAR_NS = HOUR_NS // 2
SOON_S = 0.2

# Tells for each line how far its wall clock and its monotonic clock are from what it read first.
_VICTIM = """
import sys, time
wall, monotonic = time.time_ns(), time.monotonic_ns()
print("up", flush=True)
for _ in sys.stdin:
    print(time.time_ns() - wall, time.monotonic_ns() - monotonic, flush=True)
"""


class Victim:
    """One process where a node would be."""

    def __init__(self, clock: Clock) -> None:
        self.clocks = {"n1": clock}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _VICTIM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **clock.environ},
        )
        assert self._line() == "up"

    async def ready(self, *nodes: str) -> None:
        """Always."""

    def passed_ns(self) -> tuple[int, int]:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        wall, monotonic = self._line().split()
        return int(wall), int(monotonic)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    made = Victim(clocks.make(clocks.compiled(tmp_path), tmp_path / "clock"))
    yield made
    made.process.kill()
    made.process.communicate()


@pytest.mark.parametrize("offset_ns", [-HOUR_NS, 24 * HOUR_NS])
def test_a_clock_jumps_and_jumps_back(victim: Victim, offset_ns: int) -> None:
    clock = victim.clocks["n1"]
    clock.move(offset_ns=offset_ns)

    wall, monotonic = victim.passed_ns()

    assert abs(wall - offset_ns) < FAR_NS
    assert monotonic < FAR_NS
    assert clock.reads() == 1
    assert clock.told_off_by_ns() == offset_ns
    clock.right()
    wall, monotonic = victim.passed_ns()
    assert abs(wall - monotonic) < FAR_NS
    assert clock.reads() == 1


def test_a_clock_drifts_away_from_the_monotonic_one(victim: Victim) -> None:
    clock = victim.clocks["n1"]
    # As much as nobody waits for: a thousand seconds in each.
    clock.move(drift_ppm=1_000_000_000)
    victim.passed_ns()

    first = clock.told_off_by_ns()
    victim.passed_ns()

    assert 0 < first < clock.told_off_by_ns()


def a_fault(**fields: float) -> Moved:
    return Moved(("n1",), HOUR_NS, 0, seconds=0.0, **fields)  # type: ignore[arg-type]


async def test_a_moved_clock_that_nobody_read_is_not_confirmed(victim: Victim) -> None:
    fault = a_fault(seen_within_s=SOON_S)
    await fault.begin(cast("Site", victim))

    with pytest.raises(NotConfirmed):
        await fault.confirm(cast("Site", victim))


async def test_a_moved_clock_that_was_read_is_confirmed_and_put_right(victim: Victim) -> None:
    fault = a_fault()
    await fault.begin(cast("Site", victim))
    victim.passed_ns()

    told = await fault.confirm(cast("Site", victim))

    assert told == {"reads": 1, "told_off_by_ms": HOUR_NS // 10**6}
    await fault.end(cast("Site", victim))
    assert abs(victim.passed_ns()[0]) < FAR_NS


def test_a_node_is_started_under_its_clock_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    seen: list[dict[str, str]] = []
    local = SimpleNamespace(node=lambda node: node, start=lambda _: seen.append(dict(os.environ)))
    before = dict(os.environ)
    clock = clocks.make(tmp_path / "library", tmp_path / "clock")
    parts = {"local": local, "links": None, "target": None, "http": None}
    site = Site(**parts, clocks={"n1": clock})  # type: ignore[arg-type]

    site.launch("n1")
    site.launch("n2")

    assert seen[0] == {**before, **clock.environ}
    assert seen[1] == dict(os.environ) == before
