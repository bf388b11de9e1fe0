"""Those who use a simulated cluster: clients that submit, insist and cancel, and a person on duty.

A client knows only what it was told: accepted, refused, or nothing. What must stay true: an answer
that never came is no answer; a person tells the truth about the target at the moment of asking.
"""

import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from molecule.model import payload
from molecule.model.document import Document
from molecule.model.errors import MoleculeError
from molecule.model.execution import PARKED, ExecutionState
from molecule.model.ids import DocumentId
from molecule.node.submit import Accepted
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from tests.simulation.clients import Tally
from tests.simulation.clock import EventQueue
from tests.simulation.host import Host, ProcessState
from tests.simulation.whole import processes
from tests.simulation.whole.firings import Switch
from tests.simulation.whole.member import NodeMember
from tests.simulation.whole.node import Node
from tests.simulation.whole.promises import Promises
from tests.simulation.whole.target import Target

_WITHIN_S = 4.0
_PATIENCE_S = (1.0, 6.0)
_WAY_S = 0.002
_DUTY_S = 0.7
_TRIES_MAX = 6

Told = Callable[[Any, MoleculeError | None], None]


@dataclass(slots=True)
class _Client:
    """One client: it asks one thing at a time."""

    number: int
    turn: int = 0
    """Grows with each question; an answer to an earlier one comes too late."""
    submitted: int = 0
    waiting: bool = False


