"""Random small processes, killed at random points: each effect happens as its class promises."""

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.model.effect import ErrorClass
from molecule.model.execution import ExecutionState
from tests.fakes.executions import Execution, a_process, at_points, documents
from tests.fakes.target import Target

Step = dict[str, Any]
LEAVES = ("map", "put", "tell", "read", "set", "filter")
BLOCKS = ("decision", "foreach", "try", "route", "branch", "parallel")
PATHS = ("then", "else", "steps", "body", "default")


def leaf(kind: str, id_: str) -> Step:
    match kind:
        case "map":
            return {"id": id_, "type": "map", "to": {"n": "n + 10", "found": "found"}}
        case "put":
            return {"id": id_, "type": "target.put", "body": "[n, found.seen]"}
        case "tell":
            return {"id": id_, "type": "target.tell", "body": "[n, found.seen]"}
        case "read":
            return {"id": id_, "type": "target.read", "output": {"into": "found"}}
        case "set":
            return {"id": id_, "type": "set", "set": {"p": "n"}}
        case _:
            return {"id": id_, "type": "filter", "if": "n % 10 != 3"}


@st.composite
def trees(draw: st.DrawFn, depth: int = 2) -> list[Step]:
    """A list of steps without ids."""
    kinds = [*LEAVES, *(BLOCKS if depth else ())]
    steps: list[Step] = []
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4 if depth else 3)):
        match kind:
            case "decision":
                steps.append(
                    {
                        "type": "decision",
                        "if": f"n % 10 < {draw(st.integers(0, 4))}",
                        "then": draw(trees(depth=depth - 1)),
                        "else": draw(trees(depth=depth - 1)),
                    }
                )
            case "route":
                steps.append(
                    {
                        "type": "route",
                        "by": "n % 3",
                        "paths": {
                            "inline": {"is": ["0"], "steps": draw(trees(depth=depth - 1))},
                            "request": {"if": "n % 3 = 1", "steps": draw(trees(depth=depth - 1))},
                        },
                        "default": draw(trees(depth=depth - 1)),
                    }
                )
            case "branch" | "parallel":
                names = ["inline", "request", "digest"][: draw(st.integers(1, 3))]
                take = draw(st.sampled_from([None, *names]))
                steps.append(
                    {
                        "type": kind,
                        "paths": {name: draw(trees(depth=depth - 1)) for name in names},
                        **({"take": take} if take else {}),
                    }
                )
            case "foreach":
                steps.append(
                    {
                        "type": "foreach",
                        "size": draw(st.integers(1, 2)),
                        "at_once": draw(st.integers(1, 3)),
                        "steps": draw(trees(depth=depth - 1)),
                    }
                )
            case "try":
                body = draw(trees(depth=depth - 1))
                if draw(st.booleans()):
                    body.append({"type": "raise", "code": "X", "when": "n % 10 = 1"})
                steps.append(
                    {
                        "type": "try",
                        "body": body,
                        "catch": [{"errors": ["X"], "steps": draw(trees(depth=0))}],
                    }
                )
            case _:
                steps.append({"leaf": kind})
    return steps


def numbered(steps: list[Step], above: str, count: list[int]) -> list[Step]:
    """The same with ids, and each `tell` with a `verify` that names its path."""
    found = []
    for step in steps:
        count[0] += 1
        id_ = f"s{count[0]}"
        path = f"{above}/{id_}" if above else id_
        if "leaf" in step:
            made = leaf(step["leaf"], id_)
            if step["leaf"] == "tell":
                made["retry"] = {"max": 5, "first": "1s", "errors": ["transient.definite"]}
                made["verify"] = {
                    "steps": [{"id": f"ask-{id_}", "type": "target.ask", "of": path}],
                    "done_if": "count > 0",
                    "not_done_if": "count = 0",
                }
            found.append(made)
            continue
        made = {"id": id_, **step}
        for name in PATHS:
            if name in made:
                made[name] = numbered(made[name], path, count)
        if "paths" in made:
            made["paths"] = {
                name: numbered(part, path, count)
                if isinstance(part, list)
                else {**part, "steps": numbered(part["steps"], path, count)}
                for name, part in made["paths"].items()
            }
        if "catch" in made:
            made["catch"] = [
                {**item, "steps": numbered(item["steps"], path, count)} for item in made["catch"]
            ]
        found.append(made)
    return found


def without_reads(execution: Execution) -> list[tuple[str, Any]]:
    """Results without what was read outside: that may be another in another run."""
    found = []
    for document in execution.finishes[-1].documents:
        value = {name: item for name, item in document.value.items() if name != "found"}
        found.append((str(document.id), value))
    return found


def once_keys(process_steps: list[Step], above: str = "") -> set[str]:
    found = set()
    for step in process_steps:
        path = f"{above}/{step['id']}" if above else step["id"]
        if step["type"] == "target.tell":
            found.add(path)
        for name in PATHS:
            inner = step.get(name, [])
            found |= once_keys(inner, path) if isinstance(inner, list) else set()
        for part in step.get("paths", {}).values():
            found |= once_keys(part if isinstance(part, list) else part["steps"], path)
        for item in step.get("catch", []):
            found |= once_keys(item["steps"], path)
    return found


@settings(max_examples=150, deadline=None)
@given(
    steps=trees(),
    number=st.integers(1, 5),
    crashes=st.sets(st.integers(0, 150), max_size=6),
    unknown=st.lists(st.booleans(), max_size=2),
    seed=st.integers(0, 1_000),
)
def test_effects_happen_as_promised_whatever_the_crashes(
    steps: list[Step], number: int, crashes: set[int], unknown: list[bool], seed: int
) -> None:
    made = numbered(steps, "", [0])
    text = yaml.safe_dump(made, default_flow_style=True, width=10**6)
    process = a_process("steps: " + text)
    given_documents = documents(*({"n": n} for n in range(number)))
    calm = Execution(process, given_documents, seed=seed)
    state = calm.run().state

    once = once_keys(made)
    target = Target()
    # A document in doubt goes on alone, so where one document's error ends a `try` for all, it
    # fares otherwise than with the others.
    may_doubt = "type: raise" not in text
    for path in sorted(once)[:may_doubt]:
        # Answers that never came: sometimes it had happened, sometimes not.
        target.failures[path] = [(ErrorClass.TRANSIENT_UNKNOWN, was) for was in unknown]
    stormy = Execution(process, given_documents, target=target, crash=at_points(crashes), seed=seed)
    finish = stormy.run()

    assert finish.state is state is ExecutionState.COMPLETED
    assert without_reads(stormy) == without_reads(calm)
    assert set(target.keys()) == set(calm.target.keys())
    for key in set(target.keys()):
        path = key.split("/", 1)[1].rsplit("/", 1)[0]
        sent = [content for name, content in target.received if name == key]
        assert len(set(sent)) == 1, f"{key} was sent with other bytes: {sent}"
        if path in once:
            assert len(sent) == 1, f"{key} arrived {len(sent)} times"
    assert stormy.kept.intents == {}
