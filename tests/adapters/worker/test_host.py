"""Orders of the node process over a stream in memory: what is begun, stopped, answered."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from molecule.component.config import Config
from molecule.component.contract import TriggerContext
from molecule.component.registry import trigger
from molecule.component.spec import Spec
from molecule.config import Limits
from molecule.model import payload
from molecule.model.errors import OutcomeUnknown
from molecule.rpc.message_queue import MessageQueue
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker.cluster_clock import ClusterClock
from molecule.worker.host import WorkerHost
from molecule.worker.kernel import Lease
from molecule.worker.packages import Packages
from molecule.worker.processing import Processing
from molecule.worker.runner import Services
from molecule.worker.stream import NodeStream
from tests.fakes import target as fake_target
from tests.fakes.executions import documents

FILES = {
    "processes/story.yaml": b"""
molecule: 1
process: story
trigger: {type: target.never}
options: {concurrency: {by: $string(n), limit: 1}}
steps: [{id: shape, type: map, to: {n: n * 2}}]
""",
    "environments/test.yaml": b"environment: test\n",
}


@trigger("target.waits", Spec(summary="Waits until it is stopped.", fields={}))
class Waits:
    told: ClassVar[asyncio.Queue[str]]

    def __init__(self, config: Config) -> None:
        del config

    async def run(self, context: TriggerContext) -> None:
        del context
        self.told.put_nowait("begun")
        try:
            await asyncio.Event().wait()
        finally:
            self.told.put_nowait("ended")


class QuietLease(Lease):
    """Counts renewals instead of arming the kernel."""

    def renew(self, until_us: int) -> None:
        self.until_us = until_us

    @property
    def is_held(self) -> bool:
        return self.until_us > 0


class NodeEnd:
    """The other end of the stream: `orders` go in, `said` comes out."""

    def __init__(self) -> None:
        self.orders: asyncio.Queue[w.ToWorker | None] = asyncio.Queue()
        self.said: list[w.FromWorker] = []
        self._news = asyncio.Event()

    def order(self, **kind: Any) -> None:
        self.orders.put_nowait(w.ToWorker(**kind))

    def end(self) -> None:
        self.orders.put_nowait(None)

    async def heard(self, wanted: Callable[[w.FromWorker], bool]) -> w.FromWorker:
        while True:
            for message in self.said:
                if wanted(message):
                    return message
            self._news.clear()
            await self._news.wait()

    async def kind(self, name: str) -> w.FromWorker:
        return await self.heard(lambda message: message.WhichOneof("kind") == name)

    async def open(
        self, outgoing: AsyncIterator[Sequence[w.FromWorker]]
    ) -> AsyncIterator[Sequence[w.ToWorker]]:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(outgoing))
            while (order := await self.orders.get()) is not None:
                yield [order]
            reading.cancel()

    async def _read(self, outgoing: AsyncIterator[Sequence[w.FromWorker]]) -> None:
        async for messages in outgoing:
            self.said.extend(messages)
            self._news.set()


class Working:
    """A host that works with a `NodeEnd` inside `async with`."""

    def __init__(self) -> None:
        registry = fake_target.registry()
        registry.add(Waits)
        self.node = NodeEnd()
        self.stream = NodeStream(MessageQueue(Limits()))
        self.lease = QuietLease()
        self.packages = Packages(registry, Limits())
        self.processing = Processing()
        services = Services(
            self.stream,
            self.lease,
            ClusterClock(),
            self.packages,
            self.processing,
            Limits(),
            settle_ms=10,
        )
        self.host = WorkerHost(self.stream, services, registry)

    async def __aenter__(self) -> NodeEnd:
        hello = w.WorkerHello(worker="w1", pid=1, software="test")
        self.running = asyncio.ensure_future(self.host.run(hello, self.node.open))
        await self.node.kind("hello")
        return self.node

    async def __aexit__(self, *_: object) -> None:
        self.node.end()
        await self.running
        self.processing.close()


async def built(node: NodeEnd, files: Mapping[str, bytes]) -> w.WorkerReply:
    node.order(
        request=w.WorkerRequest(number=1, build=w.BuildPackage(environment="test", files=files))
    )
    return (await node.kind("reply")).reply


async def with_package(node: NodeEnd, files: Mapping[str, bytes] = FILES) -> str:
    reply = await built(node, files)
    assert not reply.findings, reply.findings
    version = reply.versions[0]
    node.order(package=w.PutPackage(version=version.version, content=version.package))
    settings = reply.environment_settings
    node.order(package=w.PutPackage(version="environment:test", content=settings))
    return str(version.version)


def run_order(version: str, token: int = 1) -> w.RunExecution:
    return w.RunExecution(
        execution="e1",
        token=token,
        attempt=1,
        process="story",
        version=version,
        environment="test",
        input=payload.encode_documents(documents({"n": 21})),
    )


def is_word(message: w.FromWorker) -> bool:
    return message.WhichOneof("kind") == "word"


async def test_nothing_runs_before_the_first_lease() -> None:
    async with Working() as node:
        version = await with_package(node)
        node.order(run=run_order(version))
        await node.kind("status")
        assert not any(is_word(message) for message in node.said)
        node.order(lease=w.LeaseRenewal(until_boottime_us=10**15))
        word = await node.kind("word")
        assert word.word.commands[0].end_attempt.state == "COMPLETED"


async def test_an_order_that_was_taken_back_before_the_lease_never_runs() -> None:
    async with Working() as node:
        version = await with_package(node)
        node.order(run=run_order(version))
        node.order(stop=w.StopExecution(execution="e1", token=1))
        node.order(lease=w.LeaseRenewal(until_boottime_us=10**15))
        node.order(request=w.WorkerRequest(number=9, door=w.EvaluateDoor(version="none")))
        await node.heard(lambda message: message.reply.number == 9)
        assert not any(is_word(message) for message in node.said)


async def test_a_trigger_that_fails_is_told_with_the_status() -> None:
    async with Working() as node:
        node.order(lease=w.LeaseRenewal(until_boottime_us=10**15, cluster_time_ms=1_000))
        # Its package never came, so it cannot even begin.
        order = w.RunTrigger(environment="test", process="story", version="none", token=4)
        node.order(run_trigger=order)
        said = await node.heard(
            lambda message: any(one.health.failures for one in message.status.triggers)
        )
        (told,) = said.status.triggers
        assert (told.environment, told.process, told.token) == ("test", "story", 4)
        assert "was not given" in told.health.error
        assert told.health.failed_at_ms >= 1_000


async def test_a_higher_token_replaces_the_attempt() -> None:
    async with Working() as node:
        version = await with_package(node)
        node.order(lease=w.LeaseRenewal(until_boottime_us=10**15))
        node.order(run=run_order(version, token=1))
        node.order(run=run_order(version, token=2))
        said = await node.heard(
            lambda message: is_word(message) and message.word.commands[0].end_attempt.token == 2
        )
        assert said.word.commands[0].end_attempt.state == "COMPLETED"


async def test_a_trigger_runs_under_its_newest_token_until_that_is_stopped() -> None:
    story = FILES["processes/story.yaml"].replace(b"target.never", b"target.waits")
    told = Waits.told = asyncio.Queue()

    def order(kind: type[w.RunTrigger] | type[w.StopTrigger], token: int) -> Any:
        return kind(environment="test", process="story", token=token)

    async with asyncio.timeout(30), Working() as node:
        version = await with_package(node, {**FILES, "processes/story.yaml": story})

        def run(token: int) -> None:
            begun = order(w.RunTrigger, token)
            begun.version = version
            node.order(run_trigger=begun)

        node.order(lease=w.LeaseRenewal(until_boottime_us=10**15))
        run(2)
        assert await told.get() == "begun"
        run(1)
        node.order(stop_trigger=order(w.StopTrigger, 1))
        node.order(request=w.WorkerRequest(number=9, door=w.EvaluateDoor(version="none")))
        await node.heard(lambda message: message.reply.number == 9)
        assert told.empty(), "older orders change nothing"
        run(3)
        assert [await told.get() for _ in range(2)] == ["ended", "begun"]
        node.order(stop_trigger=order(w.StopTrigger, 3))
        assert await told.get() == "ended"


async def test_a_package_that_is_missing_fails_the_execution_with_its_name() -> None:
    async with Working() as node:
        node.order(lease=w.LeaseRenewal(until_boottime_us=10**15))
        node.order(run=run_order("nobody-gave-it"))
        end = (await node.kind("word")).word.commands[0].end_attempt
        assert end.error_code == "not_found"


async def test_a_document_that_no_voter_has_ends_the_execution_instead_of_leaving_it() -> None:
    async with Working() as node:
        version = await with_package(node)
        node.order(lease=w.LeaseRenewal(until_boottime_us=10**15))
        order = run_order(version)
        order.ClearField("input")
        order.input_ref.stored.digest = "0" * 64
        node.order(run=order)
        asked = await node.kind("document_get")
        lost = w.CallAnswer(number=asked.number, code="not_found", message="gone", definite=True)
        node.order(answer=lost)
        end = (await node.kind("word")).word.commands[0].end_attempt
        assert end.error_code == "word_refused"


async def test_the_door_is_evaluated_with_the_error_of_each_input_apart() -> None:
    async with Working() as node:
        version = await with_package(node)
        inputs = [payload.encode_documents(documents({"n": 7})), b"no documents"]
        door = w.EvaluateDoor(version=version, environment="test", inputs=inputs)
        node.order(request=w.WorkerRequest(number=2, door=door))
        reply = (await node.heard(lambda message: message.reply.number == 2)).reply
        assert [stamp.concurrency_key for stamp in reply.stamps] == ["7", ""]
        assert [stamp.code for stamp in reply.stamps] == ["", "invalid_input"]


async def test_faults_of_a_repository_are_answered_all_at_once() -> None:
    async with Working() as node:
        files = {**FILES, "processes/bad.yaml": b"molecule: 1\nprocess: bad\nstepz: []\n"}
        asked = w.BuildPackage(environment="test", files=files)
        node.order(request=w.WorkerRequest(number=3, build=asked))
        reply = (await node.heard(lambda message: message.reply.number == 3)).reply
        assert {fault.file for fault in reply.findings} == {"processes/bad.yaml"}
        assert len(reply.findings) > 1
        assert not reply.versions


async def test_the_status_names_what_runs() -> None:
    async with Working() as node:
        status = (await node.kind("status")).status
        assert status.resident_bytes > 0
        assert not status.running


async def test_a_call_fails_when_the_stream_ends() -> None:
    working = Working()
    async with working as node:
        call = asyncio.ensure_future(working.stream.call(w.FromWorker(group_get=w.GroupGet())))
        await node.kind("group_get")
    with pytest.raises(OutcomeUnknown):
        await call
