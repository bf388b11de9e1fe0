"""The settings that apply reads, as part of the replicated state.

Replicas must not read their own configuration, because two files may differ; a leader's claim
carries the numbers instead. Defaults are those of `config`, and every number is kept inside a safe
range.
"""

from dataclasses import dataclass
from typing import Final

from molecule.config import Limits, Timing
from molecule.wire.v1 import commands_pb2 as wire

INSTANT_MS_MAX: Final = 253_402_300_799_000
"""The end of the year 9999: a damaged instant must not overflow a row."""

KEY_AHEAD_MS_MAX: Final = 60_000
"""How far a key that holds its time may be ahead of the cluster's clock."""

DURATION_MS_MAX: Final = 10 * 366 * 86_400_000
_COUNT_MAX: Final = 1 << 40

_limits = Limits()
_timing = Timing()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Numbers of `config.Timing` and `config.Limits` that the rules of the state need."""

    lease_ms: int = _timing.lease_ms
    lease_margin_ms: int = _timing.lease_margin_ms
    dedup_window_ms: int = _limits.dedup_window_ms
    dedup_keys_max: int = _limits.dedup_keys_max
    pending_executions_max: int = _limits.pending_executions_max
    pending_per_process_max: int = _limits.pending_per_process_max
    intents_open_per_execution_max: int = _limits.intents_open_per_execution_max
    dead_letters_per_execution_max: int = _limits.dead_letters_per_execution_max
    timeline_rows_per_execution_max: int = _limits.timeline_rows_per_execution_max
    timeline_text_length_max: int = _limits.timeline_text_length_max
    late_words_told_max: int = _limits.late_words_told_max
    signals_per_execution_max: int = _limits.signals_per_execution_max
    table_rows_max: int = _limits.table_rows_max
    table_row_bytes_max: int = _limits.table_row_bytes_max
    tables_bytes_max: int = _limits.tables_bytes_max
    claims_max: int = _limits.claims_max


NAMES: Final = tuple(Bounds.__dataclass_fields__)


def from_wire(message: wire.Bounds) -> Bounds:
    """The bounds of a claim; a number that is absent or senseless gives way to its default."""
    given = {name: int(getattr(message, name)) for name in NAMES}
    return Bounds(**{name: min(n, _COUNT_MAX) for name, n in given.items() if n > 0})


def to_wire(limits: Limits, timing: Timing) -> wire.Bounds:
    """What a leader with this configuration puts into its claim."""
    return wire.Bounds(
        **{name: getattr(timing if name.startswith("lease_") else limits, name) for name in NAMES}
    )


def duration(value_ms: int) -> int:
    """A duration from a command, kept between 0 and ten years."""
    return min(max(value_ms, 0), DURATION_MS_MAX)


def instant(value_ms: int) -> int:
    """An instant from a command, kept between 1970 and the year 9999."""
    return min(max(value_ms, 0), INSTANT_MS_MAX)
