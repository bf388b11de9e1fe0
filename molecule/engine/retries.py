"""Whether a failed request is sent again, and after how long.

Pure decisions. A step that declares no `retry` has the default of its effect: passing failures of
a target are common, and repeating is harmless there; `retry: {max: 0}` switches it off. What must
stay true: a `once` request is retried only when it certainly did not happen.
"""

from typing import Final

from molecule.definition.definition import RetryPolicy, StepNode
from molecule.engine import failures
from molecule.engine.failures import Failure
from molecule.model.effect import Effect, ErrorClass

DEFAULT_REPEATABLE: Final = RetryPolicy(
    max_=5,
    first_ms=250,
    cap_ms=10_000,
    errors=(ErrorClass.TRANSIENT_DEFINITE.value, ErrorClass.TRANSIENT_UNKNOWN.value),
)
DEFAULT_ONCE: Final = RetryPolicy(
    max_=5, first_ms=250, cap_ms=10_000, errors=(ErrorClass.TRANSIENT_DEFINITE.value,)
)


def is_certain(failure: Failure, *, sent: bool) -> bool:
    """True when the effect certainly did not happen."""
    return not sent or failure.error_class in failures.CERTAINLY_NOT_DONE


def delay_ms(node: StepNode, failure: Failure, *, tries: int) -> int | None:
    """How long to wait before the next try after `tries` failed ones; None: give up."""
    policy = node.retry or _default(node)
    if tries > policy.max_ or not _is_listed(node, policy, failure):
        return None
    doubled: int = policy.first_ms * 2 ** min(tries - 1, 30)
    return min(doubled, policy.cap_ms)


def _default(node: StepNode) -> RetryPolicy:
    return DEFAULT_ONCE if node.effect is Effect.ONCE else DEFAULT_REPEATABLE


def _is_listed(node: StepNode, policy: RetryPolicy, failure: Failure) -> bool:
    if node.effect is Effect.ONCE and failure.error_class is not ErrorClass.TRANSIENT_DEFINITE:
        return False
    return failure.matches(policy.errors)
