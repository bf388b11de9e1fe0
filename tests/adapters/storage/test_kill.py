"""A killed process leaves the state at one index: the last one flushed, or the one after."""

import asyncio
import sys
from pathlib import Path

import pytest

from molecule.config import Limits
from molecule.storage.state_store import StateStore

KILLED = """
import asyncio, itertools, sys
from pathlib import Path
from molecule.config import Limits
from molecule.storage.rows import Batch, Mark, PayloadRow, SnapshotRow
from molecule.storage.state_store import StateStore

async def main():
    store = await StateStore.create(Path(sys.argv[1]), limits=Limits())
    for index in itertools.count(1):
        rows = [SnapshotRow("t", b"%d" % n, b"%d" % index) for n in range(50)]
        payload = PayloadRow(f"e{index}", "input", b"x" * 5_000, None, 5_000)
        mark = Mark(index, 1, b"%d" % index)
        store.stage(Batch(mark=mark, rows=tuple(rows), payloads=(payload,)))
        print((await store.flush()).index, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("flushed_before", [1, 10, 60])
async def test_killed_process_leaves_the_state_at_one_index(
    tmp_path: Path, flushed_before: int
) -> None:
    path = tmp_path / "state.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(flushed_before)]
    process.kill()
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    last = max(int(line) for line in lines if line.endswith(b"\n"))
    store = await StateStore.open(path, limits=Limits())
    index = store.mark.index
    assert index in (last, last + 1)
    assert store.mark.hash == b"%d" % index
    rows = list(store.snapshot_rows())
    assert {row.value for row in rows} == {b"%d" % index}
    assert len(rows) == 50
    assert await store.payload(f"e{index}", "input") is not None
    assert await store.payload(f"e{index + 1}", "input") is None
    await store.close()
