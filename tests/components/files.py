"""A trigger's context in memory: keys, groups and executions as the cluster keeps them.

It dies on purpose before or after any call, and loses nothing that it committed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from molecule.component.contract import (
    Door,
    GroupProgress,
    GroupRecord,
    Stamp,
    SubmissionRefused,
    Table,
    TriggerSubmission,
)
from molecule.model.document import Document


class Died(Exception):
    """The trigger's worker died here."""


class Idle(Exception):
    """Nothing is left to do: the test has seen enough."""


@dataclass
class Cluster:
    """What is committed. Outlives every trigger."""

    executions: dict[str, TriggerSubmission] = field(default_factory=dict)
    groups: dict[str, GroupRecord] = field(default_factory=dict)
    bad: list[tuple[str, str]] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    accepts_max: int = 1_000
    finished: bool = False
    """True: executions are terminal as soon as they are accepted."""

    def take(self, submissions: Sequence[TriggerSubmission], group: GroupRecord | None) -> None:
        if len(submissions) > self.accepts_max:
            raise SubmissionRefused("limit_exceeded", "too many")
        for submission in submissions:
            first = self.executions.setdefault(submission.idempotency_key, submission)
            assert _compared(first) == _compared(submission), "one key, one content"
        if group is not None:
            known = self.groups.get(group.group)
            assert known is None or group.through >= known.through, "progress never goes back"
            self.groups[group.group] = group
            self.bad += [(record.place, record.reason) for record in group.bad_records]

    def progress(self, name: str) -> GroupProgress:
        group = self.groups.get(name)
        if group is None:
            return GroupProgress()
        mine = [key for key in self.executions if key.startswith(f"{name}/")]
        open_ = 0 if self.finished else len(mine)
        return GroupProgress(
            known=True,
            through=group.through,
            closed=group.closed,
            open=open_,
            failed=len(self.failed & set(mine)) if self.finished else 0,
            rejected=group.rejected,
            done=group.closed and open_ == 0,
            name=group.name,
        )

    def values(self) -> list[Any]:
        return [
            document.value
            for submission in self.executions.values()
            for document in submission.documents
        ]


def _compared(submission: TriggerSubmission) -> object:
    return submission.content or submission.documents


@dataclass
class OpenDoor:
    """Stamps with a field of the first document, or with nothing."""

    by: str = ""

    def stamp(self, documents: Sequence[Document], *, now_ms: int) -> Stamp:
        del now_ms
        return Stamp(str(documents[0].value[self.by])) if self.by else Stamp()


@dataclass
class Context:
    """One life of a trigger: ends with `Died` at the call `dies_at`, with `Idle` after `rounds`."""

    cluster: Cluster
    client: Any
    door: Door = field(default_factory=OpenDoor)
    rounds: int = 4
    dies_at: int = -1
    process: str = "late"
    environment: str = "dev"
    tables: Mapping[str, Table] = field(default_factory=dict)
    on_since_ms: int = 0
    activated_at_ms: int = 0
    calls: int = 0
    clock_ms: int = 1_000_000
    waits: list[float] = field(default_factory=list)

    async def submit(
        self, submissions: Sequence[TriggerSubmission], group: GroupRecord | None = None
    ) -> None:
        self._maybe_die()
        self.cluster.take(submissions, group)
        self._maybe_die()

    async def group(self, group: str) -> GroupProgress:
        self._maybe_die()
        return self.cluster.progress(group)

    async def settle_group(self, group: str) -> None:
        self._maybe_die()
        self.cluster.groups.pop(group, None)
        self.cluster.settled.append(group)
        self._maybe_die()

    async def wait(self, seconds: float) -> None:
        self._maybe_die()
        await asyncio.sleep(0)
        self.waits.append(seconds)
        self.clock_ms += int(seconds * 1000)
        self.rounds -= 1
        if self.rounds == 0:
            raise Idle

    def now_ms(self) -> int:
        return self.clock_ms

    def _maybe_die(self) -> None:
        if self.calls == self.dies_at:
            raise Died
        self.calls += 1
