"""A child of a supervisor under test: plays the node, a worker, the gateway or the report.

Called as `children.py ROLE FOLDER`. The folder holds the story: `node.txt` has one line for each
life of the node process, and `told.txt` gets a line for everything that happened. Standard library
only, so that it starts at once.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path


def tell(folder: Path, line: str) -> None:
    with (folder / "told.txt").open("a", encoding="utf-8") as told:
        told.write(line + "\n")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Line:
    """The node's end of the line to its supervisor."""

    def __init__(self) -> None:
        self._file = socket.socket(fileno=int(os.environ["MOLECULE_CONTROL_FD"])).makefile("rw")

    def say(self, **message: str) -> None:
        self._file.write(json.dumps(message) + "\n")
        self._file.flush()

    def hear(self) -> dict[str, object]:
        heard: dict[str, object] = json.loads(self._file.readline())
        return heard


def node(folder: Path) -> int:
    plan = (folder / "node.txt").read_text(encoding="utf-8").splitlines()
    life = len((folder / "lives.txt").read_text(encoding="utf-8").splitlines())
    with (folder / "lives.txt").open("a", encoding="utf-8") as lives:
        lives.write(os.environ["MOLECULE_LIFE"] + "\n")
    match plan[life].split():
        case ["exit", code]:
            return int(code)
        case ["start", "worker", "and", "die"]:
            line = Line()
            line.say(start_worker="w1")
            (folder / "worker.txt").write_text(str(line.hear()["pid"]), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)
        case ["kill", "worker", "and", "exit", code]:
            line = Line()
            line.say(start_worker="w1")
            started = line.hear()
            line.say(kill_worker="nobody")
            line.say(kill_worker="w1")
            died = line.hear()
            same = started["pid"] == died["pid"]
            tell(folder, f"node heard {died['worker_died']} exit={died['exit']} same_pid={same}")
            return int(code)
        case ["wait"]:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            # A pipe, when the test wants to know: it goes on once somebody reads.
            (folder / "waits").write_text("now", encoding="utf-8")
            signal.pause()
    return 1


def report(folder: Path) -> int:
    lives = (folder / "lives.txt").read_text(encoding="utf-8").splitlines()
    life = lives.index(os.environ["MOLECULE_LIFE"]) + 1
    worker = folder / "worker.txt"
    lives_on = worker.exists() and is_alive(int(worker.read_text(encoding="utf-8")))
    evidence = os.environ["MOLECULE_EVIDENCE"]
    tell(folder, f"reported life {life}: {evidence}; worker alive: {lives_on}")
    return 0


def main() -> int:
    role, folder = sys.argv[1], Path(sys.argv[2])
    match role:
        case "node":
            return node(folder)
        case "report":
            return report(folder)
        case "gateway" if (folder / "gateway.txt").exists():
            return int((folder / "gateway.txt").read_text(encoding="utf-8"))
        case _:
            signal.pause()
            return 0


if __name__ == "__main__":
    sys.exit(main())
