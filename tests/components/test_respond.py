"""`respond`: what is sent to the caller, and what is never sent."""

import pytest

from molecule.component.answer import Answer
from molecule.component.contract import Emit
from molecule.model.errors import StepError
from tests.components.calls import a_context, a_document, a_step


def said(config: str, value: object = None) -> Answer:
    context = a_context()
    document = a_document(value)
    assert a_step(config).component.process(document, context) == Emit(None, document)
    (answer,) = context.answers
    return answer


@pytest.mark.parametrize(
    ("value", "media_type", "body"),
    [
        ({"a": 1}, "application/json", b'{"a":1}'),
        ("hi", "text/plain; charset=utf-8", b"hi"),
        (b"\x00", "application/octet-stream", b"\x00"),
    ],
)
def test_body_is_the_document_unless_it_is_given(
    value: object, media_type: str, body: bytes
) -> None:
    assert said("{type: respond}", value) == Answer(200, (("content-type", media_type),), body)


def test_status_and_headers_come_from_the_document() -> None:
    config = '{type: respond, status: "${code}", headers: {Content-Type: a/b}, body: x}'
    assert said(config, {"code": 404}) == Answer(404, (("content-type", "a/b"),), b"x")


def test_status_without_a_body_sends_none() -> None:
    assert said("{type: respond, status: 204, body: x}") == Answer(204, (), b"")


@pytest.mark.parametrize(
    ("config", "value", "what"),
    [
        ("{type: respond, status: 99}", None, "status"),
        ("{type: respond, status: 101}", None, "status"),
        ('{type: respond, status: "${s}"}', {"s": True}, "status"),
        ('{type: respond, headers: {x-a: "${v}"}}', {"v": "a\r\nset-cookie: b"}, "printable"),
        ('{type: respond, headers: {x-a: "${v}"}}', {"v": "é"}, "printable"),
        ("{type: respond, headers: {'x a': b}}", None, "no name"),
        ("{type: respond, headers: {Content-Length: 5}}", None, "gateway"),
        ("{type: respond, headers: {transfer-encoding: chunked}}", None, "gateway"),
        ("{type: respond}", "x" * 70_000, "at most"),
    ],
)
def test_what_could_not_be_sent_safely_is_an_error_of_the_document(
    config: str, value: object, what: str
) -> None:
    with pytest.raises(StepError, match=what):
        said(config, value)
