"""One run: a cluster, workloads, one fault after the other, calm, and everything read at the end.

Judges nothing. What must stay true: whatever happens, faults are healed, requests are answered or
told as unknown, and no process outlives the run.
"""

import asyncio
import random
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chaos import records as r
from chaos.commit import commit
from chaos.declared import Bounds, DeclaredProcess, Demands, Header
from chaos.faults.fault import Fault, NotConfirmed, may_strike_together, victims
from chaos.faults.kinds import KINDS
from chaos.history import History
from chaos.records import Outcome, Phase
from chaos.runner import disks, final, usage
from chaos.runner.client import ENVIRONMENT
from chaos.runner.plan import Strike, strikes
from chaos.runner.recording import Recording
from chaos.runner.site import Site, deploy, log_lines, open_site
from chaos.runner.target import Target
from chaos.workloads.all import made
from chaos.workloads.workload import STEP_TIMEOUT_S, Scene, Workload, repository

_LEASE_AND_MARGIN_MS: Final = 2_750
_BASE_S: Final = 5.0
_CALM_S: Final = 5.0
_BETWEEN_S: Final = (0.5, 3.0)
_RECOVERED_WITHIN_S: Final = 60.0
_LOOK_S: Final = 0.1
_PAIRS: Final = 0.2
"""So often two faults strike at the same time."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a run is asked for."""

    seed: int
    minutes: float
    """It ends with the first fault behind them."""
    shows_minutes: float
    """What happens at least in so many minutes has to be shown."""
    workloads: tuple[str, ...]
    faults: tuple[str, ...]
    voters: int
    folder: Path
    strikes_max: int | None = None


