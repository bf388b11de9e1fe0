"""W1: executions per second. W2: one at a time, submission to result."""

from statistics import median
from typing import Final

from tests.bench import machine
from tests.bench.figures import Figures, Goal, Scale, quantile
from tests.bench.site import Site

_CALLERS: Final = 128
_PER_S: Final = "executions/s"

NOOP: Final = Goal("W1", "no-op, 128 callers", _PER_S, 1_000, at_least=True)
TOUCHED: Final = Goal("W1", "one idempotent step, committed with the end", _PER_S, None)
ONESTEP: Final = Goal(
    "W1", "one idempotent step and its checkpoint, 128 callers", _PER_S, 800, at_least=True
)
BATCHES: Final = Goal("W1", "no-op in batches of 100", _PER_S, 3_000, at_least=True)
BY_FOLLOWER: Final = Goal("W2", "through a follower, p50", "ms", 6.0)
BY_FOLLOWER_P99: Final = Goal("W2", "through a follower, p99", "ms")
BY_LEADER: Final = Goal("W2", "through the leader, p50", "ms", 6.0)
BY_LEADER_P99: Final = Goal("W2", "through the leader, p99", "ms")


async def w1(site: Site, figures: Figures, scale: Scale) -> None:
    """One run of each rate, after a warm-up."""
    seconds = 4.0 if scale.is_quick else 15.0
    await site.load("callers", callers=_CALLERS, seconds=2.0)
    for goal, process in ((NOOP, "noop"), (TOUCHED, "touched"), (ONESTEP, "onestep")):
        used = await site.load("callers", process=process, callers=_CALLERS, seconds=seconds)
        figures.note(
            goal,
            used.rate,
            p50_ms=round(median(used.found.latencies_ms)),
            client_cpu_share=round(used.client_share, 2),
            cpu_us_each=used.us_each(),
            load_average=machine.load_average(),
        )
    used = await site.load("batches", callers=4, count=5_000 if scale.is_quick else 30_000)
    figures.note(
        BATCHES,
        used.rate,
        client_cpu_share=round(used.client_share, 2),
        cpu_us_each=used.us_each(),
        load_average=machine.load_average(),
    )


async def w2(site: Site, figures: Figures, scale: Scale) -> None:
    """One run through a follower and one through the leader."""
    seconds = 3.0 if scale.is_quick else 10.0
    leader, follower = await site.leader(), (await site.followers())[0]
    for node, half, rest in (
        (follower, BY_FOLLOWER, BY_FOLLOWER_P99),
        (leader, BY_LEADER, BY_LEADER_P99),
    ):
        await site.load("callers", at=[node], callers=1, seconds=1.0)
        used = await site.load("callers", at=[node], callers=1, seconds=seconds)
        latencies = used.found.latencies_ms
        figures.note(
            half,
            median(latencies),
            samples=len(latencies),
            client_cpu_share=round(used.client_share, 2),
            load_average=machine.load_average(),
        )
        figures.note(rest, quantile(latencies, 0.99))
