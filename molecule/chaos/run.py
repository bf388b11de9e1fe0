"""One run: work goes on, faults follow one another, all is healed, and everything is read.

What must stay true: each fault is healed before the next one is made and before the run ends,
whatever ends it; the sheet of unhealed faults knows it before it is made.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from molecule.chaos import final, means
from molecule.chaos.asking import Clients, Site, Work
from molecule.chaos.faults import Fault, Kind, NotConfirmed, NotHealed
from molecule.chaos.foreign import Hooked
from molecule.chaos.healing import Sheet, Unhealed
from molecule.chaos.history import Recording
from molecule.chaos.means import Means, Members, Strike
from molecule.chaos.processes import Freeze, Kill, KillWorker
from molecule.chaos.records import (
    Answered,
    FaultBegan,
    FaultConfirmed,
    FaultEnded,
    FaultUnconfirmed,
    Invoked,
    Outcome,
    Phase,
    PhaseBegan,
    Trouble,
)
from molecule.cli.local import LocalCluster

_BASE_S: Final = 2.0
_CALM_S: Final = 3.0
_BETWEEN_S: Final = (0.5, 2.0)
_DOWN_S: Final = (0.5, 3.0)
_FREEZES_S: Final = (1.0, 2.0, 5.0)
_LOOK_S: Final = 0.2
_RECOVERED_WITHIN_S: Final = 90.0
_WHOLE_WITHIN_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    seed: int
    minutes: float
    kinds: tuple[Kind, ...]
    work: Work
    ended_within_s: float = final.ENDED_WITHIN_S


class Run:
    """Made for one cluster and one order; `play` once."""

    def __init__(
        self,
        order: Order,
        *,
        site: Site,
        local: LocalCluster | None,
        means: Means,
        recording: Recording,
        sheet: Sheet,
        say: Callable[[str], None],
    ) -> None:
        self._order = order
        self._site = site
        self._local = local
        self._means = means
        self._recording = recording
        self._sheet = sheet
        self._say = say
        self._rng = random.Random(order.seed)  # noqa: S311  # a plan to repeat, and no secret

    async def play(self, nodes: tuple[str, ...]) -> None:
        """All phases; the header stands in the history already."""
        stopping = asyncio.Event()
        clients = Clients(self._site, self._recording, self._order.work, stopping)
        async with asyncio.TaskGroup() as group:
            group.create_task(clients.work_on())
            try:
                await asyncio.sleep(_BASE_S)
                self._recording.add(PhaseBegan, phase=Phase.FAULTS)
                if self._is_at_work():
                    await self._strike_all()
                self._recording.add(PhaseBegan, phase=Phase.CALM)
                await asyncio.sleep(_CALM_S)
            finally:
                stopping.set()
        self._recording.add(PhaseBegan, phase=Phase.FINAL)
        self._say("the faults are over; reading how everything ended")
        await final.read_all(
            self._site, self._recording, nodes, ended_within_s=self._order.ended_within_s
        )

    def _is_at_work(self) -> bool:
        """Something was accepted; else breaking anything would show nothing."""
        answers = [record for record in self._recording.records if isinstance(record, Answered)]
        if any(answer.outcome is Outcome.OK for answer in answers):
            return True
        codes = ", ".join(sorted({answer.code for answer in answers})) or "no answer"
        self._trouble(f"nothing was accepted before the first fault ({codes}); none was made")
        return False

    async def _strike_all(self) -> None:
        """Each kind once at least, however short the time."""
        end_s = time.monotonic() + self._order.minutes * 60
        kinds = _turns(self._order.kinds, self._rng)
        count = 0
        while count < len(self._order.kinds) or time.monotonic() < end_s:
            count += 1
            strike = await self._aimed(next(kinds))
            if strike is None:
                return
            await self._one(strike)
            if not await self._accepts_again():
                return
            await asyncio.sleep(self._rng.uniform(*_BETWEEN_S))

    async def _aimed(self, kind: Kind) -> Strike | None:
        """Waits for a cluster that can lose whom the fault would harm."""
        end_s = time.monotonic() + _WHOLE_WITHIN_S
        while time.monotonic() < end_s:
            status = await self._site.status()
            members = Members.told(status or {})
            if members.leader:
                strike = means.strike(self._means, members, kind, self._rng)
                if strike is not None:
                    return strike
            await asyncio.sleep(_LOOK_S)
        self._trouble(f"no {kind} could be made any more: the cluster can lose no node")
        return None

    async def _one(self, strike: Strike) -> None:
        number = self._recording.next_fault()
        self._say(f"{number}: {strike.kind} {' '.join(strike.nodes)} ({strike.aim})")
        fault, unhealed = self._made(number, strike)
        self._sheet.begin(unhealed)
        self._recording.add(
            FaultBegan,
            fault=number,
            fault_kind=strike.kind.value,
            aim=strike.aim.value,
            nodes=strike.nodes,
            means=strike.by,
        )
        try:
            await fault.begin()
            evidence = await fault.confirm()
            self._recording.add(FaultConfirmed, fault=number, evidence=evidence)
        except NotConfirmed as reason:
            self._say(f"   not confirmed: {reason}")
            self._recording.add(FaultUnconfirmed, fault=number, why=str(reason))
        finally:
            await self._heal(fault, number)

    async def _heal(self, fault: Fault, number: int) -> None:
        """To its end, also when the run is stopped meanwhile: `end` may be run twice."""
        try:
            await self._end(fault, number)
        except asyncio.CancelledError:
            await self._end(fault, number)
            raise

    async def _end(self, fault: Fault, number: int) -> None:
        """What cannot be healed stays on the sheet; the run goes on to its end."""
        try:
            await fault.end()
        except NotHealed as error:
            self._say(f"   not healed: {error}")
            self._recording.add(FaultEnded, fault=number, healed=False, why=str(error))
        else:
            self._sheet.healed(number)
            self._recording.add(FaultEnded, fault=number)

    def _made(self, number: int, strike: Strike) -> tuple[Fault, Unhealed]:
        """The fault, and what heals it if this process does not live to do it."""
        facts: dict[str, Any] = {
            "fault": number,
            "kind": strike.kind.value,
            "nodes": strike.nodes,
            "by": strike.by,
        }
        if strike.by == means.HOOK:
            given = self._means.hooks
            hook = given.by_kind[strike.kind]
            members = len(strike.nodes) > 1
            fault = Hooked(self._site, given, hook, strike.nodes, takes_majority=members)
            return fault, Unhealed(**facts, end=hook.end, timeout_s=given.timeout_s)
        return self._of_processes(strike), Unhealed(**facts)

    def _of_processes(self, strike: Strike) -> Fault:
        if self._local is None:
            raise RuntimeError("processes are a means of a local cluster alone")
        match strike.kind:
            case Kind.KILL:
                return Kill(self._local, strike.nodes, round(self._rng.uniform(*_DOWN_S), 1))
            case Kind.KILL_WORKER:
                return KillWorker(self._local, strike.nodes[0])
            case Kind.FREEZE:
                return Freeze(self._local, strike.nodes, self._rng.choice(_FREEZES_S))
            case Kind.PARTITION:
                raise RuntimeError("no processes make a partition")

    async def _accepts_again(self) -> bool:
        """Wait until a submission was sent and accepted behind the fault."""
        since_us = self._recording.now_us()
        end_s = time.monotonic() + _RECOVERED_WITHIN_S
        while time.monotonic() < end_s:
            if _accepted_since(self._recording, since_us):
                return True
            await asyncio.sleep(_LOOK_S)
        self._trouble(f"nothing was accepted for {_RECOVERED_WITHIN_S:.0f} s after a fault")
        return False

    def _trouble(self, what: str) -> None:
        self._say(what)
        self._recording.add(Trouble, what=what)


def _turns(kinds: tuple[Kind, ...], rng: random.Random) -> Iterator[Kind]:
    """Each kind as often as the others, in another order each time."""
    while True:
        yield from rng.sample(kinds, len(kinds))


def _accepted_since(recording: Recording, since_us: int) -> bool:
    sent: set[int] = set()
    for record in recording.records[-2_000:]:
        if isinstance(record, Invoked) and record.at_us >= since_us:
            sent.add(record.operation)
        elif (
            isinstance(record, Answered)
            and record.outcome is Outcome.OK
            and record.operation in sent
        ):
            return True
    return False
