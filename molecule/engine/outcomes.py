"""What becomes of a document after a step: its result put in place, or its failure dealt with.

`output` and `on_error` mean the same for every step; this is where they are obeyed.
"""

from collections.abc import Sequence as SequenceOf
from dataclasses import replace
from typing import Any

from molecule.definition.definition import OnError, OutputMode, StepNode
from molecule.engine.failures import Failure
from molecule.engine.frames import Scope, Sequence
from molecule.engine.run import Run
from molecule.model.document import Document
from molecule.model.effect import ErrorClass

ERROR_PROPERTY = "error"
"""The property in which `on_error: continue` leaves the failure."""


def with_values(
    run: Run, node: StepNode, document: Document, values: SequenceOf[Any] | None
) -> list[Document] | Failure:
    """The documents that go on after an operation answered with `values`.

    None: it is known to have happened and nothing more. No values are an answer, after which
    nothing goes on; no answer must not end a document's way.
    """
    if values is None:
        into = node.output.mode is OutputMode.INTO
        return _enriched(node, document, None) if into else [document]
    match node.output.mode:
        case OutputMode.KEEP:
            return [document]
        case OutputMode.INTO:
            found = values[0] if len(values) == 1 else list(values) or None
            return _enriched(node, document, found)
        case OutputMode.REPLACE:
            run.split(document)
            return [document.child(place, value) for place, value in enumerate(values)]


def with_documents(
    node: StepNode, document: Document, emitted: list[Document]
) -> list[Document] | Failure:
    """The documents that go on after a local step made `emitted` of one document."""
    match node.output.mode:
        case OutputMode.KEEP:
            return [document]
        case OutputMode.INTO:
            values = [item.value for item in emitted]
            return _enriched(node, document, values[0] if len(values) == 1 else values or None)
        case OutputMode.REPLACE:
            if len({item.id for item in emitted}) == len(emitted):
                return emitted
            # Two documents of one id would share their effect keys.
            return [
                replace(item, id=document.child(place, None).id)
                for place, item in enumerate(emitted)
            ]


def after_failure(
    run: Run, sequence: Sequence, node: StepNode, document: Document, failure: Failure
) -> list[Document] | None:
    """The documents that go on although the step failed; None when the step fails as a whole."""
    failure = failure.at(node.path)
    match node.on_error:
        case OnError.FAIL:
            run.fail_step(sequence, failure)
            return None
        case OnError.FAIL_DOCUMENT | OnError.DEAD_LETTER:
            counts = node.on_error is OnError.FAIL_DOCUMENT
            run.dead_letter(document, failure, counts=counts)
            lose(sequence, document)
            return []
        case OnError.CONTINUE:
            told = {**document.properties, ERROR_PROPERTY: failure.bound()}
            return [replace(document, properties=told)]
        case OnError.DROP:
            lose(sequence, document)
            return []


def lose(sequence: Sequence, document: Document) -> None:
    """A document failed alone here: no block around hands it on from another of its paths."""
    block = sequence.parent
    while block is not None:
        if isinstance(block, Scope) and any(item.id == document.id for item in block.inputs):
            block.lost.add(document.id)
        block = block.sequence.parent


def _enriched(node: StepNode, document: Document, found: Any) -> list[Document] | Failure:
    name = node.output.into
    if not isinstance(document.value, dict):
        message = f"output into {name} needs an object, the document is none"
        return Failure(ErrorClass.DATA, "output", message, node.path)
    return [document.with_value({**document.value, name: found})]
