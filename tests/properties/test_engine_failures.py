"""Random small processes whose targets fail: no document is lost or doubled, no effect repeated."""

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.definition.definition import MaxFailed
from molecule.engine.documents import lineage
from molecule.model.effect import ErrorClass
from molecule.model.execution import ExecutionState
from molecule.model.ids import DocumentId
from tests.fakes.executions import Execution, a_process, at_points, documents
from tests.fakes.target import Target
from tests.properties.trees import Numbering, Step, trees, written

DONE = (ExecutionState.COMPLETED, ExecutionState.FAILED)
FAILURES = (
    (ErrorClass.TRANSIENT_DEFINITE, False),
    (ErrorClass.PERMANENT, False),
    (ErrorClass.DATA, False),
    (ErrorClass.TRANSIENT_UNKNOWN, True),
    (ErrorClass.TRANSIENT_UNKNOWN, False),
)
ON_ERROR = ("fail", "fail", "fail_document", "dead_letter", "continue")


def harsher(steps: list[Step], chance: random.Random) -> list[Step]:
    """The same where errors are dealt with in many ways; nothing ends a document silently."""
    found = []
    for step in steps:
        made: Step = {**step}
        if made["type"] in {"filter", "return"}:
            made = {"id": made["id"], "type": "set", "set": {"p": "n"}}
        if chance.random() < 0.4:
            made["on_error"] = chance.choice(ON_ERROR)
        if made["type"] == "target.tell" and chance.random() < 0.5:
            made.pop("verify")
        if made["type"] == "parallel" and "take" not in made:
            made["wait_for"] = chance.choice(["all", "any", 1])
        made.pop("take", None)
        for name in ("then", "else", "default", "steps", "body"):
            if isinstance(made.get(name), list):
                made[name] = harsher(made[name], chance)
        if "paths" in made:
            made["paths"] = {
                name: harsher(part, chance)
                if isinstance(part, list)
                else {**part, "steps": harsher(part["steps"], chance)}
                for name, part in made["paths"].items()
            }
        if "catch" in made:
            caught = harsher(made["catch"][0]["steps"], chance)
            made["catch"] = [
                {"errors": chance.choice([["X"], ["permanent", "data"]]), "steps": caught}
            ]
            if chance.random() < 0.5:
                name = f"{made['id']}-last"
                made["finally"] = [{"id": name, "type": "target.tell"}]
        found.append(made)
    return found


def origin(document: Any, given_ids: set[str]) -> str:
    return next(str(name) for name in lineage(DocumentId(document)) if name in given_ids)


@settings(max_examples=200, deadline=None)
@given(
    steps=trees(),
    number=st.integers(1, 4),
    crashes=st.sets(st.integers(0, 120), max_size=4),
    seed=st.integers(0, 100_000),
)
def test_nothing_is_lost_or_doubled_whatever_fails(
    steps: list[Step], number: int, crashes: set[int], seed: int
) -> None:
    chance = random.Random(seed)
    numbering = Numbering()
    made = harsher(numbering.steps(steps, ""), chance)
    called = {
        name: f"trigger: {{type: called}}\nsteps: {written(harsher(inner, chance))}"
        for name, inner in numbering.called.items()
    }
    process = a_process("steps: " + written(made), called=called, max_failed=MaxFailed(1_000))
    once = {step.path for step in process.definition.all_steps() if step.type == "target.tell"}
    target = Target()
    for step in process.definition.all_steps():
        if step.type in {"target.tell", "target.put"} and chance.random() < 0.5:
            target.failures[step.path] = chance.choices(FAILURES, k=chance.randint(1, 3))
    values = documents(*({"n": n} for n in range(number)))
    execution = Execution(process, values, target=target, crash=at_points(crashes), seed=seed)

    finish = execution.run()
    while finish.state not in DONE:
        open_ = [key for key, known in execution.kept.intents.items() if known == ""]
        assert open_, "in doubt about nothing"
        for key in chance.sample(open_, chance.randint(1, len(open_))):
            execution.answer(key, "done" if key in dict(target.received) else "not_done")
        finish = execution.run()

    assert execution.kept.intents == {}
    arrived = Counter(str(key) for key, _ in target.received)
    for name, count in arrived.items():
        if name.split("/", 1)[1].rsplit("/", 1)[0] in once:
            assert count == 1, f"{name} arrived {count} times"
    if finish.state is ExecutionState.COMPLETED:
        ids = {str(document.id) for document in values}
        ends = [origin(document.id, ids) for document in finish.documents]
        # Several paths may each have failed one document.
        failed = {origin(letter, ids) for letter in execution.letters}
        assert sorted([*ends, *failed]) == sorted(ids)
