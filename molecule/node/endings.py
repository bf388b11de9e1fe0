"""How a life of a node process that broke off ends: with words for a person, or to be begun anew.

What a person must mend is wrong at every start, too. A disk that failed may be well again: the next
life looks at all that is there, and refuses to begin when it is not.
"""

import sys
from collections.abc import Iterator
from typing import Final

import structlog

from molecule.model.errors import DamagedData, DiskFailed, InvalidConfig

_log = structlog.get_logger()

FOR_A_PERSON: Final = (InvalidConfig, DamagedData)
"""What starting again does not mend."""


def is_for_a_person(node: str, group: BaseExceptionGroup[BaseException]) -> bool:
    """True when starting again would end the same way; what happened is told."""
    leaves = list(_leaves(group))
    if all(isinstance(each, FOR_A_PERSON) and not _may_pass(each) for each in leaves):
        for each in leaves:
            say(node, each)
        return True
    if all(map(_may_pass, leaves)):
        _log.error("storage_failed", reason="; ".join(str(each) for each in leaves))
    else:
        _log.error("node_failed", exc_info=group)
    return False


def say(node: str, error: BaseException) -> None:
    """Tell a person what to mend, where the node's output goes."""
    print(f"molecule: node {node} cannot run: {error}", file=sys.stderr)  # noqa: T201


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, DiskFailed)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, however deep."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
