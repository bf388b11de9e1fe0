"""The parts of a node process that are about members, put together. No decision is made here."""

from collections.abc import Awaitable, Callable

from molecule.cluster.apply_membership import is_gone
from molecule.cluster.state import ClusterState
from molecule.config import NodeConfig
from molecule.model.ids import NodeId
from molecule.node.addresses import Addresses
from molecule.node.clock import ClusterClock
from molecule.node.joining import Joining, LeaderCalls
from molecule.node.membership import Group, Membership
from molecule.node.peers import PeerClients, change_members
from molecule.raft.configuration import Configuration
from molecule.rpc.documents import MissingDocuments


class MemberParts:
    """One per voter."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        birth: str,
        group: Group,
        state: Callable[[], ClusterState],
        addresses: Addresses,
        clients: PeerClients,
        leader: Callable[[], str | None],
        missing_at: Callable[[str, int], Awaitable[MissingDocuments]],
        clock: ClusterClock,
    ) -> None:
        self._addresses = addresses
        self._clock = clock
        self._config = config
        self._state = state
        self.membership = Membership(
            me=config.id,
            group=group,
            state=state,
            addresses=addresses,
            missing_at=missing_at,
            limits=config.limits,
        )
        self.joining = Joining(
            is_wanted=config.join,
            addresses=addresses,
            clients=clients,
            birth=birth,
            address=config.rpc,
        )
        self.calls = LeaderCalls(
            me=config.id,
            leader=leader,
            here=lambda request: change_members(self.membership, request),
            clients=clients,
        )

    def changed(self, configuration: Configuration) -> None:
        """These are the members now."""
        self._addresses.follow(configuration)
        self._clock.follow(self._addresses.voters)

    def is_gone(self, node: str) -> bool:
        """True for a node that left."""
        return is_gone(self._state(), NodeId(node))

    def role(self) -> str:
        """What this node is now: voter, learner or newcomer."""
        return self.membership.role(wants_in=self._config.join)
