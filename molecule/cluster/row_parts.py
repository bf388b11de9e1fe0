"""Parts that rows of several tables have in common: names with values, marks of payloads.

What stays true: equal values give equal bytes, whatever the order in which they were put.
"""

from collections.abc import Iterable, Mapping, Sequence

from molecule.cluster.bounds import duration
from molecule.cluster.execution import NO_PAYLOAD, PayloadMark
from molecule.cluster.state import Labels
from molecule.model.gate import (
    FAILURES_MAX,
    RATE_LIMIT_MAX,
    RATE_PER_MS_MAX,
    GatePolicy,
)
from molecule.model.ids import Digest
from molecule.wire.v1 import commands_pb2, state_pb2


def pairs(labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[state_pb2.Pair]:
    """Sorted by name."""
    items = labels.items() if isinstance(labels, Mapping) else labels
    return [state_pb2.Pair(name=name, value=value) for name, value in sorted(items)]


def labels(pairs: Sequence[state_pb2.Pair]) -> Labels:
    """The way back from `pairs`."""
    return {pair.name: pair.value for pair in pairs}


def joined(names: Iterable[str]) -> str:
    """Names of any content as the key of a row; no two lists of names give the same."""
    return "/".join(name.replace("%", "%25").replace("/", "%2F") for name in names)


def separated(key: str) -> list[str]:
    """The way back from `joined`."""
    return [name.replace("%2F", "/").replace("%25", "%") for name in key.split("/")]


def mark_row(mark: PayloadMark) -> state_pb2.PayloadMarkRow:
    """What the state knows of a payload."""
    return state_pb2.PayloadMarkRow(size_bytes=mark.size_bytes, digests=mark.digests)


def mark(row: state_pb2.PayloadMarkRow) -> PayloadMark:
    """The way back from `mark_row`."""
    if not row.size_bytes and not row.digests:
        return NO_PAYLOAD
    return PayloadMark(row.size_bytes, tuple(Digest(digest) for digest in row.digests))


def gate_row(policy: GatePolicy) -> commands_pb2.GatePolicy:
    """A gate's policy as a command carries it."""
    return commands_pb2.GatePolicy(
        connection=policy.connection,
        failures=policy.failures,
        within_ms=policy.within_ms,
        open_ms=policy.open_ms,
        rate_limit=policy.rate_limit,
        rate_per_ms=policy.rate_per_ms,
        rate_burst=policy.rate_burst,
    )


def gate(row: commands_pb2.GatePolicy) -> GatePolicy:
    """The policy from a row or a command, every number within its bounds."""
    failures, limit = min(max(row.failures, 0), FAILURES_MAX), max(row.rate_limit, 0)
    return GatePolicy(
        connection=row.connection,
        failures=failures,
        within_ms=max(duration(row.within_ms), 1) if failures else 0,
        open_ms=max(duration(row.open_ms), 1) if failures else 0,
        rate_limit=min(limit, RATE_LIMIT_MAX),
        rate_per_ms=min(max(row.rate_per_ms, 1), RATE_PER_MS_MAX) if limit else 0,
        rate_burst=min(max(row.rate_burst, 0), RATE_LIMIT_MAX) if limit else 0,
    )
