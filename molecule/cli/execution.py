"""`molecule execution`: submit, find, watch, signal, cancel, resolve."""

import re
import time
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from molecule.cli import inputs, output
from molecule.cli.calls import Answer, Call, Cluster
from molecule.cli.failures import ExitCode, Failure
from molecule.cli.options import (
    PAGE,
    SHARED,
    Page,
    Shared,
    confirm,
    given,
    idempotency_key,
    milliseconds,
)
from molecule.definition import durations
from molecule.model.execution import ACTIVE, ExecutionState

app = App(name="execution", help="Submit, find, watch, signal, cancel and resolve executions.")

_PATH: Final = "/api/v1/executions"
_COLUMNS: Final = (
    *("id", "process", "environment", "durability", "state", "node", "attempts", "accepted_at_ms"),
)
_WAIT_MS_MAX: Final = 30_000
"""Of one call; longer waits are made of several."""
_BATCH: Final = 500
_DONE: Final = ExecutionState.COMPLETED


@app.command
def submit(
    process: Annotated[str, Parameter(help="Name of the process.")],
    *,
    document: Annotated[str, Parameter(name="--input", help="One document as JSON.")] = "",
    file: Annotated[
        Path | None,
        Parameter(
            name=["--file", "-f"],
            allow_leading_hyphen=True,
            help="Documents from a file, `-` for standard input: a JSON value, a JSON list "
            "of documents, or (.jsonl) one JSON value per line.",
        ),
    ] = None,
    each: Annotated[
        bool, Parameter(help="One execution for each document instead of one for all.")
    ] = False,
    key: Annotated[
        str | None,
        Parameter(help="Idempotency key; submitting again with it gives the same execution."),
    ] = None,
    environment: Annotated[
        str, Parameter(help="Where it is deployed; needed when that is more than one place.")
    ] = "",
    version: Annotated[
        str, Parameter(help="Content hash of a version; default: the active one.")
    ] = "",
    priority: Annotated[int, Parameter(help="1 to 9, higher first; 0: that of the process.")] = 0,
    expires: Annotated[str, Parameter(help="Not begun by then, it fails: `10m`, an instant.")] = "",
    wait: Annotated[
        str, Parameter(help="Wait for the end and print the result: `30s`, `5m`.")
    ] = "",
    shared: Shared = SHARED,
) -> int:
    """Submit an execution of a process."""
    documents = inputs.documents(document, file)
    target: dict[str, Any] = given(process=process, environment=environment, version=version)
    if priority:
        target["priority"] = priority
    key = idempotency_key(key)
    wait_ms = milliseconds(wait, "--wait") if wait else 0
    with shared.cluster() as cluster:
        if each:
            items = [{"input": item, **given(expires=expires)} for item in documents]
            return _submit_each(cluster, target, items, key=key, form=shared.output)
        answer = cluster.ask(
            Call(
                f"submit to {process}",
                "POST",
                _PATH,
                query=_wait(wait_ms),
                body={**target, "documents": documents, **given(expires=expires)},
                key=key,
                wait_s=min(wait_ms, _WAIT_MS_MAX) / 1000,
            )
        )
        ended = _wait_on(cluster, answer, wait_ms=wait_ms - _WAIT_MS_MAX)
    output.show(ended.value, form=shared.output)
    return _code(ended.value, has_waited=bool(wait)) if wait else ExitCode.DONE


@app.command(name="list")
def list_(
    *,
    process: Annotated[str, Parameter(help="Only of this process.")] = "",
    state: Annotated[
        str, Parameter(help="Only in these states, separated by commas: `IN_DOUBT,QUARANTINED`.")
    ] = "",
    environment: Annotated[str, Parameter(help="Only in this environment.")] = "",
    key: Annotated[str, Parameter(help="Only the one submitted with this idempotency key.")] = "",
    track: Annotated[str, Parameter(help="Only with this business key: `plane=N14228`.")] = "",
    since: Annotated[
        str, Parameter(help="Only since then: `2h` (ago) or 2026-01-31T12:00:00Z.")
    ] = "",
    until: Annotated[str, Parameter(help="Only before then.")] = "",
    page: Page = PAGE,
    shared: Shared = SHARED,
) -> None:
    """List executions, newest first."""
    query = given(process=process, state=state, environment=environment, key=key)
    query |= given(since=_instant(since), until=_instant(until))
    if track:
        name, equals, value = track.partition("=")
        if not equals or not name:
            raise Failure(
                f"--track {track} names no value",
                then="write it like --track plane=N14228",
                code=ExitCode.WRONG_USAGE,
            )
        query[f"track.{name}"] = value
    with shared.cluster() as cluster:
        answer = cluster.ask(Call("list executions", "GET", _PATH, query=query | page.query()))
    output.show(answer.value, form=shared.output, columns=_COLUMNS)