@dataclass(slots=True)
class Run:
    """Made, played once."""

    order: Order
    say: Callable[[str], None]
    recording: Recording = field(default_factory=Recording)
    trouble: list[str] = field(default_factory=list)
    """What makes the run worthless, beside what its history shows."""

    async def play(self) -> History:
        """The whole run."""
        order, rng = self.order, random.Random(self.order.seed)
        workloads = made(order.workloads)
        target = Target(self.recording, random.Random(rng.random()))
        self._declare(workloads)
        await target.start()
        try:
            needs = {need for name in order.faults for need in KINDS[name].needs}
            async with open_site(order.folder, target, voters=order.voters, needs=needs) as site:
                await self._play_on(site, workloads, rng)
        finally:
            await target.stop()
        return self.recording.closed()

    def _declare(self, workloads: Sequence[Workload]) -> None:
        demands: Counter[str] = Counter()
        processes: dict[str, DeclaredProcess] = {}
        for workload in workloads:
            demands.update(workload.demands(self.order.shows_minutes))
            processes.update(workload.declared())
        faults = self.order.strikes_max or max(1, int(3 * self.order.shows_minutes))
        demands.update(faults=faults, unknown_answers=1)
        self.recording.add(
            Header,
            seed=self.order.seed,
            commit=commit(),
            workload=",".join(workload.name for workload in workloads),
            nodes=tuple(f"n{number}" for number in range(1, self.order.voters + 1)),
            processes=processes,
            bounds=Bounds(late_effect_ms=_LEASE_AND_MARGIN_MS + STEP_TIMEOUT_S * 1000),
            demands=Demands(**{"moved_executions": 1, **demands}),
        )

    async def _play_on(self, site: Site, workloads: list[Workload], rng: random.Random) -> None:
        await deploy(site, repository(workloads, target=site.target.url), ENVIRONMENT)
        stopping = asyncio.Event()
        scene = Scene(site, self.recording, random.Random(rng.random()), stopping)
        watching = asyncio.create_task(self._watch_leaders(site))
        working = [asyncio.create_task(workload.run(scene)) for workload in workloads]
        try:
            await asyncio.sleep(_BASE_S)
            usage.measure(site, self.recording, "base")
            self.recording.add(r.PhaseBegan, phase=Phase.FAULTS)
            await self._strike_all(site, rng)
            self.recording.add(r.PhaseBegan, phase=Phase.CALM)
            await asyncio.sleep(_CALM_S)
        finally:
            stopping.set()
            await asyncio.gather(*working)
        self.trouble += scene.trouble
        off = repository(workloads, target=site.target.url, edition=-1, triggers_on=False)
        await deploy(site, off, ENVIRONMENT)
        self.say("the faults are over; waiting for the rest of the work")
        if not await final.drained(site):
            self.say("the backlog does not drain")
        self.recording.add(r.PhaseBegan, phase=Phase.FINAL)
        await final.read_all(site, self.recording)
        usage.measure(site, self.recording, "end")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        # All at once, so that none of them goes on without the others.
        for node in site.nodes:
            site.signal(node, signal.SIGKILL)
        for node in site.nodes:
            await site.gone(node)
        usage.search(site, self.recording, site.local.place.token)
        await disks.read(site, self.recording)

    # --- faults -------------------------------------------------------------------------------

    async def _strike_all(self, site: Site, rng: random.Random) -> None:
        until_s = time.monotonic() + self.order.minutes * 60
        plan, count = strikes(rng, self.order.faults), 0
        while time.monotonic() < until_s and count != self.order.strikes_max:
            first, count = next(plan), count + 1
            fault = await self._aimed(site, first, rng)
            if rng.random() < _PAIRS and count != self.order.strikes_max:
                second, count = next(plan), count + 1
                another = await self._aimed(site, second, rng)
                is_alone = first.kind.is_alone or second.kind.is_alone
                if not is_alone and may_strike_together(fault, another):
                    await self._two(site, (first, fault), (second, another))
                else:
                    await self._one(site, first, fault)
                    await self._accepts_again()
                    # Whoever was aimed at may not be who is meant any more.
                    await self._one(site, second, await self._aimed(site, second, rng))
            else:
                await self._one(site, first, fault)
            await self._accepts_again()
            await asyncio.sleep(rng.uniform(*_BETWEEN_S))

    async def _two(self, site: Site, *faults: tuple[Strike, Fault]) -> None:
        """At the same time; then there may be no majority for another leader."""
        async with asyncio.TaskGroup() as group:
            for strike, fault in faults:
                fault.unseats = False
                group.create_task(self._one(site, strike, fault))

    async def _aimed(self, site: Site, strike: Strike, rng: random.Random) -> Fault:
        return strike.kind.make(rng, await victims(site, strike.aim, rng), strike.aim)

    async def _one(self, site: Site, strike: Strike, fault: Fault) -> None:
        number, nodes = self.recording.next_fault(), fault.nodes
        self.say(f"{number}: {strike} {' '.join(nodes)}")
        self.recording.add(
            r.FaultBegan, fault=number, fault_kind=fault.kind, nodes=nodes, unseats=fault.unseats
        )
        try:
            await fault.begin(site)
            evidence = {**await fault.confirm(site), "aim": str(strike.aim)}
            self.recording.add(r.FaultConfirmed, fault=number, evidence=evidence)
        except NotConfirmed as reason:
            self.say(f"   {number} not confirmed: {reason}")
        finally:
            await self._heal(site, fault, number)
            self.recording.add(r.FaultEnded, fault=number)

    async def _heal(self, site: Site, fault: Fault, number: int) -> None:
        """What cannot be healed is told; the run goes on, and its end looks at everything."""
        try:
            await fault.end(site)
        except Exception as error:  # noqa: BLE001  # a node that stays away is a finding
            text = f"fault {number} ({fault.kind}) is not healed: {_words(error)}"
            self.trouble.append(text)
            self.say(text)

    async def _accepts_again(self) -> None:
        """Wait until a submission was sent and accepted behind the fault."""
        since_us = self.recording.now_us()
        end_s = time.monotonic() + _RECOVERED_WITHIN_S
        while time.monotonic() < end_s:
            if _accepted_since(self.recording, since_us):
                return
            await asyncio.sleep(_LOOK_S)
        self.trouble.append(f"nothing was accepted for {_RECOVERED_WITHIN_S:.0f} s after a fault")

    async def _watch_leaders(self, site: Site) -> None:
        """Who says in its log that it leads now."""
        offsets = dict.fromkeys(site.nodes, 0)
        while True:
            for node in site.nodes:
                lines, offsets[node] = log_lines(site.local.node(node).log, offsets[node])
                for line in lines:
                    if line.get("msg") == "leadership_gained":
                        self.recording.add(r.Led, node=node, term=line["term"], epoch=line["epoch"])
            await asyncio.sleep(_LOOK_S)


def _words(error: BaseException) -> str:
    """The errors of a group, however deep, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_words(each) for each in error.exceptions)
    return f"{type(error).__name__}: {error}"


def fresh_seed() -> int:
    """A seed that nobody used."""
    return secrets.randbits(32)


def _accepted_since(recording: Recording, since_us: int) -> bool:
    sent: set[int] = set()
    for record in recording.records[-2_000:]:
        if isinstance(record, r.Invoked) and isinstance(record.ask, r.Submit):
            if record.at_us >= since_us:
                sent.add(record.operation)
        elif (
            isinstance(record, r.Answered)
            and record.outcome is Outcome.OK
            and record.operation in sent
        ):
            return True
    return False
