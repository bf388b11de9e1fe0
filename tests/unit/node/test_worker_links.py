"""What goes to a worker: orders in order, and nothing that a missing package could hold up."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from molecule.config import Limits
from molecule.model.errors import NotFound, Unavailable
from molecule.node.worker_links import WorkerLinks
from molecule.wire.v1 import worker_pb2 as w


class Node:
    """The node's side of one worker: which packages are to be had, and what it was told."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.lacking: set[str] = set()
        self.slow = asyncio.Event()
        self.slow.set()
        self.not_delivered: list[str] = []
        self.told: list[str] = []
        self.heard = asyncio.Event()
        self.ready = asyncio.Event()
        self.words: asyncio.Queue[w.FromWorker] = asyncio.Queue()
        # Only what this test needs of a desk is ever asked of it.
        self.links = WorkerLinks(self, self._packages, limits or Limits())  # type: ignore[arg-type]

    def worker_ready(self, worker: str) -> None:
        self.ready.set()

    def takes_requests(self, worker: str) -> bool:
        return True

    def undelivered(self, order: w.ToWorker) -> None:
        self.not_delivered.append(order.run.execution)

    async def _packages(self, order: w.ToWorker) -> list[w.PutPackage]:
        if order.WhichOneof("kind") != "run":
            return []
        await self.slow.wait()
        if order.run.version in self.lacking:
            raise NotFound("not in this node's copy of the state yet")
        return [w.PutPackage(version=order.run.version, content=b"package")]

    async def write(self, messages: Sequence[w.ToWorker]) -> None:
        for message in messages:
            kind = message.WhichOneof("kind")
            name = {"package": message.package.version, "run": message.run.execution}
            self.told.append(f"{kind} {name.get(kind or '', '')}".strip())
        self.heard.set()

    async def until_told(self, what: str) -> None:
        while what not in self.told:
            self.heard.clear()
            await self.heard.wait()

    async def incoming(self) -> AsyncIterator[w.FromWorker]:
        yield w.FromWorker(hello=w.WorkerHello(worker="w1"))
        while True:
            yield await self.words.get()

    def run(self, execution: str, version: str) -> None:
        order = w.RunExecution(execution=execution, version=version, token=1)
        self.links.send("w1", w.ToWorker(run=order))


async def test_a_worker_that_dies_while_it_is_written_to_ends_its_stream_without_a_fault() -> None:
    node = Node()

    async def broken(messages: Sequence[w.ToWorker]) -> None:
        raise RuntimeError("RPC already finished")

    async with asyncio.TaskGroup() as group:
        running = group.create_task(node.links.run())
        stream = group.create_task(node.links.serve(node.incoming(), broken))
        await node.ready.wait()
        node.run("e1", "v1")
        await stream
        node.run("e2", "v1")  # to nobody
        running.cancel()


async def test_a_worker_that_dies_before_it_says_who_it_is_is_nobody() -> None:
    node = Node()

    async def silent() -> AsyncIterator[w.FromWorker]:
        return
        yield

    async with asyncio.TaskGroup() as group:
        running = group.create_task(node.links.run())
        await node.links.serve(silent(), node.write)
        running.cancel()
    assert not node.ready.is_set()


async def with_worker(node: Node, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
    tasks = [
        group.create_task(node.links.run()),
        group.create_task(node.links.serve(node.incoming(), node.write)),
    ]
    await node.ready.wait()
    return tasks


async def test_an_order_whose_package_is_not_here_yet_is_handed_back_and_the_rest_goes_on() -> None:
    node = Node()
    node.lacking = {"v2"}
    async with asyncio.TaskGroup() as group:
        tasks = await with_worker(node, group)
        node.run("e1", "v2")
        node.run("e2", "v1")
        await node.until_told("run e2")
        for task in tasks:
            task.cancel()
    assert node.not_delivered == ["e1"]
    assert node.told == ["package v1", "run e2"]


async def test_a_lease_passes_an_order_that_waits_for_its_package() -> None:
    node = Node()
    node.slow.clear()
    async with asyncio.TaskGroup() as group:
        tasks = await with_worker(node, group)
        node.run("e1", "v1")
        node.links.send("w1", w.ToWorker(lease=w.LeaseRenewal(until_boottime_us=1)))
        await node.until_told("lease")
        node.slow.set()
        await node.until_told("run e1")
        for task in tasks:
            task.cancel()
    assert node.told == ["lease", "package v1", "run e1"]


async def test_a_stop_never_passes_the_order_to_run() -> None:
    node = Node()
    node.slow.clear()
    async with asyncio.TaskGroup() as group:
        tasks = await with_worker(node, group)
        node.run("e1", "v1")
        node.links.send("w1", w.ToWorker(stop=w.StopExecution(execution="e1", token=1)))
        node.slow.set()
        await node.until_told("stop")
        for task in tasks:
            task.cancel()
    assert node.told == ["package v1", "run e1", "stop"]


async def test_a_question_whose_package_is_not_here_yet_is_answered_with_the_reason() -> None:
    node = Node()

    async def lacking(_order: w.ToWorker) -> list[w.PutPackage]:
        raise NotFound("not yet")

    node.links = WorkerLinks(node, lacking, Limits())  # type: ignore[arg-type]  # as above
    async with asyncio.TaskGroup() as group:
        tasks = await with_worker(node, group)
        reply = await node.links.ask(w.WorkerRequest(door=w.EvaluateDoor()))
        for task in tasks:
            task.cancel()
    assert reply.code == "not_found"


async def test_a_question_that_no_worker_answers_in_time_is_refused() -> None:
    node = Node(Limits(worker_reply_ms_max=0))
    with pytest.raises(Unavailable, match="worker_reply_ms_max"):
        await node.links.ask(w.WorkerRequest())


async def test_a_worker_that_takes_no_more_messages_loses_its_stream() -> None:
    node = Node(Limits(worker_messages_max=2))
    node.slow.clear()
    async with asyncio.TaskGroup() as group:
        running, serving = await with_worker(node, group)
        for number in range(4):
            node.run(f"e{number}", "v1")
        await serving
        running.cancel()


async def test_replies_that_go_on_come_before_the_last_one() -> None:
    node, heard = Node(), list[str]()
    async with asyncio.TaskGroup() as group:
        tasks = await with_worker(node, group)
        link = await node.links.opened()
        asked = group.create_task(
            link.ask(w.WorkerRequest(), lambda more: heard.append(more.volatile.error))
        )
        await node.until_told("request")
        first = w.WorkerReply(number=1, goes_on=True, volatile=w.VolatileSaid(error="first"))
        node.words.put_nowait(w.FromWorker(reply=first))
        node.words.put_nowait(w.FromWorker(reply=w.WorkerReply(number=1, message="last")))
        assert (await asked).message == "last"
        for task in tasks:
            task.cancel()
    assert heard == ["first"]
    assert link.asked == 0


async def test_a_request_that_nobody_waits_for_is_stopped_at_the_worker() -> None:
    node = Node()
    async with asyncio.TaskGroup() as group:
        tasks = await with_worker(node, group)
        link = await node.links.opened()
        asked = group.create_task(link.ask(w.WorkerRequest()))
        await node.until_told("request")
        asked.cancel()
        await node.until_told("stop_request")
        for task in tasks:
            task.cancel()