@app.command
def show(execution: str, *, shared: Shared = SHARED) -> None:
    """Show one execution: state, place, attempts, effects in doubt."""
    with shared.cluster() as cluster:
        answer = cluster.ask(Call(f"show {execution}", "GET", f"{_PATH}/{execution}"))
    output.show(answer.value, form=shared.output)


@app.command
def timeline(execution: str, *, page: Page = PAGE, shared: Shared = SHARED) -> None:
    """Show what happened to an execution, oldest first, also what was refused."""
    with shared.cluster() as cluster:
        answer = _timeline(cluster, execution, page.query())
    if shared.output != "table":
        output.show(answer.value, form=shared.output)
        return
    _print_rows(answer.value["items"])
    if answer.value.get("next"):
        output.talk(f"there is more: add --cursor {answer.value['next']}")


@app.command
def follow(execution: str, *, shared: Shared = SHARED) -> int:
    """Print the timeline as it grows, until the execution has ended or is parked."""
    with shared.cluster() as cluster:
        seen = (0, -1)
        while True:
            ended = _result(cluster, execution, wait_ms=1_000)
            seen = _print_new(cluster, execution, seen)
            if ended.value["state"] not in ACTIVE:
                break
    output.talk(f"{execution} is {ended.value['state']}")
    return _code(ended.value, has_waited=True)


@app.command
def cancel(
    execution: Annotated[str, Parameter(help="Id of the execution.")],
    *,
    reason: Annotated[str, Parameter(help="Why; shown in its timeline.")] = "",
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    shared: Shared = SHARED,
) -> None:
    """Cancel an execution that has not ended."""
    confirm(f"Cancel {execution}? What it has done outside stays done.", is_sure=yes)
    call = Call(
        f"cancel {execution}",
        "POST",
        f"{_PATH}/{execution}/cancel",
        body={"reason": reason},
        is_repeatable=False,
    )
    with shared.cluster() as cluster:
        answer = cluster.ask(call)
    output.show(answer.value, form=shared.output)


@app.command
def resolve(
    execution: Annotated[str, Parameter(help="Id of the execution.")],
    *,
    answer: Annotated[
        tuple[str, ...],
        Parameter(
            help="`EFFECT=ANSWER`, once for each effect; answers are done, not_done, fail, ask."
        ),
    ] = (),
    all_: Annotated[
        str, Parameter(name="--all", help="The same answer for every effect in doubt.")
    ] = "",
    reason: Annotated[str, Parameter(help="How you know; shown in its timeline.")] = "",
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    shared: Shared = SHARED,
) -> None:
    """Say what became of effects in doubt, so that the execution goes on."""
    body: dict[str, Any] = {"reason": reason}
    if answer:
        body["answers"] = [_answer(text) for text in answer]
    if all_:
        body["all"] = all_
    told = all_ or f"{len(answer)} effects one by one"
    confirm(f"Resolve {execution}: {told}? A wrong answer does harm outside.", is_sure=yes)
    call = Call(
        f"resolve {execution}",
        "POST",
        f"{_PATH}/{execution}/resolve",
        body=body,
        is_repeatable=False,
    )
    with shared.cluster() as cluster:
        changed = cluster.ask(call)
    output.show(changed.value, form=shared.output)


@app.command
def signal(
    execution: Annotated[str, Parameter(help="Id of the execution.")],
    name: Annotated[str, Parameter(help="Name of the signal, as its `await` says.")],
    *,
    value: Annotated[str, Parameter(name="--input", help="The payload as JSON.")] = "",
    file: Annotated[
        Path | None,
        Parameter(
            name=["--file", "-f"],
            allow_leading_hyphen=True,
            help="The payload from a JSON file; `-`: standard input.",
        ),
    ] = None,
    correlation: Annotated[
        str, Parameter(help="Which of several documents it is for, as its `await` says.")
    ] = "",
    key: Annotated[
        str | None, Parameter(help="Idempotency key; telling it again with it changes nothing.")
    ] = None,
    shared: Shared = SHARED,
) -> None:
    """Tell an execution something: what its `await` waits for, now or later."""
    call = Call(
        f"signal {execution}",
        "POST",
        f"{_PATH}/{execution}/signals/{name}",
        query=given(correlation=correlation),
        body=inputs.value(value, file),
        key=idempotency_key(key),
    )
    with shared.cluster() as cluster:
        answer = cluster.ask(call)
    output.show(answer.value, form=shared.output)


