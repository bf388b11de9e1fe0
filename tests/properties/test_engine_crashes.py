"""Random small processes, killed at random points: each effect happens as its class promises."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.model.effect import ErrorClass
from molecule.model.execution import ExecutionState
from tests.fakes.executions import Execution, a_process, at_points, documents
from tests.fakes.target import Target
from tests.properties.trees import Numbering, Step, trees, written


def without_reads(execution: Execution) -> list[tuple[str, Any]]:
    """Results without what was read outside: that may be another in another run."""
    found = []
    for document in execution.finishes[-1].documents:
        value = {name: item for name, item in document.value.items() if name != "found"}
        found.append((str(document.id), value))
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
    numbering = Numbering()
    made = numbering.steps(steps, "")
    text = written(made) + "".join(map(written, numbering.called.values()))
    called = {
        name: f"trigger: {{type: called}}\nsteps: {written(inner)}"
        for name, inner in numbering.called.items()
    }
    process = a_process("steps: " + written(made), called=called)
    given_documents = documents(*({"n": n} for n in range(number)))
    calm = Execution(process, given_documents, seed=seed)
    calm.signal("go")
    state = calm.run().state

    once = {step.path for step in process.definition.all_steps() if step.type == "target.tell"}
    target = Target()
    # A document in doubt goes on alone, so where one document's error ends a `try` for all, it
    # fares otherwise than with the others.
    may_doubt = "type: raise" not in text
    for path in sorted(once)[:may_doubt]:
        # Answers that never came: sometimes it had happened, sometimes not.
        target.failures[path] = [(ErrorClass.TRANSIENT_UNKNOWN, was) for was in unknown]
    stormy = Execution(process, given_documents, target=target, crash=at_points(crashes), seed=seed)
    stormy.signal("go")
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
    assert len(stormy.taken) <= 1
