"""Verbs of the scenario language about executions that wait, and what they are told."""

from typing import Any

from molecule.wire.v1 import commands_pb2 as wire
from tests.scenarios.parked import Parked
from tests.scenarios.script import Command


class Waiting(Parked):
    """The part of `Runner` with these verbs."""

    def do_signal(self, command: Command) -> None:
        """signal e1 approved key=s1 body=yes for=order-7: somebody tells it something."""
        execution, name = command.words
        self._propose(
            signal_execution=wire.SignalExecution(
                execution=execution,
                signal=command.options.get("key", f"key_of_{name}"),
                name=name,
                correlation=command.options.get("for", ""),
                body_digest=command.options.get("body", "the body"),
                payload=wire.Payload(inline=b"1"),
                actor=wire.Actor(kind="user", name="ann"),
            )
        )

    def _say_await(self, name: str, token: int, command: Command) -> dict[str, Any]:
        """say n1 await e1 token=1 names=a,b within=1h: it has nothing else to do."""
        awaited = [wire.Awaited(name=one) for one in command.options["names"].split(",")]
        within_ms = command.duration_ms("within", "0s")
        end = wire.EndAttempt(
            execution=name,
            token=token,
            state="WAITING",
            reason="signal",
            awaited=awaited,
            wait_ms=within_ms,
        )
        return {"end_attempt": end}

    def _say_take(self, name: str, token: int, command: Command) -> dict[str, Any]:
        """say n1 take e1 token=2 key=s1: a checkpoint that holds what a signal brought."""
        return {
            "record_checkpoint": wire.RecordCheckpoint(
                execution=name,
                token=token,
                sequence=command.number("sequence", 1),
                position=wire.Payload(inline=b"position"),
                consumed=[command.options["key"]],
            )
        }
