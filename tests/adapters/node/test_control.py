"""The line between a node process and its supervisor: whole lines, in order, until it breaks."""

import json
import socket

from molecule.node.control import Control, WorkerDied


def a_line(**told: object) -> bytes:
    return json.dumps(told).encode() + b"\n"


async def test_requests_are_lines_of_json() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        control = Control(theirs.detach())
        await control.start_worker("w1", memory_bytes_max=5)
        await control.kill_worker("w1")
        control.close()
        lines = ours.recv(4096).splitlines()
        assert [json.loads(line) for line in lines] == [
            {"start_worker": "w1", "memory_max": 5},
            {"kill_worker": "w1"},
        ]


async def test_deaths_are_told_in_order_also_in_pieces_and_the_line_ends_with_the_supervisor() -> (
    None
):
    ours, theirs = socket.socketpair()
    control = Control(theirs.detach())
    first = a_line(worker_died="w1", pid=7, exit=-9, out_of_memory=True)
    ours.sendall(a_line(worker_started="w1", pid=7) + first[:9])
    ours.sendall(first[9:] + a_line(worker_died="w2", pid=8, exit=1))
    ours.close()
    told = [died async for died in control.deaths()]
    control.close()
    assert told == [WorkerDied("w1", 7, -9, out_of_memory=True), WorkerDied("w2", 8, 1)]
