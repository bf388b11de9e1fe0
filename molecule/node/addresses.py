"""Where the members of the cluster are: from the configuration file, the log, and the last time.

The file is right only for a new cluster. What the log says is written beside the data, so that a
process that reads no log (the report of a death) finds the members of today.
"""

import contextlib
import json
from pathlib import Path

from molecule.config import NodeConfig
from molecule.model.members_file import FILE
from molecule.raft.configuration import Configuration
from molecule.raft.files import replace_file
from molecule.wire.v1 import peer_pb2 as p


class Addresses:
    """One per process. `follow` is called for every configuration that comes into force."""

    def __init__(self, config: NodeConfig) -> None:
        self._me = config.id
        self._file = Path(config.data) / FILE
        self._told = {peer.id: peer.rpc for peer in config.peers}
        self._voters = config.voters
        self._learners: tuple[str, ...] = ()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self._told |= {str(node): str(at) for node, at in kept["addresses"].items()}
            self._voters = tuple(str(voter) for voter in kept["voters"])

    @property
    def voters(self) -> tuple[str, ...]:
        """Who votes, as far as this process knows; sorted."""
        return self._voters

    @property
    def learners(self) -> tuple[str, ...]:
        """Who receives everything and does not vote; sorted."""
        return self._learners

    def of(self, node: str) -> str | None:
        """The internal address of a node; None when nobody told it."""
        return self._told.get(node)

    def told(self, *, leader: str | None) -> p.MembersReply:
        """As another node is told."""
        voters = [
            p.MembersReply.Voter(node=voter, address=self.of(voter) or "") for voter in self._voters
        ]
        return p.MembersReply(leader=leader or "", voters=voters)

    def follow(self, configuration: Configuration) -> None:
        """These are the members now."""
        addresses = {node: at for node, at in configuration.addresses.items() if at}
        if not configuration.voters:
            return
        self._told |= addresses
        self._voters = configuration.voter_ids
        self._learners = configuration.learner_ids
        kept = {"voters": list(self._voters), "addresses": addresses}
        # Only a convenience: a full disk must not stop a voter because of it.
        with contextlib.suppress(OSError):
            replace_file(self._file, json.dumps(kept).encode())
