"""What every component must do, built in or not; each registered one is run through it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest

from molecule.component.contract import Emit, ListStep, Operation, Pause, Step, StepContext
from molecule.component.registry import Component
from molecule.component.spec import ConnectorSpec, Example, FieldKind, Spec
from molecule.config import Limits
from molecule.definition.definition import StepNode
from molecule.definition.parse import parse_process
from molecule.model.document import Document
from molecule.model.effect import Effect
from molecule.model.errors import StepError
from molecule.model.payload import decode_value, encode_value
from tests.components.calls import REGISTRY, a_client, a_context, a_document, a_step

ALL = list(REGISTRY.components())
STEPS = [item for item in ALL if item.kind in {"step", "operation"}]
OPERATIONS = [item for item in ALL if item.kind == "operation"]
CONNECTORS = [item for item in ALL if item.kind == "connector"]
TRIGGERS = [item for item in ALL if item.kind == "trigger"]


def of_type(component: Component) -> str:
    return component.type


def example(component: Component) -> Example:
    assert component.spec.example is not None, "each component has one runnable example"
    return component.spec.example


@pytest.mark.parametrize("component", ALL, ids=of_type)
def test_spec_is_complete(component: Component) -> None:
    spec = component.spec
    assert spec.summary.endswith(".")
    assert len(spec.summary) <= 100
    assert example(component).config.strip()
    for name, field in spec.fields.items():
        assert field.doc.strip(), f"{name} says nothing"
        assert field.doc[-1] in ".:", f"{name}: its doc is a sentence"
        if field.kind is FieldKind.CHOICE:
            assert field.default is None or field.default in field.choices
        if field.kind is FieldKind.INTEGER:
            assert field.maximum is not None, f"{name} is unbounded"
    assert component.build.__doc__, "the class says what it is"


@pytest.mark.parametrize("component", STEPS, ids=of_type)
def test_effect_is_declared(component: Component) -> None:
    spec = component.spec
    assert isinstance(spec, Spec)
    if component.kind == "operation":
        assert spec.effect is None
        assert bool(spec.connection) != bool(spec.inside)
        assert spec.inside or component.connector in REGISTRY.connectors
        assert a_step(example(component).config).effect in Effect
    else:
        assert spec.effect is Effect.PURE


@pytest.mark.parametrize("component", OPERATIONS, ids=of_type)
def test_error_classes_and_failover_of_an_operation_are_told(component: Component) -> None:
    spec = component.spec
    assert isinstance(spec, Spec)
    assert "permanent" in spec.errors or "data" in spec.errors
    assert "transient.definite" in spec.errors
    assert spec.across_failover.strip()


@pytest.mark.parametrize("component", STEPS, ids=of_type)
def test_example_of_a_step_gives_what_it_says(component: Component) -> None:
    shown = example(component)
    step = a_step(shown.config, processes=shown.processes)
    context = a_context(tables=shown.tables)
    documents = [a_document(value) for value in shown.given]
    gave: list[tuple[str | None, Any]]
    if component.kind == "operation":
        gave = [_request(step.component, document, context) for document in documents]
    else:
        gave = _emitted(step, documents, context, shown)
    assert tuple(gave) == tuple(shown.gives)


def _request(operation: Operation, document: Document, context: StepContext) -> tuple[str, Any]:
    request = operation.prepare(document, context)
    assert decode_value(encode_value(request.body)) == request.body, "it can be stored"
    assert operation.prepare(document, context) == request, "a repeat prepares the same"
    return request.target, request.body


def _emitted(
    step: StepNode, documents: Sequence[Document], context: StepContext, shown: Example
) -> list[tuple[str | None, Any]]:
    component = step.component
    if isinstance(component, ListStep):
        return [
            (emit.path, emit.document.value) for emit in component.process_list(documents, context)
        ]
    gave: list[tuple[str | None, Any]] = []
    for document in documents:
        before = encode_value([document.value, document.properties])
        assert isinstance(component, Step)
        try:
            emitted = component.process(document, context)
        except StepError as error:
            gave.append((error.error_code, error.message))
            continue
        assert encode_value([document.value, document.properties]) == before, "changed in place"
        if isinstance(emitted, Pause):
            told = asdict(emitted)
            gave.append(("waits", {name: item for name, item in told.items() if item}))
            continue
        for emit in [emitted] if isinstance(emitted, Emit) else emitted:  # type: ignore[union-attr]  # no example ends the execution
            gave.append((emit.path, emit.document.value))
            if shown.properties is not None:
                assert emit.document.properties == shown.properties
            assert emit.path is None or emit.path in step.paths
    return gave


@pytest.mark.parametrize("component", STEPS, ids=of_type)
def test_each_required_field_is_missed(component: Component) -> None:
    spec = component.spec
    assert isinstance(spec, Spec)
    text = f"molecule: 1\nprocess: p\nsteps: [{{id: it, type: {component.type}}}]\n"
    parsed = parse_process(text.encode(), "p.yaml", REGISTRY, Limits())
    told = [finding.what for finding in parsed.findings]
    for name, field in spec.fields.items():
        assert (f"{name} is missing" in told) == field.required
    assert ("connection is missing" in told) == spec.connection


@pytest.mark.parametrize("component", STEPS, ids=of_type)
def test_a_field_nobody_declared_is_refused(component: Component) -> None:
    text = f"molecule: 1\nprocess: p\nsteps: [{{id: it, type: {component.type}, zzz: 1}}]\n"
    parsed = parse_process(text.encode(), "p.yaml", REGISTRY, Limits())
    assert "unknown field zzz" in [finding.what for finding in parsed.findings]


@pytest.mark.parametrize("component", STEPS, ids=of_type)
def test_every_field_has_a_value_it_refuses(component: Component) -> None:
    spec = component.spec
    assert isinstance(spec, Spec)
    wrong = {
        FieldKind.EXPRESSION: "[1]",
        FieldKind.MAPPING: "[1]",
        FieldKind.TEMPLATE: "'${('",
        FieldKind.TEXT: "[1]",
        FieldKind.TEXTS: "{a: 1}",
        FieldKind.TEXT_MAP: "[1]",
        FieldKind.INTEGER: "much",
        FieldKind.BOOLEAN: "perhaps",
        FieldKind.DURATION: "5",
        FieldKind.CHOICE: "zzz",
        FieldKind.TABLE: "[1]",
        FieldKind.CREDENTIAL: "hunter2",
        FieldKind.RULES: "[1]",
        FieldKind.SCHEMA: "[1]",
    }
    for name, field in spec.fields.items():
        text = (
            f"molecule: 1\nprocess: p\n"
            f"steps: [{{id: it, type: {component.type}, {name}: {wrong[field.kind]}}}]\n"
        )
        found = parse_process(text.encode(), "p.yaml", REGISTRY, Limits()).findings
        assert any(finding.where.startswith(f"steps[0].{name}") for finding in found), name


@pytest.mark.parametrize("component", CONNECTORS, ids=of_type)
def test_example_of_a_connector_makes_a_client_that_closes_unopened(component: Component) -> None:
    spec = component.spec
    assert isinstance(spec, ConnectorSpec)
    assert set(spec.addresses) <= set(spec.fields)
    assert set(spec.addresses) >= {
        name for name, field in spec.fields.items() if field.kind is FieldKind.CREDENTIAL
    }
    client = a_client(component.type, spec.example.config)
    assert callable(client.open)
    assert callable(client.close)


@pytest.mark.parametrize("component", TRIGGERS, ids=of_type)
def test_example_of_a_trigger_makes_one(component: Component) -> None:
    lines = [line for line in example(component).config.splitlines() if line.strip()]
    indent = min(len(line) - len(line.lstrip()) for line in lines)
    body = "\n".join(f"  {line[indent:]}" for line in lines)
    text = f"molecule: 1\nprocess: p\ntrigger:\n{body}\nsteps: [{{id: a, type: stop}}]\n"
    parsed = parse_process(text.encode(), "p.yaml", REGISTRY, Limits())
    assert parsed.findings == ()
    assert parsed.definition is not None
    assert callable(parsed.definition.trigger.component.run)
