"""`validate`: documents must fit a JSON Schema and named rules."""

from dataclasses import replace
from typing import Any

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.json_schema import Schema
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.expression.expression import Expression
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError

REJECTED = "rejected"
INVALID = "invalid"


@step(
    "validate",
    Spec(
        summary="Hand on the documents that fit; `rejected` gets the others with every reason.",
        fields={
            "schema": Field.schema("A JSON Schema that the document's value must fit."),
            "rules": Field.rules("A list of {name, that}: conditions that must be true."),
        },
        paths=(REJECTED,),
        closed_paths=(REJECTED,),
        errors="data: without `rejected`, a document that does not fit, code invalid.",
        example=Example(
            config="""
                type: validate
                schema: {type: object, required: [qty], properties: {qty: {type: integer}}}
                rules: [{name: positive, that: qty > 0}]
                rejected: [{id: bad, type: log, message: "${$properties.error.message}"}]
            """,
            given=({"qty": 2}, {"qty": -1}),
            gives=((None, {"qty": 2}), (REJECTED, {"qty": -1})),
        ),
    ),
)
class Validate:
    """Rejected documents carry the property `error`; what its path hands on goes no further."""

    def __init__(self, config: Config) -> None:
        self._schema: Schema | None = config.anything("schema")
        self._rules = config.rules("rules")
        self._has_path = config.has_path(REJECTED)
        if self._schema is None and not self._rules:
            raise InvalidConfig("validate needs schema or rules")

    def process(self, document: Document, context: StepContext) -> Emit:
        """Straight on, or down `rejected`."""
        reasons = self._reasons(document, context)
        if not reasons:
            return Emit(None, document)
        message = "; ".join(f"{reason['rule']}: {reason['message']}" for reason in reasons)
        if not self._has_path:
            raise StepError(message, error_class=ErrorClass.DATA, error_code=INVALID)
        error = {
            "class": ErrorClass.DATA.value,
            "code": INVALID,
            "message": message,
            "step": context.step,
            "reasons": reasons,
        }
        return Emit(REJECTED, replace(document, properties={**document.properties, "error": error}))

    def _reasons(self, document: Document, context: StepContext) -> list[dict[str, Any]]:
        found = []
        if self._schema is not None:
            faults = self._schema.faults(document.value)
            found += [{"rule": "schema", "message": fault} for fault in faults]
        for name, that in self._rules:
            broken = _broken(that, document, context)
            if broken:
                found.append({"rule": name, "message": broken})
        return found


def _broken(that: Expression, document: Document, context: StepContext) -> str:
    """Why a rule does not hold; a condition that cannot be told holds for nobody."""
    try:
        holds = that.is_true(document, context.names)
    except StepError as error:
        if error.error_class is not ErrorClass.DATA:
            raise
        return error.message
    return "" if holds else f"{that.source} is false"
