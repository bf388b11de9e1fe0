"""What surfaces may read, as JSON: one method per resource, chosen by name.

Reads from this node's copy unless the caller asks for a fresh one; the age of the copy goes with
the answer. Never changes anything.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from molecule.cluster import gate_views, retention, views, volatile_views
from molecule.cluster.state import ClusterState
from molecule.config import NodeConfig
from molecule.model.errors import InvalidInput, NotFound, Purged
from molecule.model.ids import ExecutionId, IdempotencyKey, NodeId
from molecule.model.retention import RetentionClass, of_documents
from molecule.node import explaining, searches
from molecule.node.explaining import Explaining
from molecule.node.payloads import Payloads
from molecule.node.submit import submitted_at_ms
from molecule.node.table_reads import TableReads
from molecule.node.trigger_health import TriggerHealths
from molecule.storage.rows import DeadLetterQuery, DeadLetterRow
from molecule.storage.state_store import StateStore

View = Mapping[str, Any]

_SCANNED_AT_ONCE: Final = 2_000
"""Executions that a search looks at before the loop turns."""


class Reads:
    """Built by the runtime; called by the door."""

    def __init__(
        self,
        *,
        config: NodeConfig,
        state: Callable[[], ClusterState],
        store: StateStore,
        payloads: Payloads,
        leader: Callable[[], str | None],
        members: Callable[[], View],
        triggers: TriggerHealths,
        age_s: Callable[[], float | None] = lambda: 0.0,
    ) -> None:
        self._age_s = age_s
        self._config = config
        self._state = state
        self._store = store
        self._payloads = payloads
        self._leader = leader
        self._members = members
        self._triggers = triggers
        explained = Explaining(
            state=state,
            store=store,
            execution=self._execution,
            limits=config.limits,
            leader=self._heard_leader,
        )
        tables = TableReads(state=state, page_size_max=config.limits.page_size_max)
        self._resources: dict[str, Callable[[str, Mapping[str, str]], Awaitable[View]]] = {
            "cluster": self._cluster,
            "nodes": self._nodes,
            "node": self._node,
            "processes": self._processes,
            "process": self._process,
            "executions": self._executions,
            "execution": self._execution,
            "timeline": self._timeline,
            "why": explained.why,
            "postmortems": explained.postmortems,
            "postmortem": explained.postmortem,
            "deadletters": self._dead_letters,
            "deadletter": self._dead_letter,
            "connections": self._connections,
            "connection": self._connection,
            "tables": tables.tables,
            "rows": tables.rows,
            "row": tables.row,
        }

    async def read(self, resource: str, name: str, query: Mapping[str, str]) -> View:
        """The resource as plain JSON. Raises `NotFound` with what was looked for."""
        reader = self._resources.get(resource)
        if reader is None:
            raise NotFound(f"there is no resource {resource}")
        return await reader(name, query)

    def _heard_leader(self) -> str | None:
        """Whom this voter follows, as long as it hears that a majority does, too."""
        age_s = self._age_s()
        is_heard = age_s is not None and age_s * 1000 < self._config.effective_timing.lease_ms
        return self._leader() if is_heard else None

    async def _cluster(self, _name: str, _query: Mapping[str, str]) -> View:
        state = self._state()
        sides = views.conservation(state)
        members = self._members()
        voters = members["voters"]
        up = sum(node.is_up and node.id in voters for node in state.nodes.values())
        return {
            "cluster": self._config.cluster,
            "leader": self._leader() or "",
            "epoch": state.epoch,
            "index": state.index,
            "time_ms": state.time_ms,
            "voters": voters,
            "learners": members["learners"],
            "may_lose_voters": max(0, up - (len(voters) // 2 + 1)),
            "nodes": self._all_nodes(),
            "counts": {name.value: count for name, count in state.counts.items()},
            "totals": dict(state.totals),
            "accepted": sides["accepted"],
            "conservation": sides,
            "conservation_gap": views.conservation_gap(sides),
            "groups": [views.group(group) for group in state.groups.values()],
        }

    async def _nodes(self, _name: str, _query: Mapping[str, str]) -> View:
        return {"items": self._all_nodes(), "next": None}

    def _all_nodes(self) -> list[View]:
        voters = self._members()["voters"]
        return [{**view, "voter": view["id"] in voters} for view in views.nodes(self._state())]

    async def _node(self, name: str, _query: Mapping[str, str]) -> View:
        state = self._state()
        node = state.nodes.get(NodeId(name))
        if node is None:
            raise NotFound(f"no node {name} has registered")
        return {**views.node(state, node), "voter": name in self._members()["voters"]}

    async def _connections(self, _name: str, query: Mapping[str, str]) -> View:
        wanted = query.get("environment", "")
        found = gate_views.connections(self._state())
        items = [one for one in found if wanted in ("", one["environment"])]
        return {"items": items, "next": None}

    async def _connection(self, name: str, _query: Mapping[str, str]) -> View:
        environment, _, connection = name.partition("/")
        state = self._state()
        known = state.connections.get((environment, connection))
        if known is None:
            raise NotFound(f"no process deployed in {environment} uses a connection {connection}")
        return gate_views.connection(state, known)

    async def _processes(self, _name: str, query: Mapping[str, str]) -> View:
        wanted = query.get("environment", "")
        items = [
            view
            for view in views.deployments(self._state())
            if not wanted or view["environment"] == wanted
        ]
        return {"items": await self._with_triggers(items), "next": None}

    async def _with_triggers(self, deployments: Sequence[View]) -> list[View]:
        return await self._triggers.add_to(deployments, self._heard_leader())

    async def _process(self, name: str, _query: Mapping[str, str]) -> View:
        state = self._state()
        versions = [
            {"version": version.id, "put_at_ms": version.put_at_ms, "actor": version.actor}
            for version in state.versions.values()
            if version.process == name
        ]
        if not versions:
            raise NotFound(f"no process {name} was ever applied")
        deployments = [view for view in views.deployments(state) if view["process"] == name]
        held = [view for view in views.held_keys(state) if view["process"] == name]
        return {
            "process": name,
            "deployments": await self._with_triggers(deployments),
            "versions": versions,
            "held_keys": held,
        }

    async def _executions(self, _name: str, query: Mapping[str, str]) -> View:
        search = searches.parsed(query, page_size_max=self._config.limits.page_size_max)
        scan = searches.Scan(self._state(), search)
        while not scan.look(_SCANNED_AT_ONCE):  # noqa: ASYNC110  # it waits for nothing
            await asyncio.sleep(0)
        items, cursor = scan.page()
        if search.looks_in_history and len(items) < search.limit and not search.key:
            page = await self._store.history(
                search.history_query,
                cursor=search.history_cursor,
                limit=search.limit - len(items),
            )
            items += [volatile_views.shown(orjson.loads(row.body)) for row in page.rows]
            cursor = searches.ended_cursor(page.cursor)
        if search.key:
            items, cursor = await self._by_key(search.key, items), ""
        return {"items": items, "next": cursor or None}

    async def _by_key(self, key: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        state = self._state()
        execution = state.keys.get(IdempotencyKey(key))
        if items or execution is None:
            return items
        ended = await self._store.history_one(execution)
        return [orjson.loads(ended.body)] if ended is not None else []

    async def _execution(self, name: str, _query: Mapping[str, str]) -> View:
        state = self._state()
        execution = state.executions.get(ExecutionId(name))
        if execution is not None:
            return views.execution(state, execution)
        ended = await self._store.history_one(name)
        if ended is None:
            raise self._not_there(name)
        return volatile_views.shown(orjson.loads(ended.body))

    def _not_there(self, name: str) -> NotFound:
        if volatile_views.is_id(name):
            return NotFound(volatile_views.unknown(name))
        # An id that we made begins with when it was submitted.
        made_at_ms = submitted_at_ms(name)
        if made_at_ms is not None and made_at_ms < retention.horizon_ms(
            self._state(), RetentionClass.HISTORY
        ):
            return Purged(f"there is no execution {name}; if there was, its history was purged")
        return NotFound(f"there is no execution {name}")

    def are_documents_purged(self, view: View) -> bool:
        """True when what an ended execution brought and gave is not kept any more."""
        state, ended_at_ms = self._state(), view.get("ended_at_ms") or view["changed_at_ms"]
        name = of_documents(view["state"])
        return bool(ended_at_ms < retention.horizon_ms(state, name))

    async def _timeline(self, name: str, query: Mapping[str, str]) -> View:
        # One row more is read than shown, to know whether there is a next page.
        maximum = self._config.limits.page_size_max - 1
        limit = searches.page_size(query, default=maximum, maximum=maximum)
        cursor = query.get("cursor", "")
        after = (0, -1)
        if cursor:
            index, _, number = cursor.partition(".")
            if not (index.isdigit() and number.isdigit()):
                raise InvalidInput("cursor must be the `next` of the page before")
            after = (int(index), int(number))
        rows = await self._store.timeline(name, after=after, limit=limit + 1)
        if not rows and not cursor:
            await self._execution(name, {})
            if volatile_views.is_id(name):
                return {"items": await self._volatile_lines(name), "next": None}
            raise Purged(f"the timeline of {name} was purged")
        items = [explaining.line(row) for row in rows[:limit]]
        last = items[-1] if items else None
        following = f"{last['index']}.{last['number']}" if last and len(rows) > limit else None
        return {"items": items, "next": following}

    async def _volatile_lines(self, name: str) -> list[View]:
        ended = await self._store.history_one(name)
        return volatile_views.lines(orjson.loads(ended.body)) if ended is not None else []

    async def _dead_letters(self, _name: str, query: Mapping[str, str]) -> View:
        page = await self._store.dead_letters(
            DeadLetterQuery(
                process=query.get("process"),
                environment=query.get("environment"),
                execution=query.get("execution"),
                error_class=query.get("error_class"),
                error_code=query.get("error_code"),
            ),
            cursor=query.get("cursor", ""),
            limit=searches.page_size(query, default=100, maximum=self._config.limits.page_size_max),
        )
        return {
            "items": [_letter_head(row) for row in page.rows],
            "next": page.cursor or None,
        }

    async def _dead_letter(self, name: str, _query: Mapping[str, str]) -> View:
        index, _, number = name.partition(".")
        row = None
        if index.isdigit() and number.isdigit():
            row = await self._store.dead_letter(int(index), int(number))
        if row is None:
            raise NotFound(f"there is no dead letter {name}")
        has_content = row.inline is not None or row.digest
        content = await self._payloads.kept(row) if has_content else b""
        return {**_letter_head(row), "documents": orjson.loads(content) if content else []}


def _letter_head(row: DeadLetterRow) -> dict[str, Any]:
    return {
        "id": f"{row.log_index}.{row.position}",
        "process": row.process,
        "environment": row.environment,
        "execution": row.execution,
        "step": row.step,
        "document": row.document,
        "error_class": row.error_class,
        "error_code": row.error_code,
        "error": row.error,
        "at_ms": row.at_ms,
    }
