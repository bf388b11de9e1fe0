"""Calls to a cluster: to any of its nodes, to the next one when one does not answer.

What must stay true: a call that may have been carried out is repeated only when twice is like once;
otherwise the command ends with exit code 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import httpx2
import orjson

from molecule.cli.context import Context
from molecule.cli.failures import ExitCode, Failure, from_problem

_CONNECT_S: Final = 3.0
_ANSWER_S: Final = 30.0
_ASK_ANOTHER: Final = frozenset({"no_leader", "unavailable", "draining", "outcome_unknown"})
_NEVER_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, and whether it may be repeated after an unknown outcome."""

    action: str
    """What the person wanted, for messages: `cancel e1`."""
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    key: str = ""
    wait_s: float = 0.0
    is_repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """JSON of an answer, with its status."""

    value: Any
    status: int


class Cluster:
    """A client of all nodes of a context. Use as a context manager."""

    def __init__(self, context: Context, *, transport: httpx2.BaseTransport | None = None) -> None:
        self.context = context
        token = context.token()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.Client(
            verify=context.trust() if transport is None else False,
            transport=transport,
            trust_env=False,
            headers=headers,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def ask(self, call: Call) -> Answer:
        """The answer of the first node that has one. Raises `Failure` with what to do."""
        silent: list[str] = []
        refused: Failure | None = None
        is_unsure = False
        for url in self.context.urls:
            try:
                answer = self._send(url, call)
            except _NEVER_SENT as error:
                silent.append(f"{url}: {_reason(error)}")
                continue
            except httpx2.TransportError as error:
                if not call.is_repeatable:
                    raise _unknown(call, url, error) from None
                is_unsure = call.method != "GET"
                silent.append(f"{url}: {_reason(error)}")
                continue
            if answer.status < httpx2.codes.BAD_REQUEST:
                return answer
            refused = from_problem(
                call.action, answer.value, context=self.context.source, path=call.path
            )
            is_safe = answer.value.get("definite") or call.is_repeatable
            if answer.value.get("code") not in _ASK_ANOTHER or not is_safe:
                raise refused
        raise refused or self._nobody(call, silent, is_unsure=is_unsure)

    def _send(self, url: str, call: Call) -> Answer:
        headers = {"idempotency-key": call.key} if call.key else {}
        if call.body is not None:
            headers["content-type"] = "application/json"
        answer = self._http.request(
            call.method,
            f"{url}{call.path}",
            params=dict(call.query),
            content=orjson.dumps(call.body) if call.body is not None else None,
            headers=headers,
            timeout=httpx2.Timeout(call.wait_s + _ANSWER_S, connect=_CONNECT_S),
        )
        try:
            value = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise Failure(
                f"{call.action}: {url} answered something that is not Molecule's",
                why=f"status {answer.status_code}, {len(answer.content)} bytes",
                then=f"check `urls` in {self.context.source}",
            )
        return Answer(value, answer.status_code)

    def _nobody(self, call: Call, silent: list[str], *, is_unsure: bool) -> Failure:
        then = f"start the nodes, or mend `urls` in {self.context.source}"
        if all("CERTIFICATE_VERIFY_FAILED" in reason for reason in silent):
            then = f"mend `ca` in {self.context.source}: another authority signed these nodes"
        if call.key:
            then += f"\nthen repeat with --key {call.key}"
        return Failure(
            f"{call.action}: no node answers",
            why="\n".join(silent),
            then=then,
            code=ExitCode.OUTCOME_UNKNOWN if is_unsure else ExitCode.FAILED,
        )


def _unknown(call: Call, url: str, error: httpx2.TransportError) -> Failure:
    return Failure(
        f"{call.action}: it is not known whether it happened",
        why=f"{url}: {_reason(error)}",
        then="look at what is there before you repeat the command",
        code=ExitCode.OUTCOME_UNKNOWN,
    )


def _reason(error: httpx2.TransportError) -> str:
    return str(error) or type(error).__name__
