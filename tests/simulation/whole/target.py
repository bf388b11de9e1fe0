"""The world outside: one target that remembers all that reached it, and the operations that send.

It answers at once, late, twice, with an error, or not at all, and a request may be on its way until
the deadline of its step. What must stay true: only what arrived here happened.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from molecule.component.config import Config
from molecule.component.contract import CallContext, Emit, Reply, Request, StepContext
from molecule.component.registry import Registry, connector, discover, operation, step
from molecule.component.spec import ConnectorSpec, Example, Field, Spec
from molecule.model import payload
from molecule.model.document import Document
from molecule.model.effect import Effect, ErrorClass
from molecule.model.errors import StepError
from tests.fakes import target as fakes
from tests.simulation.clock import EventQueue
from tests.simulation.whole.loop import ProcessLoop


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it leaves a worker."""

    key: str
    effect: Effect
    body: bytes
    process: str
    deadline_s: float
    """True time after which nothing of it may arrive."""


@dataclass(slots=True)
class Mood:
    """How the target behaves just now; changed by faults only."""

    refuses: float = 0.0
    slow: float = 0.0
    mute: float = 0.0
    """What happened and is never answered."""


@dataclass
class Target:
    """All effects, in the order in which they arrived. `told` hears of each."""

    queue: EventQueue
    rng: random.Random
    told: Callable[[Sent], None]
    slow: float = 0.0
    mood: Mood = field(default_factory=Mood)
    arrived: dict[str, int] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)

    def send(self, sent: Sent, answer: Callable[[str], None]) -> None:
        """A request is on its way; `answer` with `taken` or `refused`, or never."""
        rng, mood = self.rng, self.mood
        left_s = max(0.0, sent.deadline_s - self.queue.now_s)
        way_s = min(rng.choice((0.001, 0.01, 0.05)) * (0.5 + rng.random()), left_s)
        if rng.random() < max(mood.slow, self.slow):
            way_s = left_s * rng.random()
        if rng.random() < mood.refuses:
            self.queue.after(way_s, answer, "refused")
            return
        self.queue.after(way_s, self._arrive, sent, answer)

    def _arrive(self, sent: Sent, answer: Callable[[str], None]) -> None:
        self.arrived[sent.key] = self.arrived.get(sent.key, 0) + 1
        self.bodies.setdefault(sent.key, sent.body)
        self.told(sent)
        if self.rng.random() >= self.mood.mute:
            self.queue.after(self.rng.random() * 0.01, answer, "taken")

    def ask(self, key: str, answer: Callable[[int], None]) -> None:
        """How often it arrived; answered as of the moment in which the question came."""
        way_s = 0.001 + self.rng.random() * 0.02

        def look() -> None:
            self.queue.after(way_s, answer, self.arrived.get(key, 0))

        self.queue.after(way_s, look)


class WorkerLoop(ProcessLoop):
    """A process that can reach the target."""

    target: Target
    leaves: Callable[[Sent], None]
    leaving_s: float
    dies: Callable[[], None]

    def send(self, sent: Sent, answer: Callable[[str], None]) -> None:
        """The first byte leaves."""
        self.leaves(sent)
        self.target.send(sent, answer)


@connector(
    "target",
    ConnectorSpec(
        summary="The simulated target.",
        fields={"name": Field.text("Its name.", default="target")},
        addresses=("name",),
        example=Example(config="{name: target}"),
    ),
)
class Client:
    """The client of one worker; its requests leave one turn after they were checked."""

    def __init__(self, settings: Config, credential: Callable[[str], str]) -> None:
        del settings, credential

    async def open(self) -> None:
        """Nothing is sent."""

    async def close(self) -> None:
        """Nothing is kept."""

    async def send(self, effect: Effect, request: Request, call: CallContext) -> None:
        """Send and wait for the answer."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, WorkerLoop)
        answered: asyncio.Future[str] = loop.create_future()
        deadline_s = loop.clock.true_s(call.deadline)
        body = payload.encode_value(request.body)
        sent = Sent(call.effect_key, effect, body, loop.name, deadline_s)

        def answer(said: str) -> None:
            loop.post(lambda: None if answered.done() else answered.set_result(said))

        call.before_send()
        # Between the check and the first byte the kernel may stop the process for any time.
        loop.call_later(loop.rng.random() * loop.leaving_s, loop.send, sent, answer)
        try:
            async with asyncio.timeout(call.timeout_s):
                said = await answered
        except TimeoutError:
            raise StepError("no answer", error_class=ErrorClass.TRANSIENT_UNKNOWN) from None
        if said == "refused":
            raise StepError("it is busy", error_class=ErrorClass.TRANSIENT_DEFINITE)

    async def count(self, key: str, call: CallContext) -> int:
        """How often an effect arrived."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, WorkerLoop)
        answered: asyncio.Future[int] = loop.create_future()
        call.before_send()
        loop.target.ask(
            key, lambda n: loop.post(lambda: None if answered.done() else answered.set_result(n))
        )
        return await answered


class _Sending(fakes.Sending):
    async def perform(self, client: Any, request: Request, call: CallContext) -> Reply:
        await client.send(self.effect, request, call)
        return Reply(({"stored": True},), "taken")


_SPEC = Spec(
    summary="Send to the target.",
    fields={"body": Field.expression("What to send.", required=False)},
    effect=None,
    connection=True,
    errors="transient.definite: refused. transient.unknown: no answer in time.",
)


@operation("target.tell", _SPEC)
class Tell(_Sending):
    """Repeating it does harm."""

    effect = Effect.ONCE


@operation("target.put", _SPEC)
class Put(_Sending):
    """The target takes its key."""

    effect = Effect.IDEMPOTENT


@operation(
    "target.ask",
    Spec(
        summary="How often did the effect of a step arrive?",
        fields={"of": Field.text("The step's path.")},
        effect=None,
        connection=True,
        errors="None.",
    ),
)
class Ask(fakes.Ask):
    """For `verify`."""

    async def perform(self, client: Any, request: Request, call: CallContext) -> Reply:
        # The question has a key of its own; the effect asked for is named by its origin and step.
        origin = call.effect_key.split("/", 1)[0]
        return Reply(({"count": await client.count(f"{origin}/{request.body}", call)},))


@step("target.crash", Spec(summary="End the worker that runs it.", fields={}, errors="None."))
class Crash:
    """Poison."""

    def __init__(self, config: Config) -> None:
        del config

    def process(self, document: Document, context: StepContext) -> Emit:
        del context
        loop = asyncio.get_running_loop()
        if isinstance(loop, WorkerLoop):
            loop.dies()
        return Emit(None, document)


def registry() -> Registry:
    """The built-in steps and triggers, and the operations of the target."""
    found = discover(("molecule.steps", "molecule.triggers"), extensions=False)
    for component in (Client, Tell, Put, Ask, Crash):
        found.add(component)
    return found
