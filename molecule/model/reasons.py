"""Codes of decisions in words: why a node was not chosen, why work moved, waits or was refused.

The log holds the codes; `why` and the command line tell the words. What stays true: a code has one
meaning, and one that is not here is shown as it is.
"""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, str]] = {
    # a node that was not chosen
    "full": "all of its slots are taken",
    "lost": "it is lost",
    "draining": "it is being emptied",
    "silent": "nothing was heard from it for half a lease",
    "less_preferred": "it has fewer of the preferred labels",
    "more_of_the_process": "it has more of this process already, which is to be spread",
    "more_loaded": "it is more loaded",
    "zone": "it is outside the zone that the process demands",
    "label": "it lacks a label that the process demands",
    "labels": "it lacks a label that the process demands",
    "held_for": "the execution waits for another node (failover `hold`)",
    # a hint at acceptance
    "no_hint": "the receiving node asked for no immediate start",
    "valid": "the hint of the receiving node was valid",
    "stale_incarnation": "the node that was named had started anew or was unknown",
    "not_schedulable": "the node was lost or being emptied",
    "no_slot": "the node had no free slot",
    "key_held": "earlier executions hold its concurrency key",
    "key_held_for_dead_letters": "its concurrency key is held until dead letters are settled",
    "paused": "a person paused the process",
    "others_wait": "others wait that this node could run",
    # an assignment
    "hint": "started at once where it was accepted, because nothing stood before it",
    "least_loaded": "of the nodes that fit, the preferred and then the least loaded one",
    "returned": "it lost its place before and goes ahead of others; then as for `least_loaded`",
    # a move
    "lease_expired": "the leader heard nothing from its node for lease and margin",
    "node_dead": "the supervisor of its node reported that the node process ended",
    "higher_incarnation": "its node started anew, so what it held before was lost",
    "worker_died": "the worker that ran it died",
    "drained": "its node was being emptied",
    "handed_back": "its node handed it back",
    "in_doubt": "an effect that must not happen twice was begun and never confirmed",
    "wait": "a step asked to wait",
    "breaker": "the breaker of the connection of its next step is open or tries to close",
    "rate": "the calls that the rate of a connection allows are booked",
    "signal": "a signal that it waited for came",
    "wait_over": "the time of its wait came",
    "node_returned": "the node it waited for is back",
    "hold_over": "it waited for its node long enough",
    "resolved": "a person answered for the effects in doubt",
    "released": "a person let it go on",
    "replaced": "a later submission replaced it (overlap `replace`)",
    "cancelled": "it was asked for",
    "given_up": "a person gave it up",
    "timeout": "its time-out passed",
    "stale_token": "the word came under a token that was superseded",
}


def told(code: str) -> str:
    """The words of a code that may carry a value behind a blank; the code itself when unknown."""
    name, _, value = code.partition(" ")
    words = TEXTS.get(name)
    if words is None:
        return code
    return f"{words} ({value})" if value else words
