"""A node as volatile executions see it: its worker, the other nodes, the way into the log."""

import asyncio
from collections.abc import Callable
from typing import Any

from molecule.access.policy import Actor, ActorKind
from molecule.config import Limits
from molecule.model.errors import (
    MoleculeError,
)
from molecule.model.ids import NodeId
from molecule.node.clock import boottime_us
from molecule.node.peers import SayMore
from molecule.node.submit import SubmitDoor
from molecule.node.volatile import VolatileHost
from molecule.node.volatile_door import VolatileDoor
from molecule.node.volatile_records import VolatileRecords
from molecule.telemetry.node_metrics import NodeMetrics
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w
from tests.unit.cluster.builders import Replica

COMPLETED = w.VolatileSaid(state="COMPLETED", result=b"[]")
ANSWER = w.VolatileSaid(answer=c.HttpAnswer(status=202))


class Worker:
    """Replies to each request with the next thing in `script`: replies, or an error."""

    def __init__(self, *script: w.VolatileSaid | Exception) -> None:
        self.script = list(script)
        self.ran: list[w.RunVolatile] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.begun = asyncio.Event()

    async def ask(self, request: w.WorkerRequest, on_more: Callable[..., None]) -> w.WorkerReply:
        self.ran.append(request.volatile)
        self.begun.set()
        await self.go_on.wait()
        while True:
            said = self.script.pop(0) if self.script else COMPLETED
            if isinstance(said, Exception):
                raise said
            reply = w.WorkerReply(volatile=said)
            if not said.HasField("answer"):
                return reply
            on_more(reply)


class Links:
    """The workers of the node: one that is ready, or none yet."""

    def __init__(self, worker: Worker | None) -> None:
        self.worker = worker
        self.came = asyncio.Event()

    def ready(self) -> Worker | None:
        return self.worker

    async def opened(self) -> Worker:
        while self.worker is None:
            await self.came.wait()
        return self.worker


class Others:
    """The other nodes, by what each does next."""

    def __init__(self) -> None:
        self.script: dict[str, list[w.VolatileSaid | Exception]] = {}
        self.asked: list[tuple[str, bool]] = []
        self.stuck = ""
        self.reached = asyncio.Event()

    async def volatile(
        self, node: str, request: p.VolatileRequest, say_more: SayMore, *, within_s: float
    ) -> w.VolatileSaid:
        assert within_s > 0
        self.asked.append((node, request.at_once))
        if node == self.stuck:
            self.reached.set()
            await asyncio.Event().wait()
        script = self.script.get(node, [])
        said = script.pop(0) if script else w.VolatileSaid(state="COMPLETED", node=node)
        if isinstance(said, Exception):
            raise said
        return said


class Forwarder:
    """The way into the log."""

    def __init__(self) -> None:
        self.said: list[c.Command] = []
        self.refusal: MoleculeError | None = None

    async def insist(self, commands: list[c.Command], *, within_s: float) -> Any:
        assert within_s > 0
        if self.refusal is not None:
            raise self.refusal
        self.said.extend(commands)


class Identifier:
    def actor(self, _bearer: str) -> Actor:
        return Actor(ActorKind.TOKEN, "admin")


class Node:
    """n1 of three nodes, with a volatile process and a listener."""

    def __init__(self, worker: Worker | None = None, **limits: int) -> None:
        self.limits = Limits(volatile_sample_every=1, **limits)
        self.replica = Replica(nodes=3)
        self.replica.deploy("quotes", durability="volatile")
        self.replica.deploy(
            "asked",
            trigger_on=True,
            durability="volatile",
            listener=c.Listener(method="GET", path="/a", reply="result", auth="none"),
        )
        self.worker = worker or Worker()
        self.links = Links(self.worker)
        self.others = Others()
        self.forwarder = Forwarder()
        self.metrics = NodeMetrics(software="1", limits=self.limits)
        self.lease_until_us = boottime_us() + 3_600_000_000
        self.is_draining = False
        self.wanted = 0
        self.news = asyncio.Event()
        self.host = VolatileHost(
            node="n1",
            links=self.links,
            lease_until_us=lambda: self.lease_until_us,
            is_draining=lambda: self.is_draining,
            want_worker=self._want,
            limits=self.limits,
        )
        self.records = VolatileRecords(
            node="n1",
            forwarder=self.forwarder,  # type: ignore[arg-type]
            metrics=self.metrics.volatile,
            limits=self.limits,
        )
        unused: Any = None
        submits = SubmitDoor(
            node="n1",
            state=lambda: self.replica.state,
            forwarder=unused,
            payloads=unused,
            ask_worker=unused,
            limits=self.limits,
        )
        self.door = VolatileDoor(
            node="n1",
            state=lambda: self.replica.state,
            cluster_time_ms=lambda: self.replica.state.time_ms,
            submits=submits,
            identifier=Identifier(),  # type: ignore[arg-type]
            host=self.host,
            others=self.others,
            voters=lambda: ("n1", "n2", "n3"),
            records=self.records,
            metrics=self.metrics.volatile,
            limits=self.limits,
        )

    def expire(self, name: str) -> None:
        state = self.replica.state
        lost = state.nodes[NodeId(name)].incarnation
        said = c.ExpireNode(epoch=state.epoch, node=name, incarnation=lost)
        self.door.entry_applied(self.replica.result(expire_node=said))

    def _want(self) -> None:
        self.wanted += 1
        self.news.set()

    async def wants(self, count: int) -> None:
        while self.wanted < count:
            self.news.clear()
            await self.news.wait()

    async def ask(
        self, process: str = "quotes", *, count: int = 1, wait_ms: int = 5_000, **fields: Any
    ) -> list[d.SubmitResult]:
        submissions = [
            d.Submission(idempotency_key=f"k{number}", input=b"[]", **fields)
            for number in range(count)
        ]
        listener = "GET /a" if process == "asked" else ""
        request = d.SubmitRequest(
            environment="test", process=process, submissions=submissions, listener=listener
        )
        running = asyncio.create_task(self.door.run())
        await asyncio.sleep(0)
        try:
            reply = await self.door.submit(request, wait_ms)
            await asyncio.sleep(0)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert reply is not None
        return list(reply.results)

    def counts(self, name: str) -> dict[str, float]:
        text = self.metrics.render().decode()
        lines = [
            line for line in text.splitlines() if line.startswith(f"molecule_volatile_{name}_")
        ]
        return {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines if "_total" in line}

    async def recorded(self) -> list[c.VolatileRecord]:
        await self.records.report()
        return [one for said in self.forwarder.said for one in said.record_volatile.records]
