"""Changes of the configuration: what is asked, and whether a leader may propose it now (row 9).

The new configuration is built here and proposed by the replica. What must stay true: one change at
a time, each committed before the next; a newcomer is a learner first; the voters that are alive
always are a majority.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import assert_never

from molecule.model.errors import (
    LastVoter,
    LimitExceeded,
    MemberExists,
    MemberRemoved,
    QuorumAtRisk,
    UnknownMember,
)
from molecule.raft.configuration import Configuration, Member
from molecule.raft.settings import Bounds


@dataclass(frozen=True, slots=True)
class AddLearner:
    """Let a newcomer receive everything."""

    learner: Member


@dataclass(frozen=True, slots=True)
class Promote:
    """Let a learner count."""

    node: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Take a voter or a learner out."""

    node: str


@dataclass(frozen=True, slots=True)
class Readdress:
    """Reach a member elsewhere."""

    node: str
    address: str


Change = AddLearner | Promote | Remove | Readdress


def planned(now_in: Configuration, change: Change, bounds: Bounds) -> Configuration:
    """The configuration after a change; the same object when nothing would change.

    Raises MemberExists, MemberRemoved, UnknownMember, LastVoter or LimitExceeded.
    """
    match change:
        case AddLearner():
            return _with_learner(now_in, change.learner, bounds)
        case Promote():
            if now_in.is_voter(change.node):
                return now_in
            _known(now_in, change.node)
            _refuse_above("voters_max", bounds.voters_max, len(now_in.voters) + 1)
            return now_in.with_voter(change.node)
        case Remove():
            return _without(now_in, change.node, bounds)
        case Readdress():
            if _known(now_in, change.node).address == change.address:
                return now_in
            _refuse_taken(now_in, change.node, change.address)
            return now_in.with_address(change.node, change.address)
        case _:
            assert_never(change)


def refuse_without_majority(planned: Configuration, alive: Collection[str]) -> None:
    """Raise QuorumAtRisk unless more than half of the new voters are alive."""
    up = [voter for voter in planned.voter_ids if voter in alive]
    if len(up) * 2 > len(planned.voters):
        return
    silent = [voter for voter in planned.voter_ids if voter not in alive]
    raise QuorumAtRisk(
        f"of the voters that would be left, {', '.join(silent)} do not answer and"
        f" {', '.join(up) or 'none'} would be no majority."
        " Bring those back that do not answer, or remove one of them first",
        silent=silent,
        alive=up,
    )


def _with_learner(now_in: Configuration, learner: Member, bounds: Bounds) -> Configuration:
    known = now_in.member(learner.node)
    if known is not None and (known.birth, known.address) == (learner.birth, learner.address):
        return now_in
    if known is not None:
        raise MemberExists(
            f"{learner.node} is a member already, with another data folder or address."
            " Remove it first, or give the newcomer another name",
            node=learner.node,
        )
    if now_in.is_removed(learner.node, learner.birth):
        raise MemberRemoved(
            f"{learner.node} was removed with the data folder that it has."
            " Give it an empty one, then let it join again",
            node=learner.node,
        )
    _refuse_taken(now_in, learner.node, learner.address)
    _refuse_above("learners_max", bounds.learners_max, len(now_in.learners) + 1)
    return now_in.with_learner(learner)


def _without(now_in: Configuration, node: str, bounds: Bounds) -> Configuration:
    if now_in.member(node) is None and any(gone.node == node for gone in now_in.removed):
        return now_in
    _known(now_in, node)
    if now_in.voter_ids == (node,):
        raise LastVoter(
            f"{node} is the only voter: without it nothing could be committed any more."
            " Let another node join first",
            node=node,
        )
    return now_in.without(node, removed_kept=bounds.removed_kept)


def _known(now_in: Configuration, node: str) -> Member:
    member = now_in.member(node)
    if member is None:
        names = ", ".join(sorted(now_in.addresses))
        raise UnknownMember(f"{node} is no member; the members are {names}", node=node)
    return member


def _refuse_taken(now_in: Configuration, node: str, address: str) -> None:
    for member in now_in.members:
        if address and member.address == address and member.node != node:
            raise MemberExists(
                f"{address} is the address of {member.node} already", node=member.node
            )


def _refuse_above(limit: str, allowed: int, asked: int) -> None:
    if asked > allowed:
        raise LimitExceeded(limit=limit, allowed=allowed, asked=asked)
