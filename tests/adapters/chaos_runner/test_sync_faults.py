"""Syncs of a living process that fail or take long, by strace, and are well again afterwards."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, cast

import pytest

from chaos.faults.disk import Syncs, why_not
from chaos.faults.fault import NotConfirmed
from chaos.runner.site import Site
from molecule.cli.local_process import Member

_REFUSAL = why_not()
pytestmark = pytest.mark.skipif(bool(_REFUSAL), reason=_REFUSAL or "-")

# Says how each sync ended, one after the other, for as long as somebody asks.
_VICTIM = """
import os, sys, tempfile
file = tempfile.TemporaryFile()
for _ in sys.stdin:
    try:
        os.fsync(file.fileno())
        print("ok", flush=True)
    except OSError as error:
        print(error.errno, flush=True)
"""


class Victim:
    """One process where a node would be."""

    def __init__(self) -> None:
        self.is_back = False
        self.process = subprocess.Popen(
            [sys.executable, "-c", _VICTIM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def members(self, node: str, role: str) -> list[Member]:
        assert node == "n1"
        is_there = role == "node" and self.process.poll() is None
        return [Member(self.process.pid, "", "S")] if is_there else []

    async def ready(self, *nodes: str) -> None:
        """Always."""

    async def back(self, node: str) -> None:
        self.is_back = node == "n1"

    def sync(self) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def victim() -> Iterator[Victim]:
    made = Victim()
    yield made
    made.process.kill()
    made.process.communicate()


def a_fault(**change: Any) -> Syncs:
    fields = {"change": "error=EIO:when=1", "mark": "(INJECTED)", "seconds": 0.0, **change}
    return Syncs("sync_fails", ("n1",), unseats=False, **fields)


async def attached(fault: Syncs, victim: Victim) -> Site:
    site = cast("Site", victim)
    await fault.begin(site)
    return site


async def test_one_sync_fails_and_the_next_one_does_not(victim: Victim) -> None:
    assert victim.sync() == "ok"
    fault = a_fault()
    site = await attached(fault, victim)
    told = ["ok"]
    while told[-1] == "ok":  # until strace has attached
        told.append(victim.sync())

    assert (await fault.confirm(site))["syncs_changed"] == 1

    assert told[-1] == "5"
    assert victim.sync() == "ok"
    await fault.end(site)
    assert victim.sync() == "ok"


async def test_a_process_that_syncs_nothing_confirms_nothing(victim: Victim) -> None:
    fault = a_fault(hits_within_s=0.2)
    site = await attached(fault, victim)
    with pytest.raises(NotConfirmed):
        await fault.confirm(site)
    await fault.end(site)
    assert victim.sync() == "ok"


async def test_a_process_that_lives_through_failing_syncs_confirms_nothing(victim: Victim) -> None:
    fault = a_fault(change="error=EIO", for_good=True, hits_within_s=0.5)
    site = await attached(fault, victim)
    while victim.sync() == "ok":
        pass

    with pytest.raises(NotConfirmed, match="the end of its process"):
        await fault.confirm(site)

    assert victim.sync() == "5"
    await fault.end(site)
    assert victim.sync() == "ok"
    assert victim.is_back


async def test_a_process_that_ends_of_failing_syncs_is_started_again(victim: Victim) -> None:
    fault = a_fault(change="error=EIO", for_good=True)
    site = await attached(fault, victim)
    while victim.sync() == "ok":
        pass
    victim.process.kill()
    victim.process.wait()

    assert (await fault.confirm(site))["syncs_changed"] >= 1

    await fault.end(site)
    assert victim.is_back
