"""Who takes part in consensus: a frozen value, how it changes, and its bytes.

Leaves to `changes.py` when a change may be proposed, and to the log which one is in force. Each
change adds, promotes or removes one member only: then any majority before and any majority after
share a voter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from google.protobuf.message import DecodeError, Message

from molecule.model.errors import DamagedData
from molecule.wire.v1 import raft_configuration_pb2 as wire


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A node that takes part, where it is reached, and the random name of its data folder."""

    node: str
    address: str = ""
    birth: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Removed:
    """A node with a data folder that takes part no more. The node may return with another one."""

    node: str
    birth: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """Voters count, learners only listen. `index` is its entry in the log; 0: from the file."""

    voters: tuple[Member, ...] = ()
    learners: tuple[Member, ...] = ()
    removed: tuple[Removed, ...] = ()
    index: int = field(default=0, compare=False)

    @classmethod
    def formed_of(
        cls,
        voters: Iterable[str],
        *,
        addresses: Mapping[str, str] | None = None,
        births: Mapping[str, str] | None = None,
    ) -> Self:
        """What a new cluster begins with."""
        told, born = addresses or {}, births or {}
        return cls(
            tuple(Member(node, told.get(node, ""), born.get(node, "")) for node in sorted(voters))
        )

    @property
    def voter_ids(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(member.node for member in self.voters)

    @property
    def learner_ids(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(member.node for member in self.learners)

    @property
    def members(self) -> tuple[Member, ...]:
        """Voters, then learners."""
        return self.voters + self.learners

    @property
    def addresses(self) -> dict[str, str]:
        """Where each member is reached."""
        return {member.node: member.address for member in self.members}

    def member(self, node: str) -> Member | None:
        """The voter or learner of this name."""
        return next((member for member in self.members if member.node == node), None)

    def is_voter(self, node: str) -> bool:
        """Whether this node counts."""
        return any(member.node == node for member in self.voters)

    def is_removed(self, node: str, birth: str) -> bool:
        """Whether this node, with this data folder, was removed."""
        return Removed(node, birth) in self.removed

    # --- changes ------------------------------------------------------------------------------

    def with_learner(self, learner: Member) -> Self:
        """One more learner."""
        return replace(self, learners=_sorted(*self.learners, learner))

    def with_voter(self, node: str) -> Self:
        """A learner becomes a voter."""
        promoted = [member for member in self.learners if member.node == node]
        others = [member for member in self.learners if member.node != node]
        return replace(self, voters=_sorted(*self.voters, *promoted), learners=tuple(others))

    def without(self, node: str, *, removed_kept: int) -> Self:
        """One member less; the last ones that left are remembered."""
        gone = [
            Removed(member.node, member.birth) for member in self.members if member.node == node
        ]
        return replace(
            self,
            voters=tuple(member for member in self.voters if member.node != node),
            learners=tuple(member for member in self.learners if member.node != node),
            removed=(*self.removed, *gone)[-removed_kept:],
        )

    def with_address(self, node: str, address: str) -> Self:
        """The same members, one of them reached elsewhere."""

        def moved(members: tuple[Member, ...]) -> tuple[Member, ...]:
            return tuple(replace(m, address=address) if m.node == node else m for m in members)

        return replace(self, voters=moved(self.voters), learners=moved(self.learners))

    def with_births(self, births: Mapping[str, str]) -> Self:
        """The same members, whose data folders are known now."""
        voters = tuple(replace(m, birth=births.get(m.node, m.birth)) for m in self.voters)
        return replace(self, voters=voters)

    # --- bytes --------------------------------------------------------------------------------

    def encode(self) -> bytes:
        """What an entry of the log holds; equal configurations have equal bytes."""
        return _message(self).SerializeToString(deterministic=True)

    def encode_placed(self) -> bytes:
        """With its index, for a snapshot."""
        return _placed(self).SerializeToString(deterministic=True)


def decode(data: bytes, index: int) -> Configuration:
    """The configuration in an entry. Raises DamagedData."""
    message = wire.Configuration()
    _parse(message, data)
    return _from_wire(message, index)


def decode_placed(data: bytes) -> Configuration | None:
    """The configuration of a snapshot; None when it has none. Raises DamagedData."""
    if not data:
        return None
    placed = wire.PlacedConfiguration()
    _parse(placed, data)
    return _from_wire(placed.configuration, placed.index)


def is_well_formed(data: bytes) -> bool:
    """Whether these bytes of an entry are a configuration."""
    try:
        return bool(decode(data, 0).voters)
    except DamagedData:
        return False


def encode_all(configurations: Iterable[Configuration]) -> bytes:
    """What a journal segment begins with."""
    placed = [_placed(configuration) for configuration in configurations]
    return wire.JournalConfigurations(configurations=placed).SerializeToString(deterministic=True)


def decode_all(data: bytes) -> list[Configuration]:
    """In order of index. Raises DamagedData."""
    message = wire.JournalConfigurations()
    _parse(message, data)
    return [_from_wire(placed.configuration, placed.index) for placed in message.configurations]


def _parse(message: Message, data: bytes) -> None:
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise DamagedData(f"a configuration of the cluster cannot be read: {error}") from None


def _message(configuration: Configuration) -> wire.Configuration:
    removed = [wire.Removed(node=gone.node, birth=gone.birth) for gone in configuration.removed]
    return wire.Configuration(
        voters=[_to_wire(member) for member in configuration.voters],
        learners=[_to_wire(member) for member in configuration.learners],
        removed=removed,
    )


def _placed(configuration: Configuration) -> wire.PlacedConfiguration:
    message = _message(configuration)
    return wire.PlacedConfiguration(index=configuration.index, configuration=message)


def _from_wire(message: wire.Configuration, index: int) -> Configuration:
    return Configuration(
        voters=tuple(Member(m.node, m.address, m.birth) for m in message.voters),
        learners=tuple(Member(m.node, m.address, m.birth) for m in message.learners),
        removed=tuple(Removed(gone.node, gone.birth) for gone in message.removed),
        index=index,
    )


def _to_wire(member: Member) -> wire.Member:
    return wire.Member(node=member.node, address=member.address, birth=member.birth)


def _sorted(*members: Member) -> tuple[Member, ...]:
    return tuple(sorted(members, key=lambda member: member.node))
