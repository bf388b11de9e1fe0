"""The node's end of the streams to its workers: what goes out in order, what comes in as one match.

Decides nothing: what a worker says is handed to the agent, the forwarder or the documents, and
their answer is sent back under the number of the message.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from molecule.config import Limits
from molecule.model.errors import MoleculeError, Unavailable
from molecule.rpc.message_queue import MessageQueue
from molecule.wire.v1 import worker_pb2 as w

_log = structlog.get_logger()

PackageSource = Callable[[w.ToWorker], Awaitable[list[w.PutPackage]]]
"""The packages that a message needs and that must reach the worker before it."""

Write = Callable[[Sequence[w.ToWorker]], Awaitable[None]]
"""Sends what is ready at the same time together."""


OnMore = Callable[[w.WorkerReply], None]


class Desk(Protocol):
    """What workers may ask of the node; every method may raise an error of the tree."""

    async def word(self, word: w.Word) -> w.CallAnswer:
        """Commit what a worker says of what it holds."""
        ...

    async def gate_ask(self, ask: w.GateAsk) -> w.CallAnswer:
        """Whether a connection takes a call of what runs here now."""
        ...

    async def gate_told(self, told: w.GateTold) -> w.CallAnswer:
        """What became of a call through a gate."""
        ...

    async def document_put(self, put: w.DocumentPut) -> w.CallAnswer:
        """Keep a large payload on a majority; refused when the token is not held here."""
        ...

    async def document_get(self, get: w.DocumentGet) -> w.CallAnswer:
        """A payload by digest, from here or from another voter."""
        ...

    async def trigger_submit(self, submit: w.TriggerSubmit) -> w.CallAnswer:
        """Submissions of a trigger and its progress, in one entry."""
        ...

    async def group_get(self, get: w.GroupGet) -> w.CallAnswer:
        """How far a group is, read after everything committed before the call."""
        ...

    def worker_ready(self, worker: str) -> None:
        """Its stream is open."""
        ...

    def worker_status(self, worker: str, status: w.WorkerStatus) -> None:
        """What runs there now."""
        ...

    def takes_requests(self, worker: str) -> bool:
        """False for a worker that belongs to one execution."""
        ...

    def undelivered(self, order: w.ToWorker) -> None:
        """An order to run did not reach its worker: what it needs is not to be had now."""
        ...


class WorkerLink:
    """One worker's stream, for as long as it is open.

    Orders keep their order; leases and answers pass those that wait for packages.
    """

    def __init__(
        self,
        worker: str,
        packages: PackageSource,
        undelivered: Callable[[w.ToWorker], None],
        limits: Limits,
    ) -> None:
        self.worker = worker
        self.overflowed = asyncio.Event()
        """Set once the worker takes nothing any more: its stream must end."""
        self._messages_max = limits.worker_messages_max
        self._packages = packages
        self._undelivered = undelivered
        self._orders: asyncio.Queue[w.ToWorker] = asyncio.Queue()
        self.outgoing: MessageQueue[w.ToWorker] = MessageQueue(limits)
        """What is ready to be sent."""
        self._sent: dict[str, int] = {}
        """By version, the hash of what was sent: settings keep their name when they change."""
        self._requests: dict[int, tuple[asyncio.Future[w.WorkerReply], OnMore]] = {}
        self._numbers = itertools.count(1)

    def send(self, message: w.ToWorker) -> None:
        """Queue a message; packages it needs go before it. Beyond the bound it is dropped."""
        if self._orders.qsize() + len(self.outgoing) >= self._messages_max:
            self.overflowed.set()
            return
        is_order = message.WhichOneof("kind") not in ("lease", "answer")
        if is_order:
            self._orders.put_nowait(message)
        else:
            self.outgoing.put(message)

    @property
    def asked(self) -> int:
        """How many requests it has not replied to."""
        return len(self._requests)

    async def ask(
        self, request: w.WorkerRequest, on_more: "OnMore" = lambda _: None
    ) -> w.WorkerReply:
        """Have the worker do something that must not run in this loop. `Unavailable` if it dies.

        `on_more` gets replies that come before the last one. Cancelled, it is stopped there, too.
        """
        request.number = next(self._numbers)
        future: asyncio.Future[w.WorkerReply] = asyncio.get_running_loop().create_future()
        self._requests[request.number] = (future, on_more)
        self.send(w.ToWorker(request=request))
        try:
            return await future
        except asyncio.CancelledError:
            self.send(w.ToWorker(stop_request=w.StopRequest(number=request.number)))
            raise
        finally:
            self._requests.pop(request.number, None)

    def replied(self, reply: w.WorkerReply) -> None:
        """A reply to an `ask`, mostly its end."""
        future, on_more = self._requests.get(reply.number, (None, None))
        if future is None or on_more is None or future.done():
            return
        if reply.goes_on:
            on_more(reply)
        else:
            future.set_result(reply)

    def broke(self) -> None:
        """The stream ended: nobody will reply any more."""
        for future, _ in self._requests.values():
            if not future.done():
                future.set_exception(Unavailable(f"worker {self.worker} ended before it replied"))

    async def prepare(self) -> None:
        """Have orders follow the packages that this worker does not have yet, until cancelled."""
        while True:
            order = await self._orders.get()
            try:
                packages = await self._packages(order)
            except MoleculeError as error:
                self._refuse(order, error)
                continue
            for package in packages:
                content = hash(package.content)
                if self._sent.get(package.version) != content:
                    self._sent[package.version] = content
                    self.outgoing.put(w.ToWorker(package=package))
            self.outgoing.put(order)

    def _refuse(self, order: w.ToWorker, error: MoleculeError) -> None:
        _log.warning("order_undelivered", worker=self.worker, reason=error.message)
        if order.WhichOneof("kind") == "request":
            reply = w.WorkerReply(code=error.code, message=error.message)
            reply.number = order.request.number
            self.replied(reply)
        else:
            self._undelivered(order)


class WorkerLinks:
    """All open streams of this node, by worker."""

    def __init__(self, desk: Desk, packages: PackageSource, limits: Limits) -> None:
        self._desk = desk
        self._limits = limits
        self._packages = packages
        self._links: dict[str, WorkerLink] = {}
        self._opened = asyncio.Event()
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        """Carry out what workers said, also after their stream ended, until cancelled.

        What a worker said before it died is said: the cluster must see it, and refuse it when it
        comes too late.
        """
        async with self._group:
            await asyncio.Event().wait()

    def send(self, worker: str, message: w.ToWorker) -> None:
        """To that worker if its stream is open; else dropped: its death is about to be told."""
        link = self._links.get(worker)
        if link is not None:
            link.send(message)

    async def ask(self, request: w.WorkerRequest) -> w.WorkerReply:
        """Have any worker do it; waits until one is there. `Unavailable` when it takes too long."""
        try:
            async with asyncio.timeout(self._limits.worker_reply_ms_max / 1000):
                link = await self.opened()
                return await link.ask(request)
        except TimeoutError:
            raise Unavailable("no worker of this node replied within worker_reply_ms_max") from None

    async def opened(self) -> WorkerLink:
        """The least busy worker that takes requests, once there is one."""
        while (link := self.ready()) is None:
            self._opened.clear()
            await self._opened.wait()
        return link

    def ready(self) -> WorkerLink | None:
        """The least busy worker that takes requests now."""
        links = [link for link in self._links.values() if self._desk.takes_requests(link.worker)]
        return min(links, key=lambda link: link.asked, default=None)

    async def serve(
        self,
        incoming: AsyncIterator[w.FromWorker],
        write: Write,
    ) -> None:
        """Carry one stream until the worker ends it, or takes nothing any more.

        A worker whose stream ends, ends: what it held is told as with any death.
        """
        first = await anext(incoming, None)
        if first is None:
            return  # it died before it said who it is
        link = WorkerLink(
            first.hello.worker,
            self._packages,
            self._desk.undelivered,
            self._limits,
        )
        self._links[link.worker] = link
        self._opened.set()
        self._desk.worker_ready(link.worker)
        # Not a task of this call: the call is cancelled as soon as the worker is gone, with words
        # that arrived before still unread.
        reading = self._group.create_task(self._read(link, incoming))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(link.prepare()),
                    group.create_task(self._write(link, write)),
                    overflow := group.create_task(link.overflowed.wait()),
                ]
                await asyncio.wait([reading, overflow], return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
        finally:
            if self._links.get(link.worker) is link:
                del self._links[link.worker]
            link.broke()

    async def _read(self, link: WorkerLink, incoming: AsyncIterator[w.FromWorker]) -> None:
        while True:
            try:
                message = await anext(incoming)
            except StopAsyncIteration:
                return
            except Exception as error:  # noqa: BLE001  # how the library tells a broken stream
                _log.debug("worker_stream_ended", worker=link.worker, reason=repr(error))
                return
            # Outside: a fault in the node's own answer must not look like the end of a stream.
            self._hear(link, message)

    async def _write(self, link: WorkerLink, write: Write) -> None:
        while True:
            messages = await link.outgoing.take()
            try:
                await write(messages)
            except Exception as error:  # noqa: BLE001  # how the library tells a broken stream
                # A worker may die at any moment. Whatever it was, this stream must end.
                _log.info("worker_stream_broke", worker=link.worker, reason=repr(error))
                link.overflowed.set()
                return

    def _hear(self, link: WorkerLink, message: w.FromWorker) -> None:
        desk = self._desk
        call: Awaitable[w.CallAnswer]
        match message.WhichOneof("kind"):
            case "word":
                call = desk.word(message.word)
            case "document_put":
                call = desk.document_put(message.document_put)
            case "document_get":
                call = desk.document_get(message.document_get)
            case "trigger_submit":
                call = desk.trigger_submit(message.trigger_submit)
            case "group_get":
                call = desk.group_get(message.group_get)
            case "gate_ask":
                call = desk.gate_ask(message.gate_ask)
            case "gate_told":
                call = desk.gate_told(message.gate_told)
            case "reply":
                link.replied(message.reply)
                return
            case "status":
                desk.worker_status(link.worker, message.status)
                return
            case _:
                return
        self._group.create_task(self._answer(link, message.number, call))

    async def _answer(self, link: WorkerLink, number: int, call: Awaitable[w.CallAnswer]) -> None:
        try:
            answer = await call
            answer.done = True
        except MoleculeError as error:
            answer = w.CallAnswer(code=error.code, message=error.message, definite=error.definite)
        answer.number = number
        link.send(w.ToWorker(answer=answer))
