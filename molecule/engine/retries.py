"""Whether a failed request is sent again, and after how long.

Pure decisions. What must stay true: a `once` request is retried only when it certainly did not
happen.
"""

from molecule.definition.definition import RetryPolicy, StepNode
from molecule.engine import failures
from molecule.engine.failures import Failure
from molecule.model.effect import Effect, ErrorClass


def is_certain(failure: Failure, *, sent: bool) -> bool:
    """True when the effect certainly did not happen."""
    return not sent or failure.error_class in failures.CERTAINLY_NOT_DONE


def delay_ms(node: StepNode, failure: Failure, *, tries: int) -> int | None:
    """How long to wait before the next try after `tries` failed ones; None: give up."""
    policy = node.retry
    if policy is None or tries > policy.max_ or not _is_listed(node, policy, failure):
        return None
    doubled: int = policy.first_ms * 2 ** min(tries - 1, 30)
    return min(doubled, policy.cap_ms)


def _is_listed(node: StepNode, policy: RetryPolicy, failure: Failure) -> bool:
    if node.effect is Effect.ONCE and failure.error_class is not ErrorClass.TRANSIENT_DEFINITE:
        return False
    return failure.matches(policy.errors)
