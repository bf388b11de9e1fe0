"""A real PostgreSQL server in a folder of its own, on a free loopback port; ended by its pid.

The server refuses to run as root, so a run as root uses the system's user `postgres`.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from molecule.cli.waiting import until

PASSWORD = "a-test-only-word"
_AS_POSTGRES = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups")


@dataclass
class Server:
    """Where it listens, and the ways in which a test ends it."""

    folder: Path
    port: int
    programs: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/postgres"

    def settings(self, **more: Any) -> str:
        fields = {"url": f'"{self.url}"', "password": '"env:PGWORD"', "tls": "off", **more}
        return "{" + ", ".join(f"{name}: {value}" for name, value in fields.items()) + "}"

    async def start(self) -> None:
        """Run it and wait until it answers."""
        settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}")
        self.process = await asyncio.create_subprocess_exec(
            *_owner(),
            str(self.programs / "postgres"),
            "-D",
            str(self.folder / "data"),
            "-p",
            str(self.port),
            *(word for setting in settings for word in ("-c", setting)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await until(self._answers, what="PostgreSQL answers", within_s=60)

    async def kill(self) -> None:
        """As a power cut would: no goodbye to anybody.

        The processes that serve connections first: they would go on until they noticed by
        themselves that the one that started them is gone.
        """
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            first.suspend()  # so that it starts no others meanwhile
            for each in (*first.children(recursive=True), first):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
        await self.process.wait()
        self.process = None

    async def run(self, *statements: str) -> list[list[Any]]:
        """Each statement's rows, as another client of the database."""
        import asyncpg

        connection = await asyncpg.connect(
            host="127.0.0.1", port=self.port, user="tester", password=PASSWORD, database="postgres"
        )
        try:
            return [[tuple(row) for row in await connection.fetch(each)] for each in statements]
        finally:
            await connection.close()

    async def _answers(self) -> bool | None:
        try:
            await self.run("SELECT 1")
        except Exception:  # noqa: BLE001 - it starts, in whatever state
            return None
        return True


@asynccontextmanager
async def running() -> AsyncIterator[Server]:
    """A fresh server; skips where there is none, which the judging run refuses."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="molecule-postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    word = folder / "word"
    word.write_text(PASSWORD)
    word.chmod(0o644)
    made = await asyncio.create_subprocess_exec(
        *_owner(),
        str(programs / "initdb"),
        *("-D", str(folder / "data"), "-U", "tester", "-A", "scram-sha-256"),
        *("--pwfile", str(word), "-E", "UTF8", "--locale", "C"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
    )
    told, _ = await made.communicate()
    assert made.returncode == 0, told.decode()
    server = Server(folder, _free_port(), programs)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    found = shutil.which("initdb")
    return places[0].parent if places else Path(found).parent if found else None


def _owner() -> tuple[str, ...]:
    return _AS_POSTGRES if os.geteuid() == 0 else ()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
