"""Instants as data holds them, ISO 8601 text or milliseconds since 1970, in cluster time."""

from datetime import UTC, datetime
from typing import Any, Final

MS_MAX: Final = 253_402_300_799_000
"""The end of the year 9999."""


def milliseconds(value: Any) -> int | None:
    """The instant in milliseconds since 1970; None for anything that is none.

    Text needs a time zone: without one it would mean another instant on each node.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if 0 <= value <= MS_MAX else None
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    if found.tzinfo is None:
        return None
    since_ms = int(found.astimezone(UTC).timestamp() * 1_000)
    return since_ms if 0 <= since_ms <= MS_MAX else None


def shown(at_ms: int) -> str:
    """The instant for people, in UTC and to the second: `2026-11-26T02:30:00Z`."""
    at = datetime.fromtimestamp(min(max(at_ms, 0), MS_MAX) / 1_000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
