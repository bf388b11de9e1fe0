"""Links pass bytes by themselves, also while the loop of the tests stands still."""

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from chaos.runner.links import Links
from molecule.cli.local_files import HOST

PATIENCE_S = 30.0


@pytest.fixture
def ends() -> Iterator[tuple[Links, socket.socket, socket.socket]]:
    """Links between two nodes, what one of them dialled, and what the other one accepted."""
    links = Links(("n1", "n2"))
    with ExitStack() as opened, asyncio.Runner() as runner:
        listening = opened.enter_context(socket.create_server((HOST, 0)))
        dialled = runner.run(links.listen())
        links.lead_to({node: f"{HOST}:{listening.getsockname()[1]}" for node in ("n1", "n2")})
        host, _, port = dialled["n1"]["n2"].rpartition(":")
        here = opened.enter_context(socket.create_connection((host, int(port)), PATIENCE_S))
        listening.settimeout(PATIENCE_S)
        there = opened.enter_context(listening.accept()[0])
        there.settimeout(PATIENCE_S)
        yield links, here, there
        runner.run(links.close())


def test_bytes_pass_while_no_loop_of_the_test_runs(
    ends: tuple[Links, socket.socket, socket.socket],
) -> None:
    links, here, there = ends
    here.sendall(b"to there")
    assert there.recv(100) == b"to there"
    there.sendall(b"and back")
    assert here.recv(100) == b"and back"
    assert links.passed("n1", "n2") == 16


def test_a_cut_holds_bytes_back_and_healing_sends_them_on(
    ends: tuple[Links, socket.socket, socket.socket],
) -> None:
    links, here, there = ends
    links.isolate("n2")
    here.sendall(b"late")
    there.setblocking(False)
    with pytest.raises(BlockingIOError):
        there.recv(100)
    there.settimeout(PATIENCE_S)
    links.heal()
    assert there.recv(100) == b"late"


def test_the_last_words_of_whoever_closes_arrive(
    ends: tuple[Links, socket.socket, socket.socket],
) -> None:
    links, here, there = ends
    links.slow("n1", "n2", delay_s=(0.1, 0.1))
    here.sendall(b"the last")
    here.close()
    told = b""
    while len(told) < 8:
        told += there.recv(100)
    assert told == b"the last"
    assert is_dropped(there)


def test_closing_drops_what_is_open_also_behind_a_cut(
    ends: tuple[Links, socket.socket, socket.socket],
) -> None:
    links, here, there = ends
    links.cut("n1", "n2")
    here.sendall(b"never")
    asyncio.run(links.close())
    assert is_dropped(here)
    assert is_dropped(there)


def is_dropped(end: socket.socket) -> bool:
    try:
        return end.recv(100) == b""
    except ConnectionResetError:
        return True  # what the relay had not read yet went with it


def test_callers_that_were_just_taken_are_dropped_too(
    ends: tuple[Links, socket.socket, socket.socket],
) -> None:
    links, here, _ = ends
    with ExitStack() as opened:
        callers = [
            opened.enter_context(socket.create_connection(here.getpeername(), PATIENCE_S))
            for _ in range(100)
        ]
        asyncio.run(links.close())
        gc.collect()  # what was left open is told as an error of this test
        assert all(is_dropped(caller) for caller in callers)
