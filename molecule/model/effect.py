"""What a step leaves outside, and how certain an error is about it.

These two decide what a crash or an error may repeat; see `docs/execution-contract.md`.
"""

from enum import StrEnum


class Effect(StrEnum):
    """What repeating a step would do."""

    PURE = "pure"
    """No trace outside: repeated freely."""

    IDEMPOTENT = "idempotent"
    """Repeating changes nothing more: repeated with the same key and the same bytes."""

    ONCE = "once"
    """Repeating does harm: after a crash `verify` decides, or a person."""


class ErrorClass(StrEnum):
    """The classes a step's error is sorted into; `retry.errors` and `catch.errors` name them."""

    TRANSIENT_DEFINITE = "transient.definite"
    """It certainly did not happen and may work later: refused connection, 429, 503, deadlock."""

    TRANSIENT_UNKNOWN = "transient.unknown"
    """It may have happened: time-out or reset after sending, 500, 502, 504."""

    PERMANENT = "permanent"
    DATA = "data"
    LIMIT = "limit"
    CRASH = "crash"
    RAISED = "raised"
    """By the step `raise`; its `code` is matched instead of the class."""
