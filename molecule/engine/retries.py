"""Whether a failed request is sent again, and after how long.

Pure decisions. A step that declares no `retry` has the default of its effect, because passing
failures of a target are common and an error is like a crash, after which it would be repeated too;
`retry: {max: 0}` switches it off. What must stay true: a `once` request is retried only when it
certainly did not happen.
"""

from dataclasses import replace

from molecule.config import Limits
from molecule.definition.definition import RetryPolicy, StepNode
from molecule.engine import failures
from molecule.engine.failures import Failure
from molecule.model.effect import Effect, ErrorClass


def is_certain(failure: Failure, *, sent: bool) -> bool:
    """True when the effect certainly did not happen."""
    return not sent or failure.error_class in failures.CERTAINLY_NOT_DONE


def as_known(failure: Failure, *, sent: bool) -> Failure:
    """The failure with the class that fits what is known: what was never sent did not happen."""
    if sent or failure.error_class is not ErrorClass.TRANSIENT_UNKNOWN:
        return failure
    return replace(failure, error_class=ErrorClass.TRANSIENT_DEFINITE)


def delay_ms(node: StepNode, failure: Failure, *, tries: int, limits: Limits) -> int | None:
    """How long to wait before the next try after `tries` failed ones; None: give up."""
    policy = node.retry or _default(node, limits)
    if tries > policy.max_ or not _is_listed(node, policy, failure):
        return None
    doubled: int = policy.first_ms * 2 ** min(tries - 1, 30)
    return min(doubled, policy.cap_ms)


def _default(node: StepNode, limits: Limits) -> RetryPolicy:
    errors: tuple[str, ...] = (ErrorClass.TRANSIENT_DEFINITE.value,)
    if node.effect is not Effect.ONCE:
        errors += (ErrorClass.TRANSIENT_UNKNOWN.value,)
    return RetryPolicy(
        limits.retry_default_max,
        limits.retry_default_first_ms,
        limits.retry_default_cap_ms,
        errors,
    )


def _is_listed(node: StepNode, policy: RetryPolicy, failure: Failure) -> bool:
    if node.effect is Effect.ONCE and failure.error_class is not ErrorClass.TRANSIENT_DEFINITE:
        return False
    return failure.matches(policy.errors)
