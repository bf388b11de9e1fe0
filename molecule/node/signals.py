"""Telling an execution something: ask the policy, keep the payload, propose, translate.

What must stay true: the answer comes after the signal is committed, so an accepted one is kept.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster.outcome import Applied, Rejected
from molecule.config import Limits
from molecule.model import payload
from molecule.model.errors import (
    InvalidInput,
    LimitExceeded,
)
from molecule.model.signals import CORRELATION_LENGTH_MAX, is_signal_name
from molecule.node import refusals, wire
from molecule.node.forwarder import Forwarder
from molecule.node.payloads import Payloads
from molecule.wire.v1 import commands_pb2 as c


class Signals:
    """Used by the gateway's door."""

    def __init__(self, *, forwarder: Forwarder, payloads: Payloads, limits: Limits) -> None:
        self._forwarder = forwarder
        self._payloads = payloads
        self._limits = limits

    async def tell(
        self, actor: Actor, execution: str, fields: Mapping[str, Any], *, within_s: float
    ) -> dict[str, Any]:
        """Keep a signal for an execution that has not ended; once per key."""
        policy.check(actor, Action.SIGNAL)
        key, name = str(fields["key"]), str(fields["name"])
        correlation = str(fields.get("correlation", ""))
        self._check(key, name, correlation)
        content = payload.encode_value(fields.get("value"))
        if len(content) > self._limits.signal_body_bytes_max:
            raise LimitExceeded(
                limit="signal_body_bytes_max",
                allowed=self._limits.signal_body_bytes_max,
                asked=len(content),
            )
        head = f"{name}\0{correlation}\0".encode()
        command = c.SignalExecution(
            execution=execution,
            signal=key,
            name=name,
            correlation=correlation,
            body_digest=hashlib.sha256(head + content).hexdigest(),
            payload=await self._payloads.payload(content),
            actor=wire.actor_to_wire(actor),
        )
        said = [c.Command(version=1, signal_execution=command)]
        result = await self._forwarder.insist(said, within_s=within_s)
        match result.outcomes[0]:
            case Applied(facts=facts):
                return {
                    "execution": execution,
                    "signal": name,
                    "idempotency_key": key,
                    "state": facts.get("state", ""),
                    "repeated_key": bool(facts.get("repeated", False)),
                }
            case Rejected() as rejected:
                raise refusals.error_of(rejected, execution=execution, key=key)

    def _check(self, key: str, name: str, correlation: str) -> None:
        if not is_signal_name(name):
            raise InvalidInput(
                f"{name!r} is no name of a signal: use letters, digits, - _ . (at most 128)",
                field="name",
            )
        for what, text, allowed in (
            ("idempotency_key_length_max", key, self._limits.idempotency_key_length_max),
            ("correlation", correlation, CORRELATION_LENGTH_MAX),
        ):
            if len(text) > allowed:
                raise LimitExceeded(limit=what, allowed=allowed, asked=len(text))
