"""What went wrong in a step, as a value, and what its process says becomes of the document.

Retries are decided in `retries.py`; this file knows classes and matching. What must stay true: an
effect counts as "certainly not done" only when nothing was sent or the error's class says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError

CERTAINLY_NOT_DONE: Final = frozenset(
    {
        ErrorClass.TRANSIENT_DEFINITE,
        ErrorClass.PERMANENT,
        ErrorClass.DATA,
        ErrorClass.RAISED,
    }
)
"""Classes by which the target itself, or we before sending, refused the effect."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of one document at one step, after the step gave up or before a retry."""

    error_class: ErrorClass
    code: str
    message: str
    step: str = ""

    def at(self, step: str) -> "Failure":
        """The same failure, told of `step` unless it already names one."""
        return self if self.step else replace(self, step=step)

    def matches(self, wanted: Iterable[str]) -> bool:
        """True when one of the classes or codes is this failure's."""
        return any(name in (self.error_class.value, self.code) for name in wanted)

    def bound(self) -> dict[str, Any]:
        """What expressions see as `$error`."""
        return {
            "class": self.error_class.value,
            "code": self.code,
            "message": self.message,
            "step": self.step,
        }


def of_error(error: StepError) -> Failure:
    """The failure that a component raised."""
    return Failure(error.error_class, error.error_code, error.message)


def of_bound(bound: Mapping[str, Any]) -> Failure:
    """The failure that `Failure.bound` told."""
    return Failure(ErrorClass(bound["class"]), bound["code"], bound["message"], bound["step"])
