"""`http.listen`: what its configuration refuses, and which requests it admits."""

import pytest

from molecule.component.contract import TRIGGER_PROPERTY, ListeningTrigger
from molecule.definition.definition import ProcessDefinition
from molecule.expression.names import Names
from molecule.model import http_path
from molecule.model.document import Document
from molecule.model.errors import StepError
from molecule.model.ids import DocumentId
from tests.unit.definition.builders import parse, sound, told


def a_process(trigger: str) -> str:
    head = f"molecule: 1\nprocess: p\ntrigger: {{type: http.listen, {trigger}}}\n"
    return f"{head}steps: [{{id: s, type: stop}}]\n"


def a_definition(trigger: str) -> ProcessDefinition:
    return sound(parse(a_process(trigger)))


def admitted(trigger: str, value: object, facts: dict[str, object]) -> str:
    component = a_definition(trigger).trigger.component
    assert isinstance(component, ListeningTrigger)
    document = Document(DocumentId("0"), value, properties={TRIGGER_PROPERTY: facts})
    return component.admit(document, Names(trigger=facts))


def test_defaults_are_a_token_and_a_waiting_caller() -> None:
    listening = a_definition("path: /a").trigger.listening
    assert listening is not None
    assert (listening.method, listening.auth, listening.reply) == ("POST", "token", "result")
    assert not listening.checked


@pytest.mark.parametrize(
    ("trigger", "what"),
    [
        ("path: orders", "must begin with /"),
        ("path: /a/../b", "is no part of a path"),
        ("path: '/{a}/{a}'", "name of its own"),
        ("path: /a, auth: mtls", "comes later"),
        ("path: /a, rate: 5", "comes later"),
        ("path: /a, timeout: 2h", "timeout"),
        ("path: /a, max_body: 0", "must be from 1"),
        ("path: /a, method: TRACE", "must be one of"),
        ("path: /a, schema: {type: 7}", "JSON Schema"),
        ("reply: result", "path is missing"),
    ],
)
def test_what_could_not_be_kept_is_refused(trigger: str, what: str) -> None:
    assert what in "\n".join(told(parse(a_process(trigger)).findings))


def test_key_comes_from_a_header_or_the_body() -> None:
    facts: dict[str, object] = {"headers": {"x-event": "e7"}}
    assert admitted("path: /a, dedup: $trigger.headers.`x-event`", {}, facts) == "e7"
    assert admitted("path: /a, dedup: no", {"no": 5}, facts) == "5"


def test_request_without_its_key_is_refused() -> None:
    with pytest.raises(StepError, match="dedup"):
        admitted("path: /a, dedup: no", {}, {})


def test_body_that_does_not_fit_is_refused_with_its_faults() -> None:
    schema = "schema: {type: object, required: [qty]}"
    assert admitted(f"path: /a, {schema}", {"qty": 1}, {}) == ""
    with pytest.raises(StepError, match="qty"):
        admitted(f"path: /a, {schema}", {}, {})


def test_match_gives_the_parameters_and_takes_no_empty_ones() -> None:
    assert http_path.match("/o/{id}", ["o", "7"]) == {"id": "7"}
    assert http_path.match("/o/{id}", ["o", ""]) is None
    assert http_path.match("/o/{id}", ["o", "7", "8"]) is None
    assert http_path.shape("/o/{id}") == http_path.shape("/o/{order}")
