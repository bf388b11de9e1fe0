"""A target outside that remembers what reached it, and the operations that send to it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from molecule.component.config import Config
from molecule.component.contract import CallContext, Reply, Request, StepContext
from molecule.component.registry import Registry, discover, operation, trigger
from molecule.component.spec import Field, Spec
from molecule.model import payload
from molecule.model.document import Document
from molecule.model.effect import Effect, ErrorClass
from molecule.model.errors import StepError


@dataclass
class Target:
    """Counts what it received by effect key; `answers` are failures to give, by step, in order."""

    received: list[tuple[str, bytes]] = field(default_factory=list)
    reads: int = 0
    failures: dict[str, list[tuple[ErrorClass, bool]]] = field(default_factory=dict)
    """step path -> (class, whether it happened all the same), one per call."""

    hold: asyncio.Event | None = None
    """While it is not set, an effect that arrived is not answered."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def keys(self) -> list[str]:
        """Effect keys in the order in which they arrived."""
        return [key for key, _ in self.received]

    def step_counts(self) -> dict[str, int]:
        """How often each step's effect arrived."""
        counts: dict[str, int] = {}
        for key in self.keys():
            step = key.split("/", 1)[1].rsplit("/", 1)[0]
            counts[step] = counts.get(step, 0) + 1
        return counts

    def take(self, request: Request, call: CallContext) -> None:
        """One effect arrives, unless it was told to fail."""
        step = call.effect_key.split("/", 1)[1].rsplit("/", 1)[0]
        planned = self.failures.get(step)
        if planned:
            error_class, happened = planned.pop(0)
            call.before_send()
            if happened:
                self.received.append((call.effect_key, payload.encode_value(request.body)))
            raise StepError(f"told to fail with {error_class}", error_class=error_class)
        call.before_send()
        self.received.append((call.effect_key, payload.encode_value(request.body)))


class Sending:
    """What is sent, and how; the effect is its subclass's."""

    effect: Effect
    default_output = "keep"

    def __init__(self, config: Config) -> None:
        self._body = config.optional_expression("body")

    def prepare(self, document: Document, context: StepContext) -> Request:
        body = document.value
        if self._body is not None:
            body = self._body.value(document, context.names)
        return Request(f"target {context.step}", body)

    async def perform(self, client: Target, request: Request, call: CallContext) -> Reply:
        client.take(request, call)
        client.reached.set()
        if client.hold is not None:
            await client.hold.wait()
        return Reply(({"stored": True},), "taken")


_SPEC = Spec(
    summary="Send to the fake target.",
    fields={"body": Field.expression("What to send.", required=False)},
    effect=None,
    errors="As told.",
)


@operation("target.tell", _SPEC)
class Tell(Sending):
    effect = Effect.ONCE


@operation("target.put", _SPEC)
class Put(Sending):
    effect = Effect.IDEMPOTENT


@operation(
    "target.ask",
    Spec(
        summary="How often did the effect of a step arrive?",
        fields={"of": Field.text("The step's path.", required=False)},
        effect=None,
        errors="None.",
    ),
)
class Ask:
    effect = Effect.PURE
    default_output = "replace"

    def __init__(self, config: Config) -> None:
        self._of = config.optional_text("of") or ""

    def prepare(self, document: Document, context: StepContext) -> Request:
        del context
        return Request("target", f"{self._of}/{document.id}")

    async def perform(self, client: Target, request: Request, call: CallContext) -> Reply:
        call.before_send()
        count = sum(key.endswith(request.body) for key, _ in client.received)
        return Reply(({"count": count},))


@operation(
    "target.read",
    Spec(
        summary="Read something that is another each time.",
        fields={},
        effect=None,
        reads_outside=True,
        errors="None.",
    ),
)
class Read:
    effect = Effect.PURE
    default_output = "replace"

    def __init__(self, config: Config) -> None:
        del config

    def prepare(self, document: Document, context: StepContext) -> Request:
        del context
        return Request("target", document.value)

    async def perform(self, client: Target, request: Request, call: CallContext) -> Reply:
        call.before_send()
        client.reads += 1
        value: dict[str, Any] = {**request.body, "seen": client.reads}
        return Reply((value,))


@trigger("target.never", Spec(summary="Causes nothing.", fields={}))
class Never:
    def __init__(self, config: Config) -> None:
        del config


def registry() -> Registry:
    """The built-in steps and the operations of the fake target."""
    found = discover(("molecule.steps",), extensions=False)
    for component in (Tell, Put, Ask, Read, Never):
        found.add(component)
    return found
