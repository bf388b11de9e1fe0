"""The supervisor with real children: what it starts again, what it reaps, what it reports."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from molecule.config import NodeConfig, TlsFiles
from molecule.serve import EXIT_CONFIG, EXIT_RESTART, Programs, Supervisor, local_folder

CHILDREN = str(Path(__file__).with_name("children.py"))
PATIENCE_S = 30


def a_supervisor(folder: Path, *lives: str) -> Supervisor:
    """Its node process lives these lives, one after the other."""
    (folder / "node.txt").write_text("\n".join(lives), encoding="utf-8")
    (folder / "lives.txt").touch()
    (folder / "told.txt").touch()

    def play(role: str) -> tuple[str, ...]:
        return (sys.executable, "-I", "-S", CHILDREN, role, str(folder))

    return Supervisor(
        folder,
        Programs(
            node=play("node"),
            worker=play("worker"),
            gateway=play("gateway"),
            report=play("report"),
        ),
    )


async def ran(supervisor: Supervisor) -> int:
    async with asyncio.timeout(PATIENCE_S):
        return await supervisor.run()


def told(folder: Path) -> list[str]:
    return (folder / "told.txt").read_text(encoding="utf-8").splitlines()


async def test_node_that_says_what_is_wrong_is_not_started_again(tmp_path: Path) -> None:
    assert await ran(a_supervisor(tmp_path, f"exit {EXIT_CONFIG}")) == EXIT_CONFIG
    assert told(tmp_path) == []


async def test_workers_of_a_dead_node_are_reaped_before_its_end_is_reported(
    tmp_path: Path,
) -> None:
    supervisor = a_supervisor(tmp_path, "start worker and die", f"exit {EXIT_CONFIG}")
    assert await ran(supervisor) == EXIT_CONFIG
    assert told(tmp_path) == [
        "reported life 1: node process ended with SIGKILL, workers reaped; worker alive: False"
    ]


async def test_every_life_of_the_node_has_its_own_name_and_its_own_report(tmp_path: Path) -> None:
    supervisor = a_supervisor(tmp_path, "exit 1", f"exit {EXIT_RESTART}", f"exit {EXIT_CONFIG}")
    assert await ran(supervisor) == EXIT_CONFIG
    lives = (tmp_path / "lives.txt").read_text(encoding="utf-8").splitlines()
    assert len(set(lives)) == 3
    assert sorted(line.partition(";")[0] for line in told(tmp_path)) == [
        "reported life 1: node process ended with exit code 1, workers reaped",
        f"reported life 2: node process ended with exit code {EXIT_RESTART}, workers reaped",
    ]


async def test_death_of_a_worker_is_told_to_the_node_with_its_signal(tmp_path: Path) -> None:
    supervisor = a_supervisor(tmp_path, f"kill worker and exit {EXIT_CONFIG}")
    await ran(supervisor)
    assert told(tmp_path) == ["node heard w1 exit=-9 same_pid=True"]


async def test_stop_lets_the_node_end_by_itself_and_reports_it(tmp_path: Path) -> None:
    supervisor = a_supervisor(tmp_path, "wait")
    os.mkfifo(tmp_path / "waits")
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        running = group.create_task(supervisor.run())
        await asyncio.to_thread((tmp_path / "waits").read_text)
        supervisor.stop()
        supervisor.stop()
    assert running.result() == 0
    assert told(tmp_path) == [
        "reported life 1: node process ended with exit code 0, workers reaped; worker alive: False"
    ]


async def test_gateway_that_says_what_is_wrong_ends_the_node_too(tmp_path: Path) -> None:
    (tmp_path / "gateway.txt").write_text(str(EXIT_CONFIG), encoding="utf-8")
    assert await ran(a_supervisor(tmp_path, "wait")) == EXIT_CONFIG


def test_folder_of_the_socket_is_ours_alone_and_the_same_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = local_folder(str(tmp_path / "data"))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert local_folder(str(tmp_path / "data")) == folder
    assert local_folder(str(tmp_path / "other")) != folder


def test_folder_of_the_socket_goes_with_the_supervisor(tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    data = tmp_path / "data"
    data.write_text("a file where the folder should be")
    nothing = TlsFiles(ca="", certificate="", key="")
    config = NodeConfig(id="n1", data=str(data), tls=nothing, admin_token_file="")
    ended = subprocess.run(
        [sys.executable, "-m", "molecule.serve", "n1", str(data)],
        env={
            **os.environ,
            "XDG_RUNTIME_DIR": str(runtime),
            "MOLECULE_NODE_CONFIG": config.model_dump_json(),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == EXIT_CONFIG, ended.stderr
    assert list(runtime.iterdir()) == []


def test_folder_of_the_socket_that_is_a_link_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = local_folder(str(tmp_path / "data"))
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        local_folder(str(tmp_path / "data"))
