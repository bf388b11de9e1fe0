"""Calls of components, with whatever they raise turned into outcomes.

This is a named boundary: a component is foreign code, so any ordinary exception of it becomes a
failure of its document, never of the worker. What must stay true: what they return is checked
before the interpreter sees it.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from molecule.component.answer import Answer
from molecule.component.contract import (
    CallContext,
    Emit,
    EndExecution,
    Pause,
    Reply,
    Request,
    StepContext,
)
from molecule.definition.definition import StepNode
from molecule.engine import failures
from molecule.engine.events import Outcome
from molecule.engine.failures import Failure
from molecule.engine.instructions import PerformRequest, PrepareRequests, RunStep
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError

_BACKSTOP_S: Final = 0.1
"""How much later than an operation's own time-out it is ended; less than the lease's margin."""


def run_step(instruction: RunStep) -> tuple[Outcome, ...]:
    """Outcomes of a local step: one per document, or one for the list."""
    step = instruction.step
    if step.spec.per == "list":
        context = instruction.contexts[0]
        found = _guarded(step, partial(step.component.process_list, instruction.documents, context))
        return (_outcome(step, found),)
    return tuple(
        _outcome(step, _guarded(step, partial(step.component.process, document, context)))
        for document, context in zip(instruction.documents, instruction.contexts, strict=True)
    )


def prepare(instruction: PrepareRequests) -> tuple[Request | Failure, ...]:
    """The request of each document, or why there is none."""
    return tuple(
        _prepare(instruction.step, document, context)
        for document, context in zip(instruction.documents, instruction.contexts, strict=True)
    )


def lines(instruction: RunStep) -> tuple[str, ...]:
    """What the step logged."""
    return tuple(line for context in instruction.contexts for line in context.lines)


def answers(instruction: RunStep) -> tuple[Answer, ...]:
    """What the step told the HTTP caller."""
    return tuple(answer for context in instruction.contexts for answer in context.answers)


async def perform(instruction: PerformRequest, client: Any, call: CallContext) -> Reply | Failure:
    """The answer of the target, or a failure with its class.

    What `before_send` raises is no StepError and passes through, and so does a cancellation.
    """
    step = instruction.step
    try:
        # The operation's own time-out comes first: it knows whether anything was sent.
        async with asyncio.timeout(call.timeout_s + _BACKSTOP_S):
            reply = await step.component.perform(client, instruction.request, call)
    except StepError as error:
        return failures.of_error(error).at(step.path)
    except TimeoutError:
        message = f"no answer within {instruction.timeout_ms} ms"
        return Failure(ErrorClass.TRANSIENT_UNKNOWN, "timeout", message, step.path)
    if not isinstance(reply, Reply):
        return _broken(step, f"gave {type(reply).__name__} instead of a Reply")
    return reply


def broken(step: StepNode, error: Exception) -> Failure:
    """The failure of a component that raised something else than a `StepError`."""
    return _broken(step, f"raised {type(error).__name__}: {error}")


def _prepare(step: StepNode, document: Document, context: StepContext) -> Request | Failure:
    found = _guarded(step, partial(step.component.prepare, document, context))
    if isinstance(found, Request | Failure):
        return found
    return _broken(step, f"gave {type(found).__name__} instead of a Request")


def _guarded(step: StepNode, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except StepError as error:
        return failures.of_error(error).at(step.path)
    except Exception as error:  # noqa: BLE001 - the boundary to foreign code
        return broken(step, error)


def _outcome(step: StepNode, found: Any) -> Outcome:
    match found:
        case Emit():
            return (found,)
        case Failure() | EndExecution() | Pause():
            return found
        case list() | tuple() if all(isinstance(item, Emit) for item in found):
            return tuple(found)
        case _:
            return _broken(step, f"gave {type(found).__name__} instead of documents")


def _broken(step: StepNode, what: str) -> Failure:
    return Failure(ErrorClass.PERMANENT, "broken_component", f"{step.type} {what}", step.path)
