"""Verbs of the scenario language about connections: calls that fail, gates, permits."""

from typing import Any

from molecule.cluster import gates
from molecule.cluster.outcome import Applied
from molecule.wire.v1 import commands_pb2 as wire
from tests.scenarios.parked import Parked
from tests.scenarios.script import Command, milliseconds
from tests.scenarios.world import ENVIRONMENT


def gates_of(options: dict[str, str]) -> list[wire.GatePolicy]:
    """process orders breaker=crm:3/10s/60s rate=crm:2/1s."""
    found: dict[str, wire.GatePolicy] = {}
    for kind in ("breaker", "rate"):
        name, _, numbers = options.get(kind, "").partition(":")
        if not name:
            continue
        policy = found.setdefault(name, wire.GatePolicy(connection=name))
        first, *spans = numbers.split("/")
        if kind == "breaker":
            policy.failures = int(first)
            policy.within_ms, policy.open_ms = (milliseconds(span) for span in spans)
        else:
            policy.rate_limit, policy.rate_per_ms = int(first), milliseconds(spans[0])
    return list(found.values())


class GateVerbs(Parked):
    """A part of `Runner`."""

    def _say_gate(self, name: str, token: int, command: Command) -> dict[str, Any]:
        """say n1 gate e1 token=1 of=crm reason=breaker: it comes to a closed gate."""
        end = wire.EndAttempt(
            execution=name,
            token=token,
            state="WAITING",
            reason=command.options.get("reason", "breaker"),
            until_released=True,
            gate=command.options["of"],
        )
        return {"end_attempt": end}

    def do_calls(self, command: Command) -> None:
        """calls crm failures=3 well=e1,e2 wrong=e3: what became of calls."""
        well, wrong = (command.options.get(name, "") for name in ("well", "wrong"))
        failed = [name for name in wrong.split(",") if name]
        said = wire.RecordCalls(
            environment=ENVIRONMENT,
            connection=command.words[0],
            failures=command.number("failures", 0) + len(failed),
            succeeded=[name for name in well.split(",") if name],
            failed=failed,
        )
        self.world.propose(record_calls=said)
        self._show(command.words[0])

    def do_permits(self, command: Command) -> None:
        """permits crm 5 for=e1,e2: how many of five are given, to those let through first."""
        name, count = command.words
        through = command.options.get("for", "")
        said = wire.TakePermits(
            environment=ENVIRONMENT,
            connection=name,
            count=int(count),
            executions=[one for one in through.split(",") if one],
        )
        outcome = self.world.propose(take_permits=said)
        assert isinstance(outcome, Applied), outcome
        self.world.output.append(f"{outcome.value} permits")

    def do_gate(self, command: Command) -> None:
        """gate crm: how it stands."""
        self._show(command.words[0])

    def _show(self, name: str) -> None:
        state = self.world.state
        known = state.connections[ENVIRONMENT, name]
        phase = gates.phase(known, time_ms=state.time_ms)
        self.world.output.append(
            f"{name} {phase} waiting={len(known.waiting)} let_through={len(known.passes)}"
        )
