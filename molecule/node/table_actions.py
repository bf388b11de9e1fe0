"""What people do to rows of key tables: put one, delete one."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster.key_rows import TableName
from molecule.cluster.outcome import Rejected
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import Conflict, LimitExceeded, MoleculeError, NotFound
from molecule.node import refusals, wire
from molecule.node.forwarder import Forwarder
from molecule.wire.v1 import commands_pb2 as c


class TableActions:
    """Used by the gateway's door."""

    def __init__(
        self, *, forwarder: Forwarder, state: Callable[[], ClusterState], limits: Limits
    ) -> None:
        self._forwarder = forwarder
        self._state = state
        self._limits = limits

    async def put(
        self, actor: Actor, name: str, fields: Mapping[str, Any], *, within_s: float
    ) -> None:
        """Write a row, if it is as `if` says; else `Conflict`. `OutcomeUnknown` as it is."""
        policy.check(actor, Action.EDIT_TABLE)
        environment, table, key = name.split("/", 2)
        condition = str(fields.get("if", "always"))
        change = c.TableChange(
            table=table,
            key=key,
            action="put",
            value=_json_text(fields.get("value")),
            unique={str(unique): str(value) for unique, value in fields.get("unique", {}).items()},
            condition="" if condition == "always" else condition,
            expected=_json_text(fields.get("equals")) if condition == "equals" else "",
        )
        await self._say(actor, environment, change, within_s=within_s)

    async def delete(self, actor: Actor, name: str, *, within_s: float) -> None:
        """Take a row out. `NotFound` when this node's copy has none."""
        policy.check(actor, Action.EDIT_TABLE)
        environment, table, key = name.split("/", 2)
        known = self._state().key_tables.get(TableName(environment, table))
        if known is None or key not in known.rows:
            raise NotFound(f"table {table} of {environment} has no row {key}")
        change = c.TableChange(table=table, key=key, action="delete")
        await self._say(actor, environment, change, within_s=within_s)

    async def _say(
        self, actor: Actor, environment: str, change: c.TableChange, *, within_s: float
    ) -> None:
        said = c.EditTable(environment=environment, change=change, actor=wire.actor_to_wire(actor))
        commands = [c.Command(version=1, edit_table=said)]
        # A second time it would take back what somebody wrote behind the first.
        result = await self._forwarder.insist(commands, within_s=within_s, repeat_unknown=False)
        outcome = result.outcomes[0]
        if isinstance(outcome, Rejected):
            raise self._refused(environment, change, outcome)

    def _refused(
        self, environment: str, change: c.TableChange, rejected: Rejected
    ) -> MoleculeError:
        if rejected.reason != "limit":
            return refusals.error_of(
                rejected, environment=environment, table=change.table, key=change.key
            )
        limit = str(rejected.facts.get("limit"))
        allowed = int(getattr(self._limits, limit, 0))
        if limit == "table_row_bytes_max":
            size = len(change.key.encode()) + len(change.value.encode())
            return LimitExceeded(limit=limit, allowed=allowed, asked=size)
        row = f"row {change.key} of table {change.table}"
        message = f"{row} finds no room: {limit} of {allowed} is reached; delete rows first"
        return Conflict(message, limit=limit)


def _json_text(value: Any) -> str:
    """As steps write and compare values: JSON with sorted names."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
