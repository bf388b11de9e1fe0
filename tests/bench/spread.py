"""How a backlog is spread over processes and keys; the client makes it from two numbers."""

from collections.abc import Iterator
from typing import Any, Final

from tests.bench.processes import BACKLOG_PROCESSES, backlog_name

BATCH: Final = 100
_PAD: Final = "x" * 940


def batches_of(pending: int, keys: int) -> Iterator[dict[str, Any]]:
    """Batches of one process each; every key gets its even part, one after the other."""
    used = min(BACKLOG_PROCESSES, keys)
    for start in range(0, pending, BATCH):
        number = start // BATCH % used
        mine = [key for key in range(keys) if key % BACKLOG_PROCESSES == number]
        turn = start // BATCH // used * BATCH
        items = [
            {"input": {"key": f"key{mine[(turn + each) % len(mine)]}", "pad": _PAD}}
            for each in range(BATCH)
        ]
        yield {"process": backlog_name(number), "submissions": items}
