"""Documents go from step to step: the next step of a sequence is begun, its end is handed upwards.

Blocks (`blocks.py`) and operations (`effects.py`) do their own part. What must stay true: nothing
begins in a sequence that was dropped, or in an execution that is closing, but for the steps of a
`verify`.
"""

from typing import Final

from molecule.component.contract import Emit, EndExecution, Pause, StepContext
from molecule.definition.definition import StepNode
from molecule.engine import blocks, contexts, effects, outcomes, pauses
from molecule.engine.documents import DocumentList, in_input_order
from molecule.engine.events import Outcome, StepRan
from molecule.engine.failures import Failure
from molecule.engine.frames import Branches, Effects, Foreach, Local, Paths, Sequence, Try
from molecule.engine.instructions import RunStep, StepNote
from molecule.engine.run import Run
from molecule.model.document import Document

ANSWERED: Final = "the caller has its answer already: this one is ignored"


def advance(run: Run, sequence: Sequence) -> None:
    """Begin the step that the sequence stands at, or hand on what came through."""
    if sequence.inner is not None or not may_go_on(run, sequence):
        return
    if sequence.index >= len(sequence.steps) or not sequence.documents:
        _end(run, sequence)
        return
    node = sequence.steps[sequence.index]
    if node.kind == "operation":
        sequence.inner = operation = Effects(sequence, node, started_at_ms=run.now_ms)
        effects.proceed(run, operation)
        return
    frame = Local(sequence, node)
    for place, document in enumerate(sequence.documents):
        wanted = contexts.wanted(run, sequence, node, document)
        if isinstance(wanted, Failure):
            frame.refused[place] = wanted
        elif wanted:
            frame.chosen.append(place)
    sequence.inner = frame
    if frame.refused and (node.spec.per.startswith("block") or not frame.chosen):
        _tell(run, frame, None)
    if node.spec.per.startswith("block") or not frame.chosen:
        _take(run, frame, ())
    else:
        _run_step(run, frame)


def ran(run: Run, frame: Local, event: StepRan) -> None:
    """A pure step is done with its documents."""
    if not may_go_on(run, frame.sequence):
        return
    if any(isinstance(found, Pause) for found in event.outcomes):
        # The step is told of when its documents go on.
        pauses.begin(run, frame, _by_place(frame, event.outcomes))
        return
    told = [run.answer(answer) for answer in event.answers]
    ignored = (ANSWERED,) if False in told else ()
    _tell(run, frame, event, "\n".join((*event.notes, *ignored)))
    if any(isinstance(found, EndExecution) for found in event.outcomes):
        run.close(None)
        return
    _take(run, frame, event.outcomes)


def _tell(run: Run, frame: Local, event: StepRan | None, detail: str = "") -> None:
    """A line of the timeline; its error is the first one, also of a `when` that told nothing."""
    results = event.outcomes if event is not None else ()
    duration_us = event.duration_us if event is not None else 0
    found = (*results, *frame.refused.values())
    failure = next((one for one in found if isinstance(one, Failure)), None)
    note = StepNote(
        frame.node.path,
        frame.node.type,
        run.now_ms - duration_us // 1000,
        duration_us,
        len(frame.chosen) + len(frame.refused),
        sum(len(one) for one in results if isinstance(one, tuple)),
        error=failure.message if failure else "",
        error_code=failure.code if failure else "",
        detail=detail,
    )
    run.note(frame.node, note)


def may_go_on(run: Run, sequence: Sequence) -> bool:
    """False when its scope failed or the execution is closing; a `verify` still runs then."""
    if sequence.dropped:
        return False
    return not run.is_closing or _is_verifying(sequence)


def _run_step(run: Run, frame: Local) -> None:
    sequence, node = frame.sequence, frame.node
    documents = tuple(sequence.documents[place] for place in frame.chosen)
    if node.spec.per == "list":
        each = tuple(contexts.names(run, sequence, document) for document in documents)
        contexts_of: tuple[StepContext, ...] = (
            StepContext(node.path, each[0], run.process.tables, each=each),
        )
    else:
        contexts_of = tuple(
            contexts.of_document(run, sequence, node, document) for document in documents
        )
    run.call(frame, RunStep(run.number(), node, documents, contexts_of))


def _take(run: Run, frame: Local, results: tuple[Outcome, ...]) -> None:
    """Hand on what became of each document: given to the step, passed by, or refused by `when`."""
    sequence, node = frame.sequence, frame.node
    onward = DocumentList()
    by_path: dict[str, DocumentList] = {}
    of_place = _by_place(frame, results)
    chosen = set(frame.chosen)
    for place, document in enumerate(sequence.documents):
        found = of_place.get(place)
        if found is None and place not in chosen:
            onward.append(document)
        if isinstance(found, tuple):
            if node.spec.hands_back:
                blocks.hand_back(run, sequence, [emit.document for emit in found])
                continue
            if any(emit.document.id != document.id for emit in found):
                run.split(document)
            found = _hand_on(node, document, found, onward, by_path)
        if isinstance(found, Failure):
            going = outcomes.after_failure(run, sequence, node, document, found)
            if going is None:
                return
            onward.extend(going)
    if node.spec.per == "list" and results and isinstance(results[0], tuple):
        onward.extend(emit.document for emit in results[0])
    if node.spec.per.startswith("block"):
        inputs = DocumentList(sequence.documents[place] for place in frame.chosen)
        blocks.begin(run, sequence, node, inputs, onward)
    elif by_path:
        blocks.begin_paths(run, sequence, node, by_path, onward)
    else:
        run.complete(sequence, DocumentList(in_input_order(sequence.documents.items, onward.items)))


def _by_place(frame: Local, results: tuple[Outcome, ...]) -> dict[int, Outcome]:
    found: dict[int, Outcome] = dict(frame.refused)
    if frame.node.spec.per != "list":
        found.update(zip(frame.chosen, results, strict=False))
    elif results and isinstance(results[0], Failure):
        # A list step fails for all that it was given: none of them can be told apart.
        found.update(dict.fromkeys(frame.chosen, results[0]))
    return found


def _hand_on(
    node: StepNode,
    document: Document,
    emitted: tuple[Emit, ...],
    onward: DocumentList,
    by_path: dict[str, DocumentList],
) -> Failure | None:
    """Put what a step made of one document on its way; without such a path, to the next step."""
    here: list[Document] = []
    for emit in emitted:
        if emit.path is not None and emit.path in node.paths:
            by_path.setdefault(emit.path, DocumentList()).append(emit.document)
        else:
            here.append(emit.document)
    if len(here) != len(emitted) and not here:
        return None
    result = outcomes.with_documents(node, document, here)
    if isinstance(result, Failure):
        return result
    onward.extend(result)
    return None


def _end(run: Run, sequence: Sequence) -> None:
    block = sequence.parent
    match block:
        case None:
            pass  # a root that is at its end: words.py finds it so
        case Effects():
            effects.verified(run, block, sequence)
        case Paths() | Foreach() | Try() | Branches():
            blocks.ended(run, block, sequence)


def _is_verifying(sequence: Sequence) -> bool:
    block = sequence.parent
    while block is not None and not isinstance(block, Effects):
        block = block.sequence.parent
    return block is not None
