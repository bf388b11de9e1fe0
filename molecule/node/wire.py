"""Outcomes and actors on the wire and back. Pure translation."""

import orjson

from molecule.access.policy import Actor
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.node.proposer import GroupResult
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p


def actor_to_wire(actor: Actor) -> c.Actor:
    """Who asked, as a command names it."""
    return c.Actor(kind=actor.kind.value, name=actor.name)


def outcome_to_wire(outcome: Outcome) -> p.CommandOutcome:
    """As it travels from the leader to the node that asked."""
    facts = orjson.dumps(dict(outcome.facts)) if outcome.facts else b""
    match outcome:
        case Applied():
            return p.CommandOutcome(applied=True, value=outcome.value, facts=facts)
        case Rejected():
            return p.CommandOutcome(applied=False, code=outcome.reason, facts=facts)


def outcome_from_wire(message: p.CommandOutcome) -> Outcome:
    """The same outcome again."""
    facts = orjson.loads(message.facts) if message.facts else {}
    if message.applied:
        return Applied(message.value, facts)
    return Rejected(message.code, facts)


def result_to_wire(result: GroupResult) -> p.GroupOutcome:
    """One group's end as it travels."""
    return p.GroupOutcome(
        index=result.index, outcomes=[outcome_to_wire(outcome) for outcome in result.outcomes]
    )


def result_from_wire(message: p.GroupOutcome) -> GroupResult:
    """The same end again."""
    return GroupResult(
        message.index, tuple(outcome_from_wire(outcome) for outcome in message.outcomes)
    )