class Users:
    """All of them. Stands where `clients.Traffic` stands."""

    def __init__(
        self,
        queue: EventQueue,
        rng: random.Random,
        hosts: dict[str, Host],
        *,
        promises: Promises,
        target: Target,
        kinds: tuple[str, ...],
        clients: int,
        pause_s: float,
        input_bytes: int,
        scheduled: bool,
    ) -> None:
        self._queue = queue
        self._rng = rng
        self._hosts = hosts
        self._promises = promises
        self._target = target
        self._kinds = kinds
        self._pause_s = pause_s
        self._input_bytes = input_bytes
        self._clients = [_Client(number) for number in range(clients)]
        self._deployed = False
        self._scheduled = scheduled
        self._switch = Switch(promises.firings, self._say)
        self._released: dict[str, int] = {}
        self.tally = Tally()
        self.is_stopping = False

    def start(self) -> None:
        """Deploy, then begin."""
        self._queue.after(0.5, self._deploy)
        self._queue.after(_DUTY_S, self._on_duty)

    # Everybody.

    def _ask(self, host: Host, ask: Callable[[Node], Coroutine[Any, Any, Any]], told: Told) -> bool:
        """Ask a node something; `told` hears the answer if the node lives to give it."""
        member = host.member
        if not isinstance(member, NodeMember) or member.node is None:
            return False
        node, loop = member.node, member.loop

        async def asked() -> None:
            try:
                found, error = await ask(node), None
            except MoleculeError as raised:
                found, error = None, raised
            self._queue.after(self._rng.random() * _WAY_S, told, found, error)

        self._queue.after(self._rng.random() * _WAY_S, loop.post, lambda: loop.create_task(asked()))
        return True

    def _choose(self) -> Host | None:
        awake = [host for host in self._hosts.values() if host.state is not ProcessState.DOWN]
        return self._rng.choice(awake) if awake else None

    # Deploying.

    def _deploy(self) -> None:
        if self._deployed:
            return
        self._queue.after(1.0, self._deploy)
        host = self._choose()
        commands = [
            c.Command.FromString(content)
            for content in processes.deployment(scheduled=self._scheduled)
        ]

        def told(found: Any, error: MoleculeError | None) -> None:
            del found
            if error is None and not self._deployed:
                self._deployed = True
                for client in self._clients:
                    self._queue.after(self._rng.random() * self._pause_s, self._next, client)

        if host is not None:
            self._ask(host, lambda node: node.propose(commands, within_s=_WITHIN_S), told)

    # Clients.

    def _next(self, client: _Client) -> None:
        """Ask for something new."""
        if self.is_stopping:
            return
        rng = self._rng
        client.submitted += 1
        process = rng.choice(self._kinds)
        key = f"c{client.number}-{client.submitted}"
        value = {"n": key, "lane": f"lane{rng.randrange(2)}", "pad": "x" * self._input_bytes}
        count = processes.MANY if process == "many" else 1
        documents = tuple(Document(DocumentId(str(at)), value) for at in range(count))
        request = d.SubmitRequest(
            process=process,
            environment=processes.ENVIRONMENT,
            submissions=[
                d.Submission(idempotency_key=key, input=payload.encode_documents(documents))
            ],
        )
        client.waiting = True
        self._submit(client, key, request, 1)

    def _submit(self, client: _Client, key: str, request: d.SubmitRequest, tries: int) -> None:
        rng = self._rng
        client.turn += 1
        turn = client.turn

        def over() -> None:
            client.waiting = False
            self._queue.after(rng.random() * 2 * self._pause_s, self._next, client)

        def again() -> None:
            if client.turn != turn:
                return
            if tries >= _TRIES_MAX:
                self.tally.unknown += 1
                client.turn += 1
                over()
            else:
                self._submit(client, key, request, tries + 1)

        def told(found: Accepted | None, error: MoleculeError | None) -> None:
            refusal = error or (found.refusal if found is not None else None)
            if found is not None and refusal is None:
                # Also an answer that nobody waits for any more was given.
                self._promises.acknowledged(key, found.execution)
            if client.turn != turn:
                return
            if found is not None and refusal is None:
                self.tally.written += 1
                if rng.random() < 0.12:
                    self._queue.after(rng.random() * 3, self._cancel, found.execution)
                if rng.random() < 0.1:
                    self._submit(client, key, request, _TRIES_MAX)
                    return
                client.turn += 1
                over()
                return
            self.tally.refused += 1
            self._queue.after(0.1 + rng.random() * 0.3, again)

        asked = d.SubmitRequest()
        asked.CopyFrom(request)
        host = self._choose()
        if host is not None:
            self._ask(host, lambda node: node.submit(asked, within_s=_WITHIN_S), told)
        self._queue.after(rng.uniform(*_PATIENCE_S), again)

    def _cancel(self, execution: str) -> None:
        host = self._choose()

        def told(found: Any, error: MoleculeError | None) -> None:
            del found
            if error is None:
                self._promises.cancelled(execution)

        if host is not None:
            self._ask(host, lambda node: node.cancel(execution, within_s=_WITHIN_S), told)

    # The person on duty.

    def _on_duty(self) -> None:
        """Look at what is parked, as some node shows it, and decide."""
        self._queue.after(_DUTY_S * (0.5 + self._rng.random()), self._on_duty)
        if self.is_stopping and self._scheduled:
            self._switch.look()
        host = self._choose()
        if host is None or not isinstance(host.member, NodeMember) or host.member.node is None:
            return
        executions = host.member.node.replica.state.executions
        for name, execution in list(executions.items()):
            if execution.state is ExecutionState.IN_DOUBT:
                answers = [
                    {"effect": intent.effect_key, "answer": self._truth(intent.effect_key)}
                    for intent in execution.intents.values()
                    if intent.is_in_doubt
                ]
                self._answer(host, name, answers)
            elif execution.state in PARKED:
                self._decide(host, name)

    def _say(self, command: c.Command, done: Callable[[], None]) -> None:
        """Anywhere; `done` when it was heard to be applied."""
        host = self._choose()

        def told(found: Any, error: MoleculeError | None) -> None:
            del found
            if error is None:
                done()

        if host is not None:
            self._ask(host, lambda node: node.propose([command], within_s=_WITHIN_S), told)

    def _answer(self, host: Host, name: str, answers: list[dict[str, str]]) -> None:
        self._ask(host, lambda node: node.resolve(name, answers, within_s=_WITHIN_S), _ignore)

    def _decide(self, host: Host, name: str) -> None:
        """Let it go on once or twice, then give it up."""
        self._released[name] = released = self._released.get(name, 0) + 1
        if released > 2:
            self._ask(host, lambda node: node.fail(name, within_s=_WITHIN_S), _ignore)
        else:
            self._ask(host, lambda node: node.release(name, within_s=_WITHIN_S), _ignore)

    def _truth(self, key: str) -> str:
        return "done" if self._target.arrived.get(key) else "not_done"

    # What the world asks (as `clients.Traffic`).

    def is_drained(self) -> bool:
        """Has every client its answer, and is everything at its end."""
        if self._scheduled and not self._switch.is_off:
            return False
        return not any(client.waiting for client in self._clients) and not self._promises.open()

    def burst(self, host: Host, count: int) -> None:
        """Many clients at once."""
        del host
        for number in range(min(count, 10)):
            client = _Client(1000 + len(self._clients) + number)
            self._clients.append(client)
            if self._deployed:
                self._queue.after(self._rng.random() * 0.05, self._next_once, client)

    def _next_once(self, client: _Client) -> None:
        self._next(client)

    def settled(self, member: str, ticket: int, index: int | None, *, definite: bool) -> None:
        """Nothing is proposed past the nodes here."""

    def read_from(self, member: str, ticket: int, index: int | None) -> None:
        """Nothing is read past them either."""


def _ignore(found: Any, error: MoleculeError | None) -> None:
    del found, error
