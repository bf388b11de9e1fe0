"""A cluster of real nodes under test: started, asked over HTTPS, and broken in one way at a time.

Uses the same code as `molecule up`, so what is tested is what users start. What must stay true:
every wait has a bound and says what it waited for, and `close` leaves no process behind.
"""

import asyncio
import itertools
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import httpx2

from chaos.runner.links import Links
from molecule.cli import local_files, local_process
from molecule.cli.local import LocalCluster
from molecule.cli.local_files import Layout, NodePlace
from molecule.cli.local_process import Member, ProcessMark
from molecule.cli.waiting import until
from molecule.model.execution import PARKED, TERMINAL
from tests.cluster import processes
from tests.cluster.patience import insisted, until_shown
from tests.cluster.recorder import Recorder

LEASE_S: Final = 11.0
"""Lease and margin of the timing profile `relaxed`."""

MOVED_WITHIN_S: Final = 60.0
NODES: Final = ("n1", "n2", "n3")
_MODULES: Final = {
    "supervisor": "molecule.serve",
    "node": "molecule.node",
    "gateway": "molecule.gateway",
    "worker": "molecule.worker",
}


class Cluster:
    """Three nodes in one folder, a recording target beside them. An async context manager."""

    def __init__(
        self, folder: Path, *, with_links: bool = False, nodes: int = 3, worker_nodes: int = 0
    ) -> None:
        self._folder = folder
        self._nodes = nodes
        self._worker_nodes = worker_nodes
        self._links = Links(NODES) if with_links else None
        self._names = itertools.count(1)
        self.recorder = Recorder()
        self.fragile = Recorder()  # of connections that have a gate
        self.inbox = folder / "inbox"

    async def __aenter__(self) -> Self:
        await self.recorder.start()
        await self.fragile.start()
        self.inbox.mkdir(parents=True)
        layout = Layout(
            nodes=self._nodes, worker_nodes=self._worker_nodes, timing_profile="relaxed"
        )
        if self._links is not None:
            peers = await self._links.listen()
            layout = Layout(nodes=len(NODES), timing_profile="relaxed", peers=peers)
        place = local_files.make((self._folder / "cluster").resolve(), layout)
        if self._links is not None:
            self._links.lead_to({node.id: node.rpc for node in place.nodes})
        self.local = LocalCluster(place)
        self._client = self.local.client(timeout_s=90.0)
        try:
            await self.start_all()
            await self.apply()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Kill everything that is left."""
        for node in self.local.place.nodes:
            mark = self.local.mark(node)
            if mark is not None:
                local_process.signal_all(mark, signal.SIGKILL)
                await local_process.until_gone(mark, within_s=20)
        await self._client.aclose()
        if self._links is not None:
            await self._links.close()
        await self.recorder.stop()
        await self.fragile.stop()

    # --- asking -------------------------------------------------------------------------------

    def name(self, of: str) -> str:
        """A name that no other test uses; the target counts by it."""
        return f"{of}{next(self._names)}"

    async def get(self, path: str, *, at: str = "", **query: str) -> httpx2.Response:
        """One GET at one node, or at the first that answers at all."""
        return await self._at(at, lambda url: self._client.get(f"{url}{path}", params=query))

    async def post(
        self, path: str, body: object, *, at: str = "", key: str = "", **query: str
    ) -> httpx2.Response:
        """One POST at one node, or at the first that answers at all."""
        headers = {"idempotency-key": key} if key else {}
        return await self._at(
            at,
            lambda url: self._client.post(f"{url}{path}", json=body, headers=headers, params=query),
        )

    async def put(self, path: str, body: object, *, at: str = "") -> httpx2.Response:
        """One PUT at one node, or at the first that answers at all."""
        return await self._at(at, lambda url: self._client.put(f"{url}{path}", json=body))

    async def submit(
        self, process: str, name: str, *, at: str = "", wait: str = "", **fields: Any
    ) -> httpx2.Response:
        """Submit one execution whose document is named; the name is the idempotency key too."""
        body = {"process": process, "input": {"name": name, **fields}}
        query = {"wait": wait} if wait else {}
        return await self.post("/api/v1/executions", body, at=at, key=name, **query)

    async def accepted(self, process: str, name: str, *, at: str = "", **fields: Any) -> str:
        """Submit, and insist that it is accepted; the id of the execution."""
        answer = await insisted(lambda: self.submit(process, name, at=at, **fields))
        return str(answer.json()["execution"])

    async def deployed(self, files: Mapping[str, str], environment: str) -> None:
        """Deploy, and insist that it is done."""
        body, query = {"files": dict(files)}, {"environment": environment}
        await insisted(lambda: self.post("/api/v1/apply", body, **query))

    async def accepted_many(self, process: str, names: Sequence[str], *, at: str = "") -> list[str]:
        """Submit a batch, and insist that all of it is accepted."""
        items = [{"idempotency_key": name, "input": {"name": name}} for name in names]
        body = {"process": process, "submissions": items}
        answer = await self.post("/api/v1/executions:batch", body, at=at)
        assert answer.status_code == 200, answer.text
        return [each["execution"] for each in answer.json()["results"]]

    async def show(self, execution: str, *, at: str = "") -> dict[str, Any]:
        """One execution."""
        answer = await self.get(f"/api/v1/executions/{execution}", at=at)
        assert answer.is_success, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def timeline(self, execution: str, *, at: str = "") -> list[dict[str, Any]]:
        """What happened to one execution."""
        answer = await self.get(f"/api/v1/executions/{execution}/timeline", at=at, limit="500")
        assert answer.is_success, answer.text
        rows: list[dict[str, Any]] = answer.json()["items"]
        return rows

    async def refused(self, execution: str) -> list[dict[str, Any]]:
        """Wait until the timeline tells of a refused word; its facts."""
        rows: list[dict[str, Any]] = []

        async def look() -> list[dict[str, Any]] | None:
            nonlocal rows
            rows = await self.timeline(execution)
            return [row["facts"] for row in rows if row["kind"] == "refused"] or None

        return await until_shown(look, "a refused word", MOVED_WITHIN_S, lambda: rows)

    async def ended(
        self, execution: str, *, within_s: float = MOVED_WITHIN_S, at: str = ""
    ) -> dict[str, Any]:
        """Wait until an execution is terminal or parked."""
        shown: dict[str, Any] = {}

        async def look() -> dict[str, Any] | None:
            nonlocal shown
            shown = await self.show(execution, at=at)
            return shown if shown["state"] in TERMINAL | PARKED else None

        return await until_shown(look, f"the end of {execution}", within_s, lambda: shown)

    async def all_completed(
        self, executions: Sequence[str], *, within_s: float = 90.0, at: str = ""
    ) -> None:
        """Wait until every one of them is COMPLETED."""
        for execution in executions:
            ended = await self.ended(execution, within_s=within_s, at=at)
            assert ended["state"] == "COMPLETED", ended

    async def becomes(
        self,
        execution: str,
        claim: Callable[[dict[str, Any]], bool],
        *,
        what: str,
        at: str = "",
    ) -> dict[str, Any]:
        """Wait until a claim about an execution is true, as one node or any sees it."""
        shown: dict[str, Any] = {}

        async def look() -> dict[str, Any] | None:
            nonlocal shown
            shown = await self.show(execution, at=at)
            return shown if claim(shown) else None

        return await until_shown(look, f"{execution} {what}", MOVED_WITHIN_S, lambda: shown)

    async def quiet(self, process: str) -> None:
        """Wait until no execution of a process is active."""
        items: list[dict[str, Any]] = []

        async def look() -> bool | None:
            nonlocal items
            found = await self.get("/api/v1/executions", process=process, limit="500")
            items = [each for each in found.json()["items"] if each["state"] not in TERMINAL]
            return None if items else True

        await until_shown(look, f"the last of {process}", MOVED_WITHIN_S, lambda: items)

    async def leaves(self, execution: str, node: str, *, at: str = "") -> dict[str, Any]:
        """Wait until an execution is no longer assigned to a node."""
        return await self.becomes(
            execution,
            lambda shown: shown["node"] != node or shown["state"] != "ASSIGNED",
            what=f"leaves {node}",
            at=at,
        )

    async def status(self, *, at: str = "") -> dict[str, Any]:
        """The cluster in numbers."""
        answer = await self.get("/api/v1/cluster", at=at)
        assert answer.is_success, answer.text
        status: dict[str, Any] = answer.json()
        return status

    async def leader(self, *, other_than: str = "", at: str = "") -> str:
        """The node that leads; waits until there is one (another one)."""
        status: dict[str, Any] = {}

        async def look() -> str | None:
            nonlocal status
            status = await self.status(at=at)
            leads = status["leader"]
            return leads if leads and leads != other_than and self._runs(leads) else None

        return await until_shown(look, "a leader", MOVED_WITHIN_S, lambda: status)

    async def follower(self) -> str:
        """A node that does not lead."""
        leader = await self.leader()
        return next(node for node in NODES if node != leader)

    async def conserved(self) -> None:
        """Insist on the conservation law."""
        law = (await self.status())["conservation"]
        others = ("completed", "failed", "cancelled", "active", "parked")
        assert law["accepted"] == sum(law[each] for each in others), law

    async def _at(
        self, node: str, ask: Callable[[str], Awaitable[httpx2.Response]]
    ) -> httpx2.Response:
        if node:
            return await ask(self.local.node(node).url)
        for place in self.local.place.nodes:
            if place.role != "voter" or not self._runs(place.id):
                continue
            try:
                answer = await ask(place.url)
            except httpx2.TransportError:
                continue
            if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
                return answer
        raise AssertionError("no node answers")

    # --- breaking -----------------------------------------------------------------------------

    async def start_all(self) -> None:
        """Start every node that does not run, thaw and heal; returns when all take work."""
        if self._links is not None:
            self._links.heal()
        for place in self.local.place.nodes:
            mark = self.local.mark(place)
            if mark is not None:
                local_process.signal_all(mark, signal.SIGCONT)
            self.local.start(place)
        async with asyncio.TaskGroup() as group:
            for place in self.local.place.nodes:
                group.create_task(self.local.ready(place, within_s=90))

    async def start(self, node: str) -> None:
        """Start one node and wait until it takes work."""
        self.local.start(self.local.node(node))
        await self.local.ready(self.local.node(node), within_s=90)

    async def stop(self, node: str) -> None:
        """End one node gracefully."""
        await self.local.stop(self.local.node(node))

    async def kill(self, *nodes: str) -> None:
        """`kill -9` of every process of these nodes."""
        marks = [self._mark(node) for node in nodes]
        for mark in marks:
            local_process.signal_all(mark, signal.SIGKILL)
        for mark in marks:
            await local_process.until_gone(mark, within_s=20)

    def freeze(self, node: str, *roles: str) -> None:
        """SIGSTOP a whole node, or only its processes of these roles."""
        self._signal(node, roles, signal.SIGSTOP)

    def thaw(self, node: str, *roles: str) -> None:
        """SIGCONT what was frozen."""
        self._signal(node, roles, signal.SIGCONT)

    async def kill_role(self, node: str, role: str) -> int:
        """`kill -9` of one process of a node, by its role; its pid."""
        victim = await self.member(node, role)
        os.kill(victim.pid, signal.SIGKILL)
        return victim.pid

    async def member(self, node: str, role: str, *, other_than: int = 0) -> Member:
        """A process of a node by its role; waits until there is one."""

        async def look() -> Member | None:
            found = [each for each in self.members(node, role) if each.pid != other_than]
            return found[0] if found else None

        return await until(look, what=f"the {role} of {node}", within_s=30)

    def members(self, node: str, role: str) -> list[Member]:
        """All processes of a node with this role."""
        return [
            member
            for member in local_process.members(self._mark(node))
            if _MODULES[role] in member.command.split()
        ]

    def cut(self, one: str, other: str) -> None:
        """Separate two nodes."""
        assert self._links is not None
        self._links.cut(one, other)

    def isolate(self, node: str) -> None:
        """Separate a node from all others."""
        assert self._links is not None
        self._links.isolate(node)

    def heal(self) -> None:
        """Undo every cut."""
        assert self._links is not None
        self._links.heal()

    def passed(self, one: str, other: str) -> int:
        """Bytes between two nodes so far."""
        assert self._links is not None
        return self._links.passed(one, other)

    async def apply(self) -> None:
        """Deploy the test processes."""
        files = processes.repository(
            target=self.recorder.url, fragile=self.fragile.url, inbox=self.inbox
        )
        await self.deployed(files, processes.ENVIRONMENT)

    def place(self, node: str) -> NodePlace:
        """Files of a node."""
        return self.local.node(node)

    def log(self, node: str) -> str:
        """What a node wrote."""
        return self.place(node).log.read_text(encoding="utf-8", errors="replace")

    def _runs(self, node: str) -> bool:
        """True when the node process lives and is not frozen."""
        mark = self.local.mark(self.local.node(node))
        return mark is not None and any(
            member.state != "T" and _MODULES["node"] in member.command.split()
            for member in local_process.members(mark)
        )

    def _mark(self, node: str) -> ProcessMark:
        mark = self.local.mark(self.local.node(node))
        assert mark is not None, f"{node} does not run"
        return mark

    def _signal(self, node: str, roles: Sequence[str], number: signal.Signals) -> None:
        if not roles:
            local_process.signal_all(self._mark(node), number)
        for role in roles:
            for member in self.members(node, role):
                os.kill(member.pid, number)
