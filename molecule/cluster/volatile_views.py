"""How recorded volatile executions are told from the rest, and shown.

Their history row holds their timeline as well. What stays true: the id alone tells whether an
execution was volatile.
"""

from collections.abc import Mapping
from typing import Any, Final

from molecule.cluster import apply_volatile

_LENGTH: Final = 21


def is_id(name: str) -> bool:
    """True for an id that a volatile execution has."""
    return name.startswith(apply_volatile.PREFIX) and len(name) == _LENGTH


def unknown(name: str) -> str:
    """Why there is nothing to show."""
    return (
        f"there is no record of {name}: it was volatile, and of those only a sample is recorded "
        "a moment after they ended (limits.volatile_sample_every)"
    )


def shown(view: dict[str, Any]) -> dict[str, Any]:
    """The view of an ended execution without its lines."""
    view.pop("lines", None)
    return view


def lines(view: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Its timeline."""
    return list(view.get("lines", ()))


def why(view: Mapping[str, Any], *, index: int) -> dict[str, Any]:
    """Why it is as it is, in the form of other answers: nothing was decided about it in the log."""
    tries = view["attempts"]
    text = (
        f"it was volatile, so no decision about it is in the log: asked for by {view['actor']}, "
        f"run at once on {view['node']}, {'at the first try' if tries == 1 else f'try {tries}'}"
    )
    ended = f"ended {view['state']}"
    if view["error"]:
        ended += f", {view['error_code']}: {view['error']}"
    answers = [
        {
            "question": question,
            "text": told,
            "index": index,
            "at_ms": view["ended_at_ms"],
            "decided": False,
            "facts": {"node": view["node"], "tries": tries},
        }
        for question, told in (("here", text), ("ended", ended))
    ]
    return {
        "execution": view["id"],
        "state": view["state"],
        "index": index,
        "incomplete": "",
        "answers": answers,
    }
