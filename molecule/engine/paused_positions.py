"""Documents that wait, as part of a position: to a tree and back.

`positions.py` does the rest. What must stay true: instants are cluster time, so they mean the same
to every owner.
"""

from collections.abc import Callable, Mapping
from typing import Any

from molecule.definition.definition import StepNode
from molecule.engine import failures
from molecule.engine.documents import DocumentList
from molecule.engine.frames import Paused, Pending, Sequence
from molecule.engine.instructions import Awaited


def encode(frame: Paused, documents: Callable[[DocumentList], list[Any]]) -> dict[str, Any]:
    """The tree of a paused frame; `documents` encodes a list."""
    return {
        "pending": {
            str(place): {
                "due": one.due_ms,
                "signal": one.awaited.name if one.awaited else "",
                "correlation": one.awaited.correlation if one.awaited else "",
                "fails": one.fails,
            }
            for place, one in frame.pending.items()
        },
        "going": {str(place): documents(found) for place, found in frame.going.items()},
        "started": frame.started_at_ms,
        "failure": frame.failed.bound() if frame.failed else None,
    }


def restore(
    sequence: Sequence,
    node: StepNode,
    tree: Mapping[str, Any],
    documents: Callable[[list[Any]], DocumentList],
) -> Paused:
    """The frame of such a tree; `documents` decodes a list."""
    frame = Paused(sequence, node, started_at_ms=tree["started"])
    frame.failed = failures.of_bound(tree["failure"]) if tree["failure"] else None
    for place, one in tree["pending"].items():
        awaited = Awaited(one["signal"], one["correlation"]) if one["signal"] else None
        frame.pending[int(place)] = Pending(one["due"], awaited, fails=one["fails"])
    frame.going = {int(place): documents(part) for place, part in tree["going"].items()}
    return frame
