"""What clients of `molecule chaos` believe, whatever answers."""

import io
from collections.abc import Callable

import httpx2
import pytest

from molecule.chaos import asking
from molecule.chaos.asking import Site, Work
from molecule.chaos.history import Recording
from molecule.chaos.records import Outcome


def site(answer: Callable[[httpx2.Request], httpx2.Response]) -> Site:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return Site(("https://a",), http)


def raising(error: Exception) -> Callable[[httpx2.Request], httpx2.Response]:
    def answer(_: httpx2.Request) -> httpx2.Response:
        raise error

    return answer


def answering(status: int, content: bytes) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _: httpx2.Response(status, content=content)


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        (answering(202, b'{"execution": "e1", "state": "PENDING"}'), "ok", ""),
        (answering(200, b"<html>"), "unknown", "not an answer of Molecule"),
        (answering(200, b"[]"), "unknown", "not an answer of Molecule"),
        (answering(200, b'"text"'), "unknown", "not an answer of Molecule"),
        (answering(200, b"null"), "unknown", "not an answer of Molecule"),
        (answering(200, b"\xff\xfe"), "unknown", "not an answer of Molecule"),
        (answering(202, b"{}"), "unknown", "not an answer of Molecule"),
        (answering(202, b'{"execution": 5, "state": "PENDING"}'), "unknown", None),
        (answering(202, b'{"execution": "e1", "state": "STRANGE"}'), "unknown", None),
        (answering(503, b'{"code": "no_leader", "definite": true}'), "refused", "no_leader"),
        (answering(504, b'{"code": "outcome_unknown", "definite": false}'), "unknown", None),
        (answering(503, b'{"code": "x", "definite": "true"}'), "unknown", "x"),
        (answering(502, b"bad gateway"), "unknown", "not an answer of Molecule"),
        (answering(500, b"{}"), "unknown", "status 500"),
        (raising(httpx2.ConnectError("refused")), "refused", "ConnectError"),
        (raising(httpx2.ReadTimeout("late")), "unknown", "ReadTimeout"),
        (raising(httpx2.RemoteProtocolError("cut")), "unknown", "RemoteProtocolError"),
    ],
)
async def test_an_answer_is_one_of_three(
    answer: Callable[[httpx2.Request], httpx2.Response], outcome: str, code: str | None
) -> None:
    recording = Recording(io.StringIO())

    answered = await asking.submit(
        site(answer), recording, Work("p", "e"), client="c1", url="https://a", key="k1"
    )

    assert answered.outcome is Outcome(outcome)
    assert code is None or answered.code == code
    assert [record.__class__.__name__ for record in recording.records] == ["Invoked", "Answered"]


async def test_a_submission_carries_its_key_and_its_input() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(202, json={"execution": "e1", "state": "PENDING"})

    work = Work("orders", "dev", {"a": 1})
    recording = Recording(io.StringIO())
    await asking.submit(site(answer), recording, work, client="c1", url="https://a", key="k1")

    assert seen[0].headers["idempotency-key"] == "k1"
    assert seen[0].read() == b'{"process":"orders","environment":"dev","input":{"a":1}}'


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"null", b"\xff", b'{"nodes": 5}'])
async def test_strange_answers_tell_no_nodes(content: bytes) -> None:
    assert await site(answering(200, content)).nodes() == {}


@pytest.mark.parametrize(
    ("status", "content", "is_ready"),
    [
        (200, b'{"ready": true}', True),
        (503, b'{"draining": true}', True),
        (503, b'{"draining": false}', False),
        (503, b"<html>", False),
        (200, b"<html>", False),
    ],
)
async def test_who_is_drained_is_in_order(status: int, content: bytes, is_ready: bool) -> None:
    assert await site(answering(status, content)).is_ready("https://a") is is_ready
