"""The breaker and the rate of a connection, as its file says them.

    breaker: {failures: 5, within: 30s, open: 60s}
    rate: {limit: 50, per: 1s, burst: 10}

What must stay true: a gate that is written is whole; nothing about it is guessed but the burst.
"""

from typing import Final

from molecule.definition.reading import Reader
from molecule.definition.yaml_guard import Node
from molecule.model.gate import FAILURES_MAX, RATE_LIMIT_MAX, RATE_PER_MS_MAX, GatePolicy

_BREAKER: Final = ("failures", "within", "open")
_RATE: Final = ("limit", "per")
_DURATION_MS_MAX: Final = 86_400_000


def read_gate(root: Node, reader: Reader, *, connection: str) -> GatePolicy:
    """The gate of a connection's file, with no bounds when it names none; faults are findings."""
    breaker = _numbers(root, "breaker", _BREAKER, (), reader)
    rate = _numbers(root, "rate", _RATE, ("burst",), reader)
    return GatePolicy(
        connection,
        failures=breaker.get("failures", 0),
        within_ms=breaker.get("within", 0),
        open_ms=breaker.get("open", 0),
        rate_limit=rate.get("limit", 0),
        rate_per_ms=rate.get("per", 0),
        rate_burst=rate.get("burst", 0),
    )


def _numbers(
    root: Node, field: str, needed: tuple[str, ...], optional: tuple[str, ...], reader: Reader
) -> dict[str, int]:
    node = root.items.get(field)
    if node is None or not reader.is_map(node, field):
        return {}
    reader.unknown_fields(node, (*needed, *optional), field)
    found: dict[str, int] = {}
    for name in (*needed, *optional):
        written = node.items.get(name)
        where = f"{field}.{name}"
        if written is None:
            if name in needed:
                example = "30s" if name in _LONGEST_MS else "5"
                reader.fault(node, field, f"{name} is missing", f"write {name}: {example}")
            continue
        value = _number(written, where, name, reader)
        if value is not None:
            found[name] = value
    return found if all(name in found for name in needed) else {}


_LONGEST_MS: Final = {"within": _DURATION_MS_MAX, "open": _DURATION_MS_MAX, "per": RATE_PER_MS_MAX}
_LARGEST: Final = {"failures": FAILURES_MAX, "limit": RATE_LIMIT_MAX, "burst": RATE_LIMIT_MAX}


def _number(node: Node, where: str, name: str, reader: Reader) -> int | None:
    if name not in _LONGEST_MS:
        smallest = 0 if name == "burst" else 1
        return reader.integer(node, where, minimum=smallest, maximum=_LARGEST[name])
    value = reader.duration(node, where)
    if value is not None and not 1 <= value <= _LONGEST_MS[name]:
        reader.fault(node, where, f"must be from 1ms to 1d, is {node.text}")
        return None
    return value
