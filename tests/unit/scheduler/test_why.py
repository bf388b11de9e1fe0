"""What `why` says of a timeline that is not whole; the answers themselves are in the scenarios."""

from typing import Any

import pytest

from molecule.cluster import views
from molecule.model.ids import ExecutionId
from molecule.scheduler import why
from tests.unit.cluster.builders import Replica


def a_line(kind: str, **facts: Any) -> dict[str, Any]:
    place = {"index": 7, "at_ms": 0, "node": "n1", "token": 1, "attempt": 1}
    return {**place, "kind": kind, "facts": facts}


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (("accepted", "pending"), ""),
        ((), "was purged"),
        (("assigned", "pending"), "was purged"),
        (("accepted", "truncated"), "were not kept"),
    ],
)
def test_where_lines_were_purged_or_not_kept_the_answer_says_so(
    kinds: tuple[str, ...], told: str
) -> None:
    replica = Replica()
    replica.submit("e1")
    view = views.execution(replica.state, replica.state.executions[ExecutionId("e1")])
    lines = [a_line(kind) for kind in kinds]
    said = why.explain(view, lines, replica.state, blockers={}, leader="n1")["incomplete"]
    assert told in said
    assert bool(told) == bool(said)
