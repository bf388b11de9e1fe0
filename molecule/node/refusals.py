"""What the replicated state refuses, as an error of the tree: one table for every door.

Who asks translates an outcome by `error_of` and says what it was about. What stays true: a code of
`cluster.apply_*` that people can meet has its line here, and one error whichever door it comes by.
"""

from collections.abc import Mapping
from typing import Any, Final

from molecule.cluster.outcome import Rejected
from molecule.model.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    InvalidInput,
    KeyConflict,
    MoleculeError,
    NotFound,
    Overlap,
    Overloaded,
    StaleToken,
    TooOld,
    Unauthenticated,
    Unavailable,
    WrongState,
)

_AHEAD: Final = "ahead"
"""Of a key that holds a time; not a code of its own, because it is as invalid as others."""

ERRORS: Final[Mapping[str, tuple[type[MoleculeError], str]]] = {
    # whatever it is about
    "invalid": (InvalidInput, "{field} is invalid"),
    "limit": (Conflict, "{execution} has as much as {limit} allows"),
    # a submission
    "key_conflict": (KeyConflict, "the idempotency key {key} was used before with another body"),
    "too_old": (TooOld, "the idempotency key {key} is older than the dedup window"),
    # A new leader learns the time from the others' clocks a moment after its election.
    _AHEAD: (
        Unavailable,
        "the idempotency key {key} holds a time that is ahead of the cluster's clock",
    ),
    "already_exists": (Unavailable, "another execution has the id {execution}: submit again"),
    "overloaded": (Overloaded, "as many executions are open as {limit} allows"),
    "overlap": (Overlap, "{process} skips what overlaps, and {execution} is not over"),
    "stale_token": (StaleToken, "the trigger was moved to another node"),
    "expired": (InvalidInput, "expires is over already: the execution would never begin"),
    # a process
    "unknown_process": (NotFound, "no process {process} is deployed there: apply it first"),
    "unknown_environment": (NotFound, "there is no environment {environment}: apply it first"),
    "unknown_version": (NotFound, "the version of {process} is not there any more: apply it again"),
    "key_not_held": (NotFound, "{process} has no such key that is held for dead letters"),
    "path_taken": (
        Conflict,
        (
            "{path} is taken by process {process} in this environment: use another path, or switch "
            "the trigger of {process} off first"
        ),
    ),
    # a row of a key table
    "conflict": (Conflict, "row {key} of table {table} is not as `if` says: {detail}"),
    "taken": (Conflict, "row {key} of table {table} cannot be written: {detail}"),
    # an execution
    "unknown_execution": (NotFound, "there is no execution {execution}"),
    "wrong_state": (WrongState, "execution {execution} is {state}"),
    "too_early": (
        Conflict,
        (
            "the request of {effect} may still be under way: repeat this from {not_before_ms} "
            "(ms since 1970) on"
        ),
    ),
    "unknown_effect": (NotFound, "{effect} is not in doubt in {execution}"),
    "nobody_asks": (
        Conflict,
        (
            "{execution} lost its node and has failover `fail`: no node runs it again, so nobody "
            "can ask about {effect}; answer done, not_done or fail"
        ),
    ),
    # a node
    "unknown_node": (NotFound, "there is no node {node}"),
    "node_lost": (WrongState, "node {node} is lost, so it holds nothing that it could give back"),
    "no_other_node": (
        Conflict,
        "no other node takes work now, so what {node} holds could go nowhere",
    ),
    "node_stops": (
        WrongState,
        "node {node} is about to stop and takes no work until it is back",
    ),
    "node_busy": (WrongState, "{node} still holds work: drain it first"),
    "node_exists": (
        AlreadyExists,
        "there is a node {node} already; take another name, or let that one leave first",
    ),
    "unknown_token": (
        Unauthenticated,
        "nobody made this join token, or it is over and forgotten",
    ),
    "token_used": (
        Forbidden,
        "this join token has let {by} in; each node needs one of its own",
    ),
    "token_expired": (Forbidden, "this join token has expired; make another one"),
    "token_role": (Forbidden, "this join token is for a {role}"),
}


class _Known(dict[str, Any]):
    """What is known of a refusal; a text that needs more shows that it is missing."""

    def __missing__(self, name: str) -> str:
        return f"({name})"


def error_of(
    rejected: Rejected, *, otherwise: type[MoleculeError] = Conflict, **about: str
) -> MoleculeError:
    """The error of a refusal. `about` is what was asked for; the refusal's own facts win.

    `otherwise`: what a code is that is not in the table, as of newer software.
    """
    facts = dict(rejected.facts)
    reason = rejected.reason
    if reason == "invalid" and "made_at_ms" in facts:
        reason = _AHEAD
    kind, text = ERRORS.get(reason, (otherwise, "the cluster refused: {reason}"))
    known = _Known({"reason": reason, **about, **facts})
    return kind(text.format_map(known), **facts)
