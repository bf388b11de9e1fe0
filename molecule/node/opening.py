"""What a life of a node process begins with: what it was told, its agent, its data folder, loaded.

What must stay true: a folder that cannot be trusted stops the node with a message; it never
starts empty.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from molecule import __version__
from molecule.cluster.apply import StateMachine
from molecule.config import NodeConfig
from molecule.node import clock
from molecule.node.agent_rounds import AgentRounds
from molecule.node.seats import Seats
from molecule.raft.generation import DataFolder, open_data_folder
from molecule.raft.settings import Bounds
from molecule.storage.documents import DocumentStore
from molecule.storage.reserve import Reserve
from molecule.storage.rows import EMPTY_MARK
from molecule.storage.state_store import StateStore
from molecule.wire.v1 import commands_pb2 as c


@dataclass(frozen=True, slots=True)
class Told:
    """What the supervisor told this life of the node process."""

    life: str
    socket_path: Path
    secret: str
    control_fd: int
    wall: Callable[[], int] = clock.wall_ms
    """The wall clock that this node goes by."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The data folder and what was read from it."""

    folder: DataFolder
    store: StateStore
    documents: DocumentStore
    machine: StateMachine

    async def failed(self) -> NoReturn:
        """Raise what broke the document store, once something did: only a new life mends it."""
        raise await self.documents.failed()

    async def close(self) -> None:
        """Give everything back; the folder last, so that nobody else opens it too early."""
        await self.store.close()
        await self.documents.close()
        self.folder.close()


def registration(config: NodeConfig, told: Told) -> c.RegisterNode:
    """How this life of the node presents itself to the cluster."""
    return c.RegisterNode(
        node=config.id,
        life=told.life,
        labels=config.labels,
        zone=config.zone,
        slots=config.slots,
        rpc_address=config.rpc if config.role == "voter" else "",
        http_address=config.http if config.role == "voter" else "",
        software=__version__,
        voter=config.role == "voter",
        signs=config.ca_key is not None,
    )


def agent_rounds(config: NodeConfig, told: Told) -> AgentRounds:
    """What decides for the agent of this life, as large as this machine is."""
    lease_us = config.effective_timing.lease_ms * 1000
    return AgentRounds(
        node=config.id,
        life=told.life,
        seats=Seats(
            shared_max=config.workers,
            starting_max=len(os.sched_getaffinity(0)),
            lease_us=lease_us,
            limits=config.limits,
        ),
        lease_us=lease_us,
        limits=config.limits,
    )


async def open_data(config: NodeConfig, *, bounds: Bounds | None = None) -> Opened:
    """Lock, check and load. Raises `DamagedData` with what is wrong and what to do.

    `bounds`: of a new journal.
    """
    folder = await asyncio.to_thread(
        open_data_folder,
        Path(config.data),
        cluster=config.cluster,
        node=config.id,
        voters=config.voters,
        new_birth=secrets.token_hex(16),
        bounds=bounds,
    )
    try:
        # On a full disk even opening needs a little room; it comes out of the reserve.
        with contextlib.suppress(OSError):
            await asyncio.to_thread(Reserve(Path(config.data), config.headroom).keep)
        return await _loaded(config, folder)
    except BaseException:
        folder.close()
        raise


async def _loaded(config: NodeConfig, folder: DataFolder) -> Opened:
    state_file = folder.generation.state
    if await asyncio.to_thread(state_file.exists):
        store = await StateStore.open(state_file, limits=config.limits)
    else:
        store = await StateStore.create(state_file, limits=config.limits)
    try:
        machine = await _restored(store)
        documents = await DocumentStore.open(
            Path(config.data) / "documents",
            limits=config.limits,
            clock_ms=lambda: clock.boottime_us() // 1000,
        )
    except BaseException:
        # Its thread would keep the process alive after the message of what is wrong.
        await store.close()
        raise
    return Opened(folder, store, documents, machine)


async def _restored(store: StateStore) -> StateMachine:
    mark = store.mark
    if mark == EMPTY_MARK:
        return StateMachine()
    rows = ((row.table, row.key.decode(), row.value) for row in store.snapshot_rows())
    return await asyncio.to_thread(
        StateMachine.restore, rows, index=mark.index, term=mark.term, rolling_hash=mark.hash
    )
