"""Verbs of the scenario language about key tables and claimed keys."""

from typing import Any

from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as wire
from tests.scenarios.script import Command
from tests.scenarios.waiting import Waiting


class KeyVerbs(Waiting):
    """The part of `Runner` with these verbs."""

    def _say_put(self, name: str, token: int, command: Command) -> dict[str, Any]:
        """say n1 put e1 token=1 effect=f1 key=a value=1 if=absent: a row of the table `stock`."""
        return {"use_table": self._use(name, token, command, "put")}

    def _say_get(self, name: str, token: int, command: Command) -> dict[str, Any]:
        """say n1 get e1 token=1 key=a: what the row holds."""
        return {"use_table": self._use(name, token, command, "get")}

    def _say_claim(self, name: str, token: int, command: Command) -> dict[str, Any]:
        """say n1 claim e1 token=1 effect=f1 key=a window=1h: work on it once."""
        said = wire.ClaimKey(
            execution=name,
            token=token,
            sequence=self._sequence(name, command),
            effect_key=command.options["effect"],
            scope="s",
            key=command.options["key"],
            window_ms=command.duration_ms("window", "1h"),
        )
        return {"claim_key": said}

    def _say_answered(self, name: str, token: int, command: Command) -> dict[str, Any]:
        """say n1 answered e1 token=1 effect=f1: it has the answer, and a checkpoint follows."""
        told = [wire.Confirmation(effect_key=command.options["effect"], how="sent")]
        said = wire.ConfirmEffects(execution=name, token=token, confirmations=told)
        return {"confirm_effects": said}

    def _use(self, name: str, token: int, command: Command, action: str) -> wire.UseTable:
        options = command.options
        condition = options.get("if", "")
        change = wire.TableChange(
            table="stock",
            key=options["key"],
            action=action,
            value=options.get("value", ""),
            condition="equals" if condition.isdigit() else condition,
            expected=condition if condition.isdigit() else "",
        )
        return wire.UseTable(
            execution=name,
            token=token,
            sequence=self._sequence(name, command),
            effect_key=options.get("effect", ""),
            change=change,
        )

    def _sequence(self, name: str, command: Command) -> int:
        known = self.world.state.executions.get(ExecutionId(name))
        return command.number("sequence", known.sequence if known is not None else 0)
