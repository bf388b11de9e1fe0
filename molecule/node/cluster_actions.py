"""What people do to the set of members: tokens, joining, leaving, moving leadership.

Ask the policy, look ahead, carry to the leader, translate. What must stay true: nobody is let in
without a token, and a removal that would cost documents or the quorum is refused before it begins.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster.outcome import Applied, Rejected
from molecule.cluster.state import ClusterState
from molecule.config import NodeConfig
from molecule.model.errors import (
    Conflict,
    InvalidInput,
    MoleculeError,
    NotFound,
    OutcomeUnknown,
    Unavailable,
    WrongState,
)
from molecule.model.ids import NodeId
from molecule.node import refusals, wire
from molecule.node.addresses import Addresses
from molecule.node.forwarder import Forwarder
from molecule.node.holders import Holders
from molecule.rpc import certificates, identity, signing
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p

View = Mapping[str, Any]
Change = Callable[[p.ChangeRequest], Awaitable[int]]

_PAUSE_S = 0.2


class ClusterActions:
    """Used by the gateway's door."""

    def __init__(
        self,
        *,
        config: NodeConfig,
        forwarder: Forwarder,
        state: Callable[[], ClusterState],
        addresses: Addresses,
        holders: Holders,
        change: Change,
        leader: Callable[[], str | None],
    ) -> None:
        self._config = config
        self._forwarder = forwarder
        self._state = state
        self._addresses = addresses
        self._holders = holders
        self._change = change
        self._leader = leader

    # ---- coming

    async def token(self, actor: Actor, fields: Mapping[str, Any], *, within_s: float) -> View:
        """A token that lets one node in, once; it is shown here and kept nowhere."""
        policy.check(actor, Action.MEMBERS)
        limits = self._config.limits
        lifetime_ms = int(fields.get("lifetime_ms") or limits.join_token_ms_default)
        if not 0 < lifetime_ms <= limits.join_token_ms_max:
            raise InvalidInput(
                f"a token may live at most {limits.join_token_ms_max} ms (join_token_ms_max)"
            )
        role = str(fields.get("role", "voter"))
        secret = secrets.token_urlsafe(32)
        ca = await asyncio.to_thread(Path(self._config.tls.ca).read_bytes)
        command = c.CreateJoinToken(
            digest=_digest(secret),
            role=role,
            lifetime_ms=lifetime_ms,
            actor=wire.actor_to_wire(actor),
        )
        expires_at_ms = await self._say(c.Command(version=1, create_join_token=command), within_s)
        token = f"mjt_{self._config.cluster}_{certificates.fingerprint(ca)}_{secret}"
        return {"token": token, "role": role, "expires_at_ms": expires_at_ms}

    async def authority(self) -> View:
        """The authority's certificate: public, and checked by whoever holds a token."""
        ca = await asyncio.to_thread(Path(self._config.tls.ca).read_bytes)
        return {"cluster": self._config.cluster, "ca": ca.decode()}

    async def join(self, fields: Mapping[str, Any], *, within_s: float) -> View:
        """Certificates for a newcomer that brings a token, and whom it is to ask next."""
        config = self._config
        if fields["cluster"] != config.cluster:
            raise InvalidInput(
                f"the token is of cluster {fields['cluster']!r}, this one is {config.cluster!r}"
            )
        if config.ca_key is None:
            raise Conflict(self._who_signs(), node=config.id)
        digest = _digest(str(fields["secret"]))
        if digest not in self._state().join_tokens:
            # Said before anything is signed or proposed: anybody may call this.
            raise refusals.error_of(Rejected("unknown_token"))
        authority = await asyncio.to_thread(
            signing.read_authority, Path(config.tls.ca), Path(config.ca_key)
        )
        node = str(fields["node"])
        role = str(fields["role"])
        addresses = [str(address) for address in fields["addresses"]]
        requests = {
            identity.NODE: str(fields["node_request"]).encode(),
            identity.GATEWAY: str(fields["gateway_request"]).encode(),
        }
        sign = partial(
            signing.sign, authority, cluster=config.cluster, node=node, addresses=addresses
        )
        signed = {kind: sign(request, role=kind) for kind, request in requests.items()}
        command = c.AdmitNode(
            digest=digest,
            node=node,
            role=role,
            request=hashlib.sha256(b"".join(requests.values())).hexdigest(),
        )
        await self._say(c.Command(version=1, admit_node=command), within_s, node=node)
        token_digest = await asyncio.to_thread(Path(config.admin_token_file).read_text, "ascii")
        return {
            "cluster": config.cluster,
            "node": node,
            "role": role,
            "ca": authority.certificate_pem.decode(),
            "node_certificate": signed[identity.NODE].decode(),
            "gateway_certificate": signed[identity.GATEWAY].decode(),
            "admin_token_digest": token_digest.strip(),
            "timing_profile": config.timing_profile,
            "peers": [
                {"id": voter, "rpc": self._addresses.of(voter) or config.rpc}
                for voter in self._addresses.voters
            ],
        }

    def _who_signs(self) -> str:
        state = self._state()
        signers = [
            f"{node.id} at https://{node.http_address}"
            for node in state.nodes.values()
            if node.signs and node.is_up
        ]
        told = f"{self._config.id} does not have the key of the authority (`ca_key`); "
        if signers:
            return told + f"ask {', '.join(signers)}"
        return told + "no node that runs has it: set `ca_key` on one and start it again"

    # ---- going

    async def leave(
        self, actor: Actor, name: str, fields: Mapping[str, Any], *, within_s: float
    ) -> View:
        """Take a drained node, or a lost one (`dead`), out of the cluster for good."""
        policy.check(actor, Action.MEMBERS)
        is_member = name in (*self._addresses.voters, *self._addresses.learners)
        self._check_may_leave(name, is_member=is_member, is_dead=bool(fields.get("dead")))
        if name in self._addresses.voters:
            _, endangered = await self._holders.endangered_without(name, within_s=within_s)
            if endangered:
                raise Conflict(
                    f"{endangered} documents would be held by less than a majority of voters "
                    f"without {name}; wait until the others have them",
                    documents=endangered,
                )
        if is_member:
            await self._insist(p.ChangeRequest(remove=name), within_s)
        command = c.ForgetNode(node=name, actor=wire.actor_to_wire(actor))
        try:
            await self._say(c.Command(version=1, forget_node=command), within_s, node=name)
        except Unavailable as error:
            if not is_member:
                raise
            raise OutcomeUnknown(f"{name} is no member any more, but not forgotten yet") from error
        return {"node": name, "left": True}

    def _check_may_leave(self, name: str, *, is_member: bool, is_dead: bool) -> None:
        state = self._state()
        node = state.nodes.get(NodeId(name))
        if node is None:
            # One that was let in and has not come yet may be told to stay away.
            if not is_member and NodeId(name) not in state.admissions:
                raise NotFound(f"there is no node {name}")
            return
        if is_dead and node.is_up:
            raise WrongState(f"{name} is up: let it leave without saying that it is dead")
        if not is_dead and not node.is_up:
            raise WrongState(f"{name} is lost ({node.lost_reason}): say that it is dead")
        if node.is_up and not node.is_draining:
            # It could be given work while it leaves.
            raise WrongState(f"{name} takes work: drain it first")
        if node.held:
            raise WrongState(f"{name} still holds {len(node.held)} executions: drain it first")

    async def transfer(self, actor: Actor, name: str, *, within_s: float) -> View:
        """Let another voter lead; without a name the one that is furthest."""
        policy.check(actor, Action.MEMBERS)
        if name and name not in self._addresses.voters:
            raise NotFound(f"{name} is no voter; voters are {', '.join(self._addresses.voters)}")
        if name and name == self._leader():
            return {"asked": False, "to": name, "leads_already": True}
        await self._insist(p.ChangeRequest(transfer=name), within_s)
        return {"asked": True, "to": name, "leads_already": False}

    # ---- saying it

    async def _insist(self, request: p.ChangeRequest, within_s: float) -> int:
        """Again while the leader moves or another change is under way, for a bounded time.

        Raises what the last try raised; `OutcomeUnknown` when any may have been carried out.
        """
        unknown = False
        refused: MoleculeError = Unavailable("no node led in time")
        try:
            async with asyncio.timeout(within_s):
                while True:
                    was_unknown, unknown = unknown, True
                    try:
                        return await self._change(request)
                    except Unavailable as error:
                        # Removing twice and transferring twice are like once.
                        unknown, refused = was_unknown or not error.definite, error
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError:
            if unknown and refused.definite:
                told = f"it may have been carried out; the last refusal: {refused.message}"
                raise OutcomeUnknown(told) from None
            raise refused from None

    async def _say(self, command: c.Command, within_s: float, *, node: str = "") -> int:
        result = await self._forwarder.insist([command], within_s=within_s)
        match result.outcomes[0]:
            case Applied(value=value):
                return value
            case Rejected() as rejected:
                raise refusals.error_of(rejected, node=node)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
