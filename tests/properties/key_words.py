"""Writes to tables and claims of keys: how logs say them, and the slow model of both."""

from typing import Any

from molecule.cluster import claims
from molecule.cluster.key_rows import TableName
from molecule.cluster.state import ClusterState
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as wire
from tests.properties.beginning import ENVIRONMENT
from tests.properties.model_parts import Run
from tests.properties.waits import Waits

CONDITIONS = ("", "absent", "present", "equals")
EFFECTS = ("a", "b", "c")
"""Those of `logs`, whose confirmations are for these answers, too."""
WINDOW_MS = 8_000


def change(number: int, other: int) -> wire.TableChange:
    """A change of one of two rows."""
    return wire.TableChange(
        table="stock",
        key="ab"[number % 2],
        action=("put", "put", "delete", "get", "burn")[other % 5],
        value=str(number % 3),
        unique={"mail": "mn"[other % 2]} if number % 3 else {},
        condition=CONDITIONS[other % 4],
        expected=str(other % 3),
    )


def use(state: ClusterState, name: str, token: int, numbers: tuple[int, int]) -> dict[str, Any]:
    """A holder changes or reads a row."""
    a, b = numbers
    said = wire.UseTable(token=token, change=change(a, b), **holder(state, name, a + b))
    return {"use_table": said}


def edit(_: ClusterState, a: int, b: int, _c: int, _d: int) -> dict[str, Any]:
    """A person changes a row."""
    return {"edit_table": wire.EditTable(environment=ENVIRONMENT, change=change(a, b))}


def claim(state: ClusterState, name: str, token: int, numbers: tuple[int, int]) -> dict[str, Any]:
    """A holder claims a key."""
    a, b = numbers
    said = wire.ClaimKey(
        token=token,
        scope="s",
        key="kl"[b % 2],
        window_ms=WINDOW_MS,
        wait=b % 3 == 0,
        **holder(state, name, a),
    )
    return {"claim_key": said}


def told(state: ClusterState) -> tuple[dict[str, tuple[str, str]], set[tuple[str, str, int]]]:
    """Rows and claims that count, as the machine has them."""
    table = state.key_tables.get(TableName(ENVIRONMENT, "stock"))
    rows = table.rows.items() if table is not None else ()
    names = {claims.name_of(ENVIRONMENT, "s", key): key for key in "kl"}
    held = {
        (names[name], str(claim.execution), claim.until_ms)
        for name, claim in state.claims.items()
        if not claim.until_ms or claim.until_ms > state.time_ms
    }
    return {key: (row.value, dict(row.unique).get("mail", "")) for key, row in rows}, held


def holder(state: ClusterState, name: str, number: int) -> dict[str, Any]:
    """What a word of this execution carries besides."""
    execution = state.executions.get(ExecutionId(name))
    return {
        "execution": name,
        "sequence": (execution.sequence if execution else 0) - (number % 7 == 6),
        "effect_key": EFFECTS[number % 3],
    }


class KeyWords(Waits):
    """The part of the model about tables and claims."""

    def __init__(self, hold_ms: int) -> None:
        super().__init__(hold_ms)
        self.rows: dict[str, tuple[str, str]] = {}
        """Key -> value, and its value of the unique key."""
        self.claimed: list[tuple[str, str, str, int]] = []
        """Key, effect, execution, and until when it counts; 0: it has not ended."""

    def claims(self) -> set[tuple[str, str, int]]:
        """Those that count: key, execution, until when."""
        return {
            (key, name, until)
            for key, _, name, until in self.claimed
            if not until or until > self.time
        }

    def _speaks(self, said: Any) -> Run | None:
        run = self.find(said.execution)
        return run if run and run.state == "ASSIGNED" and run.token == said.token else None

    def use_table(self, said: wire.UseTable) -> bool:
        run = self._speaks(said)
        if run is None or said.change.action == "burn":
            # What was answered before is answered again, whatever the copy says.
            return run is not None and said.effect_key in run.answers
        if said.change.action == "get":
            return True
        if said.effect_key in run.answers:
            return True
        if said.sequence != run.sequence:
            return False
        run.answers[said.effect_key] = self._change(said.change)
        return True

    def edit_table(self, said: wire.EditTable) -> bool:
        return said.change.action in ("put", "delete") and self._change(said.change) == "done"

    def _change(self, asked: wire.TableChange) -> str:
        row = self.rows.get(asked.key)
        if (
            (asked.condition == "absent" and row)
            or (asked.condition == "present" and not row)
            or (asked.condition == "equals" and (not row or row[0] != asked.expected))
        ):
            return "conflict"
        if asked.action == "delete":
            self.rows.pop(asked.key, None)
            return "done"
        mail = asked.unique.get("mail", "")
        if mail and any(mail == of and key != asked.key for key, (_, of) in self.rows.items()):
            return "taken"
        self.rows[asked.key] = (asked.value, mail)
        return "done"

    def claim_key(self, said: wire.ClaimKey) -> bool:
        run = self._speaks(said)
        if run is None:
            return False
        if said.effect_key in run.answers:
            return True
        if said.sequence != run.sequence:
            return False
        for key, effect, _, until in self.claimed:
            if key == said.key and (not until or until > self.time) and effect != said.effect_key:
                if said.wait and not until:
                    return False
                run.answers[said.effect_key] = "duplicate"
                return True
        run.answers[said.effect_key] = "claimed"
        if not any(
            key == said.key and (not until or until > self.time)
            for key, _, _, until in self.claimed
        ):
            self.claimed.append((said.key, said.effect_key, run.name, 0))
        return True

    def _set(self, run: Run, state: str) -> None:
        """Claims of executions that have ended count for a while, or are gone."""
        super()._set(run, state)
        settled = []
        for key, effect, name, until in self.claimed:
            if until or name != run.name or run.live:
                settled.append((key, effect, name, until))
            elif state == "COMPLETED":
                settled.append((key, effect, name, self.time + WINDOW_MS))
        self.claimed = settled
