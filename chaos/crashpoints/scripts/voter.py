"""A voter as a node opens and runs it: one data folder with journal, `state.db` and documents.

After a crash what was accepted has its execution and the bytes of its input, whatever of it stood
in which of the three; a node whose first start was cut off starts.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.crashpoints.script import begin, demand, done
from molecule.cluster.outcome import Applied
from molecule.config import Headroom, Limits, NodeConfig, TlsFiles
from molecule.model.ids import ExecutionId
from molecule.node.opening import Opened, open_data
from molecule.node.replica import Replica
from molecule.raft.driver import RaftDriver
from molecule.raft.outbox import Role, SnapshotMark
from molecule.raft.settings import Bounds, Timing
from molecule.storage.rows import EMPTY_MARK
from molecule.wire.v1 import commands_pb2 as c

BOUNDS = Bounds(segment_bytes=2048, reserve_bytes=256, entries_kept=2, bytes_kept=600)
STEPS = 16
_TIMING = Timing(election_min=0.01, election_max=0.02, step_down=5.0, keepalive=0.1)
_LIMITS = Limits(flush_rows_max=12, flush_interval_ms=5, document_small_bytes_max=1_000)
_FOLDER = "data"
_LARGE_BYTES = 5_000
_SETUP = 1
"""The step that makes the folder, forms the cluster and deploys a process."""
_ENVIRONMENT, _PROCESS = "test", "orders"
_AT_MS = 1_700_000_000_000


@dataclass
class _Voter:
    """One life of it."""

    opened: Opened
    replica: Replica
    driver: RaftDriver
    saved: int = 0
    has_saved: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self, **kind: Any) -> object:
        """Commit one command; its outcome."""
        entry = c.Entry(at_ms=_AT_MS, commands=[c.Command(version=1, **kind)])
        applied: Any = await self.driver.propose(entry.SerializeToString())
        return applied[1][0]

    async def saves(self) -> None:
        """Return when the journal was told that all accepted so far is in `state.db`."""
        while self.saved < self.replica.state.index:
            await self.has_saved.wait()
            self.has_saved.clear()

    async def flush(self) -> None:
        """Write the state again and again, and let the journal go below it."""
        async for mark in self.replica.flushes():
            self.driver.saved(SnapshotMark(mark.index, mark.term))
            self.saved = mark.index
            self.has_saved.set()


class _Alone:
    """The transport of a cluster of one: there is nobody to speak to."""

    def follow(self, addresses: Mapping[str, str]) -> None:
        """There are no others."""

    def send(self, peer: str, connection: int, frame: bytes) -> None:
        """Nobody hears it."""


class VoterScript:
    """See above."""

    def run(self, folder: Path) -> None:
        """Start (1), then accept an execution in each step while state is flushed beside it."""
        asyncio.run(_run(folder))

    def check(self, folder: Path, begun: int, done: int) -> None:
        """Start again, look for each execution and its input, accept one more, start once more."""
        asyncio.run(_check(folder, begun, done))


async def _run(folder: Path) -> None:
    begin(_SETUP)
    async with _started(folder) as voter:
        await _set_up(voter)
        done(_SETUP)
        for step in range(_SETUP + 1, STEPS + 1):
            begin(step)
            await _accept(voter, step)
            done(step)
            if step % 3 == 0:
                await voter.saves()


async def _check(folder: Path, begun: int, done: int) -> None:
    async with _started(folder) as voter:
        if not done:
            await _set_up(voter)
        for step in range(_SETUP + 1, STEPS + 1):
            await _demand_kept(voter, step, begun, done)
        await _accept(voter, STEPS + 1)
    async with _started(folder) as voter:
        await _demand_kept(voter, STEPS + 1, STEPS + 1, STEPS + 1)


async def _demand_kept(voter: _Voter, step: int, begun: int, done: int) -> None:
    known = voter.replica.state.executions.get(ExecutionId(f"e{step}"))
    demand(known or step > done, f"the execution of step {step} is gone")
    demand(not known or step <= begun, f"the execution of step {step} was never submitted")
    if known:
        row = await voter.opened.store.payload(known.id, "input")
        demand(row is not None, f"the row of the input of step {step} is gone")
        for digest in known.input.digests:
            found = await voter.opened.documents.get(digest)
            demand(found == _body(step), f"the input of step {step} is gone or has other bytes")


async def _set_up(voter: _Voter) -> None:
    await voter.say(claim_leadership=c.ClaimLeadership(node="n1"))
    await voter.say(register_node=c.RegisterNode(node="n1", life="1", voter=True))
    await voter.say(put_environment=c.PutEnvironment(environment=_ENVIRONMENT, digest="1"))
    package = c.Payload(inline=b"package")
    await voter.say(put_version=c.PutVersion(process=_PROCESS, version="v1", package=package))
    await voter.say(
        activate_version=c.ActivateVersion(environment=_ENVIRONMENT, process=_PROCESS, version="v1")
    )


async def _accept(voter: _Voter, step: int) -> None:
    reference = await voter.opened.documents.put(_body(step))
    stored = c.DocumentRef(digest=reference.digest, size_bytes=reference.size_bytes)
    outcome = await voter.say(
        submit_execution=c.SubmitExecution(
            execution=f"e{step}",
            idempotency_key=f"k{step}",
            body_digest=reference.digest,
            environment=_ENVIRONMENT,
            process=_PROCESS,
            input=c.Payload(stored=stored),
        )
    )
    demand(isinstance(outcome, Applied), f"step {step} was not accepted: {outcome}")


def _body(step: int) -> bytes:
    return bytes([step]) * (_LARGE_BYTES if step % 2 else 50)


@asynccontextmanager
async def _started(folder: Path) -> AsyncIterator[_Voter]:
    """As `node.runtime` does it, without a network."""
    opened = await open_data(_config(folder), bounds=BOUNDS)
    fatal: list[str] = []
    replica = Replica(opened.machine, opened.store, _LIMITS)
    mark = opened.store.mark
    driver = RaftDriver(
        folder=opened.folder,
        timing=_TIMING,
        snapshot=SnapshotMark(mark.index, mark.term) if mark != EMPTY_MARK else None,
        state_machine=replica,
        transport=_Alone(),
        snapshot_sender=None,  # type: ignore[arg-type]  # there is nobody to send one to
        snapshot_store=None,  # type: ignore[arg-type]  # and nobody sends one
        on_fatal=fatal.append,
        on_installed=lambda _: None,
        bounds=BOUNDS,
    )
    leads = asyncio.Event()

    def heard(role: Role) -> None:
        if role.is_leader:
            leads.set()

    driver.on_role(heard)
    flushing = None
    try:
        await driver.start()
        voter = _Voter(opened, replica, driver)
        flushing = asyncio.create_task(voter.flush())
        await leads.wait()
        await driver.barrier()
        yield voter
        demand(not fatal, f"it stopped: {fatal}")
    finally:
        if flushing is not None:
            flushing.cancel()
            await asyncio.gather(flushing, return_exceptions=True)
        await driver.stop()
        await opened.close()


def _config(folder: Path) -> NodeConfig:
    nothing = TlsFiles(ca="", certificate="", key="")
    return NodeConfig(
        id="n1",
        data=str(folder / _FOLDER),
        tls=nothing,
        admin_token_file="",
        limits=_LIMITS,
        # A file as large as a part of the disk says nothing here.
        headroom=Headroom(reserve_held_from_percent=95),
    )
