"""The client, a process of its own: a job as JSON on standard input, what came of it on output.

`python -m tests.bench.load`. It measures its own CPU time, because on a small machine the client's
share is part of every figure. An answer other than the expected one ends the job with an error.
"""

import asyncio
import json
import resource
import ssl
import sys
import time
from dataclasses import asdict, dataclass, field

import uvloop

from tests.bench.https import Caller, post
from tests.bench.spread import batches_of

_WAIT_PATH = "/api/v1/executions?wait=30s"
_BATCH_PATH = "/api/v1/executions:batch"


@dataclass(frozen=True, slots=True)
class Job:
    """What to do; `kind` is the name of one of the functions in `_KINDS`."""

    kind: str
    ca: str
    token: str
    addresses: list[str]
    process: str = "noop"
    callers: int = 1
    seconds: float = 0.0
    count: int = 0
    batch: int = 100
    wait: bool = True
    keys: int = 0
    """For `fill`: concurrency keys that `count` executions are spread over."""


@dataclass(slots=True)
class Found:
    """What came of it."""

    done: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)


class Unexpected(Exception):
    """An answer that no figure may count."""


async def callers(job: Job, context: ssl.SSLContext) -> Found:
    """So many callers, each asking again as soon as it is answered, for `seconds`."""
    found = Found()
    body = json.dumps({"process": job.process, "input": {"name": "bench"}}).encode()

    async def one(address: str, until: float) -> None:
        caller = await Caller.connect(address, context)
        request = post(_WAIT_PATH, body, address=address, token=job.token)
        while (began := time.perf_counter()) < until:
            _completed(*await caller.call(request))
            found.latencies_ms.append((time.perf_counter() - began) * 1_000)
        await caller.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(job.callers):
            address = job.addresses[number % len(job.addresses)]
            group.create_task(one(address, began + job.seconds))
    found.seconds = time.perf_counter() - began
    found.done = len(found.latencies_ms)
    return found


async def batches(job: Job, context: ssl.SSLContext) -> Found:
    """`count` executions in batches, `callers` at a time, each batch waited for.

    From the first submission to the last result.
    """
    found = Found()
    left = iter(range(0, job.count, job.batch))
    item = {"input": {"name": "bench"}}
    body = json.dumps({"process": job.process, "submissions": [item] * job.batch}).encode()
    path = f"{_BATCH_PATH}?wait=60s" if job.wait else _BATCH_PATH

    async def one(address: str) -> None:
        caller = await Caller.connect(address, context)
        request = post(path, body, address=address, token=job.token)
        for _ in left:
            status, answer = await caller.call(request)
            ended = answer.count(b'"COMPLETED"')
            if status != 200 or (job.wait and ended != job.batch):
                raise Unexpected(f"{status}, {ended} of {job.batch}: {answer[:500]!r}")
            found.done += job.batch
        await caller.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(job.callers):
            group.create_task(one(job.addresses[number % len(job.addresses)]))
    found.seconds = time.perf_counter() - began
    return found


async def fill(job: Job, context: ssl.SSLContext) -> Found:
    """Submit a backlog, without waiting for ends."""
    found = Found()
    left = batches_of(job.count, job.keys)

    async def one(address: str) -> None:
        caller = await Caller.connect(address, context)
        for item in left:
            request = post(_BATCH_PATH, json.dumps(item).encode(), address=address, token=job.token)
            status, answer = await caller.call(request)
            if status != 200:
                raise Unexpected(f"{status}: {answer[:500]!r}")
            found.done += len(item["submissions"])
        await caller.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(job.callers):
            group.create_task(one(job.addresses[number % len(job.addresses)]))
    found.seconds = time.perf_counter() - began
    return found


def _completed(status: int, answer: bytes) -> None:
    if status != 200 or b'"COMPLETED"' not in answer:
        raise Unexpected(f"{status}: {answer[:500]!r}")


_KINDS = {"callers": callers, "batches": batches, "fill": fill}


async def _run(job: Job) -> Found:
    context = ssl.create_default_context(cafile=job.ca)
    before = resource.getrusage(resource.RUSAGE_SELF)
    found = await _KINDS[job.kind](job, context)
    after = resource.getrusage(resource.RUSAGE_SELF)
    found.cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return found


def main() -> int:
    """The exit code; an error is told in one line."""
    job = Job(**json.load(sys.stdin))
    try:
        found = uvloop.run(_run(job))
    except BaseExceptionGroup as errors:
        known = errors.subgroup((Unexpected, OSError, EOFError))
        if known is None:
            raise
        sys.stderr.write(f"{known.exceptions[0]!r}\n")
        return 1
    json.dump(asdict(found), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
