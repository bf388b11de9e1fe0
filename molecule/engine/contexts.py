"""What a step sees besides its document, and the conditions and keys that the engine evaluates.

What must stay true: everything here follows from the position and the execution's facts, so a
repeat sees the same.
"""

from molecule.component.contract import TRIGGER_PROPERTY, StepContext
from molecule.definition.calls import PROCESS, RETURNS
from molecule.definition.definition import StepNode
from molecule.engine import failures
from molecule.engine.documents import lineage
from molecule.engine.failures import Failure
from molecule.engine.frames import Sequence, Try
from molecule.engine.run import Run
from molecule.expression.names import Names
from molecule.model.document import Document
from molecule.model.errors import StepError
from molecule.model.ids import EffectKey


def names(run: Run, sequence: Sequence, document: Document | None) -> Names:
    """The names that expressions see for this document at this place; None: for a whole list."""
    error = error_at(sequence)
    return Names(
        trigger=document.properties.get(TRIGGER_PROPERTY) if document is not None else None,
        execution=run.bound_execution,
        environment=run.bound_environment,
        parent=_parent(run, document) if document is not None and run.parents else None,
        error=error.bound() if error is not None else None,
        now_ms=run.facts.submitted_at_ms,
        seed=run.facts.seed,
    )


def of_document(run: Run, sequence: Sequence, node: StepNode, document: Document) -> StepContext:
    """The context of one document at a step."""
    return StepContext(node.path, names(run, sequence, document), run.process.tables)


def wanted(run: Run, sequence: Sequence, node: StepNode, document: Document) -> bool | Failure:
    """False: the document passes the step unchanged."""
    if node.when is None:
        return True
    try:
        return node.when.is_true(document, names(run, sequence, document))
    except StepError as error:
        return failures.of_error(error).at(node.path)


def effect_key(
    run: Run, sequence: Sequence, node: StepNode, document: Document
) -> EffectKey | Failure:
    """The same on every attempt, retry and re-drive; `effect_key` replaces the document's part."""
    if node.effect_key is None:
        return EffectKey(f"{run.facts.origin}/{node.path}/{document.id}")
    try:
        return EffectKey(node.effect_key.text(document, names(run, sequence, document)))
    except StepError as error:
        return failures.of_error(error).at(node.path)


def error_at(sequence: Sequence) -> Failure | None:
    """What the nearest catch around this place handles, within the process it is written in."""
    at: Sequence | None = sequence
    while at is not None:
        if at.error is not None:
            return at.error
        if isinstance(at.parent, Try) and at.parent.stage in {PROCESS, RETURNS}:
            return None
        at = at.parent.sequence if at.parent is not None else None
    return None


def _parent(run: Run, document: Document) -> object:
    for name in lineage(document.id):
        if name != document.id and name in run.parents:
            return run.parents[name].value
    return None