def _submit_each(
    cluster: Cluster,
    target: dict[str, Any],
    items: list[dict[str, Any]],
    *,
    key: str,
    form: output.Form,
) -> int:
    """One execution per document, in batches whose keys follow from one: all may be repeated."""
    results: list[dict[str, Any]] = []
    for start in range(0, len(items), _BATCH):
        batch = [
            {"idempotency_key": f"{key}/{start + place}", **item}
            for place, item in enumerate(items[start : start + _BATCH])
        ]
        try:
            answer = cluster.ask(
                Call(
                    f"submit {len(batch)} executions to {target['process']}",
                    "POST",
                    f"{_PATH}:batch",
                    body={**target, "submissions": batch},
                )
            )
        except Failure:
            output.talk(f"{start} of {len(items)} were sent; repeat all with --key {key}")
            raise
        results += answer.value["results"]
    refused = [result for result in results if "problem" in result]
    known = sum(result.get("repeated_key", False) for result in results)
    shown = {
        "accepted": len(results) - len(refused),
        "known_already": known,
        "refused": len(refused),
        "key": key,
    }
    output.show({**shown, "results": results} if form != "table" else shown, form=form)
    for result in refused[:10]:
        output.talk(f"{result['idempotency_key']}: {result['problem']['detail']}")
    if any(not result["problem"]["definite"] for result in refused):
        return ExitCode.OUTCOME_UNKNOWN
    return ExitCode.FAILED if refused else ExitCode.DONE


def _wait_on(cluster: Cluster, answer: Answer, *, wait_ms: int) -> Answer:
    while wait_ms > 0 and answer.value["state"] in ACTIVE:
        known = answer.value
        answer = _result(cluster, known["execution"], wait_ms=min(wait_ms, _WAIT_MS_MAX))
        answer = Answer({**known, **answer.value}, answer.status)
        wait_ms -= _WAIT_MS_MAX
    return answer


def _result(cluster: Cluster, execution: str, *, wait_ms: int) -> Answer:
    return cluster.ask(
        Call(
            f"wait for {execution}",
            "GET",
            f"{_PATH}/{execution}/result",
            query=_wait(wait_ms),
            wait_s=wait_ms / 1000,
        )
    )


def _wait(wait_ms: int) -> dict[str, str]:
    return {"wait": f"{min(wait_ms, _WAIT_MS_MAX)}ms"} if wait_ms > 0 else {}


def _timeline(cluster: Cluster, execution: str, query: dict[str, str]) -> Answer:
    return cluster.ask(
        Call(f"show {execution}", "GET", f"{_PATH}/{execution}/timeline", query=query)
    )


def _print_new(cluster: Cluster, execution: str, seen: tuple[int, int]) -> tuple[int, int]:
    cursor = f"{seen[0]}.{seen[1]}" if seen[1] >= 0 else ""
    while True:
        page = _timeline(cluster, execution, given(limit="500", cursor=cursor)).value
        rows = [row for row in page["items"] if (row["index"], row["number"]) > seen]
        _print_rows(rows)
        if rows:
            seen = (rows[-1]["index"], rows[-1]["number"])
        cursor = page.get("next") or ""
        if not cursor:
            return seen


def _print_rows(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        facts = dict(row.get("facts") or {})
        if "duration_us" in facts:
            facts["duration"] = f"{facts.pop('duration_us') / 1000:g}ms"
        told = " ".join(f"{name}={output.cell(name, fact)}" for name, fact in facts.items())
        place = f"{row['node'] or '-'}#{row['attempt']} token={row['token']}"
        when = output.instant(row["at_ms"])
        print(f"{when}  {row['index']:>6} {place:<18} {row['kind']:<12} {told}".rstrip())


def _answer(text: str) -> dict[str, str]:
    effect, equals, answer = text.rpartition("=")
    if not equals or not effect:
        raise Failure(
            f"--answer {text} is not EFFECT=ANSWER",
            then="take the effect key from: molecule execution show",
            code=ExitCode.WRONG_USAGE,
        )
    return {"effect": effect, "answer": answer}


def _instant(text: str) -> str:
    """Milliseconds for `2h` (ago); any other text as it is, the gateway checks it."""
    if re.fullmatch(r"[0-9]+(ms|s|m|h|d)", text):
        return str(time.time_ns() // 1_000_000 - (durations.milliseconds(text) or 0))
    return text


def _code(result: dict[str, Any], *, has_waited: bool) -> ExitCode:
    state = result["state"]
    if state == _DONE:
        return ExitCode.DONE
    if state in ACTIVE and has_waited:
        output.talk(f"still {state}: molecule execution follow {result['execution']}")
        return ExitCode.OUTCOME_UNKNOWN
    return ExitCode.FAILED
