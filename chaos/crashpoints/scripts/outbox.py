"""`file.write`: the effects of a process on files.

A file that was reported as written is there with all its bytes, under its name and in its folder;
none is ever there in part.
"""

import asyncio
from pathlib import Path

from chaos.crashpoints.script import begin, demand, done
from molecule.component.config import Config
from molecule.component.contract import CallContext, Request
from molecule.connectors.file import File
from molecule.connectors.file_write import FileWrite
from molecule.expression.template import Template
from molecule.model.ids import EffectKey

STEPS = 12
_ROOT = "srv/outbox"
_WITHIN_S = 60.0


class OutboxScript:
    """See above."""

    def run(self, folder: Path) -> None:
        """Write a file in each step, some in folders that do not exist yet, some once more."""
        for step in range(1, STEPS + 1):
            begin(step)
            asyncio.run(_write(folder, step))
            done(step)

    def check(self, folder: Path, begun: int, done: int) -> None:
        """Look for each file; write the one that was under way again, as its step would."""
        for step in range(1, STEPS + 1):
            place = folder / _ROOT / _name(step)
            there = place.exists()
            demand(there or step > done, f"{_name(step)} is gone")
            written = {_name(one) for one in range(1, begun + 1)}
            demand(not there or _name(step) in written, f"{_name(step)} was never written")
            demand(not there or place.read_bytes() == _body(step), f"{_name(step)} is not whole")
        asyncio.run(_write(folder, begun or 1))
        place = folder / _ROOT / _name(begun or 1)
        demand(place.read_bytes() == _body(begun or 1), "a repeat of what was under way fails")


def _name(step: int) -> str:
    """Each third file is the first one of its folder, the last ones are written again."""
    number = step if step < STEPS - 1 else 1
    return f"late/{number // 3}/{number}.bin"


def _body(step: int) -> bytes:
    number = step if step < STEPS - 1 else 1
    return bytes([number]) * (number * 701)


async def _write(folder: Path, step: int) -> None:
    settings = {"root": str(folder / _ROOT), "file_bytes_max": 1 << 20, "record_bytes_max": 1 << 20}
    client = File(Config(settings), str)
    path = Template(_name(step), "path", fixed=True)
    operation = FileWrite(
        Config({"path": path, "content": None, "format": "bytes", "charset": "utf-8"})
    )
    now = asyncio.get_running_loop().time()
    call = CallContext(EffectKey(f"e{step}/it/0"), _WITHIN_S, now + _WITHIN_S, lambda: None)
    request = Request("write", {"path": _name(step), "content": _body(step)})
    await operation.perform(client, request, call)
