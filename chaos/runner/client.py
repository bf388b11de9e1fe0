"""A client of the cluster: asks any node, says each request once, believes nothing but answers."""

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Any

import httpx2

from chaos.records import (
    Answered,
    Cancel,
    Outcome,
    Read,
    Submit,
    Swap,
    Write,
)
from chaos.runner.recording import Recording
from molecule.model.execution import ExecutionState

ENVIRONMENT = "chaos"
TABLE = "registers"
TIMEOUT_S = 20.0
"""How long a patient client waits for an answer."""


@dataclass(slots=True)
class Client:
    """Used by one task at a time; `urls` are the nodes that it may ask."""

    name: str
    http: httpx2.AsyncClient
    recording: Recording
    urls: tuple[str, ...]
    rng: random.Random

    async def submit(
        self,
        process: str,
        key: str,
        value: dict[str, Any],
        *,
        order_key: str = "",
        wait: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> Answered:
        """Submit once, at any node."""
        body = {"process": process, "input": value, "environment": ENVIRONMENT}
        digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        ask = Submit(process=process, idempotency_key=key, digest=digest, order_key=order_key)
        url = f"{self.rng.choice(self.urls)}/api/v1/executions"
        return await self.recording.ask(
            self.name,
            ask,
            lambda: self.http.post(
                url,
                json=body,
                headers={"idempotency-key": key},
                params={"wait": wait} if wait else {},
                timeout=timeout_s,
            ),
            _submitted,
        )

    async def cancel(self, execution: str) -> Answered:
        """Cancel once, at any node."""
        url = f"{self.rng.choice(self.urls)}/api/v1/executions/{execution}/cancel"
        return await self.recording.ask(
            self.name, Cancel(execution=execution), lambda: self.http.post(url, json={}), _state
        )

    async def read(self, name: str) -> Answered:
        """Read a register as it is now."""
        return await self.recording.ask(
            self.name,
            Read(register_name=name),
            lambda: self._row_now(name),
            lambda response: {"value": response.json().get("value")},
        )

    async def _row_now(self, name: str) -> httpx2.Response:
        response = await self.http.get(self._row(name), params={"fresh": "true"})
        if response.status_code == httpx2.codes.NOT_FOUND:
            # There is no row: that is a value, and not a failure.
            return httpx2.Response(200, json={"value": None})
        return response

    async def write(self, name: str, value: Any) -> Answered:
        """Give a register a value."""
        return await self.recording.ask(
            self.name,
            Write(register_name=name, value=value),
            lambda: self.http.put(self._row(name), json={"value": value}),
            lambda _: {},
        )

    async def swap(self, name: str, expected: Any, value: Any) -> Answered:
        """Give a register a value if it has the expected one now; None: no row."""
        condition = {"if": "absent"} if expected is None else {"if": "equals", "equals": expected}
        return await self.recording.ask(
            self.name,
            Swap(register_name=name, expected=expected, value=value),
            lambda: self._swapped(name, {"value": value, **condition}),
            lambda response: {"matched": response.json()["matched"]},
        )

    async def _swapped(self, name: str, body: dict[str, Any]) -> httpx2.Response:
        response = await self.http.put(self._row(name), json=body)
        if response.is_success:
            return httpx2.Response(200, json={"matched": True})
        if response.status_code == httpx2.codes.CONFLICT and _is_condition(response):
            return httpx2.Response(200, json={"matched": False})
        return response

    def _row(self, name: str) -> str:
        return f"{self.rng.choice(self.urls)}/api/v1/tables/{ENVIRONMENT}/{TABLE}/{name}"


def happened(answered: Answered) -> bool:
    """The client was told that it was done."""
    return answered.outcome is Outcome.OK


def _submitted(response: httpx2.Response) -> dict[str, Any]:
    told = response.json()
    return {"execution": told["execution"], "state": ExecutionState(told["state"])}


def _state(response: httpx2.Response) -> dict[str, Any]:
    return {"state": ExecutionState(response.json()["state"])}


def _is_condition(response: httpx2.Response) -> bool:
    return bool(response.json().get("code") == "conflict")
