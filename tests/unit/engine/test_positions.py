"""Positions as bytes: what they hold, what they name, what they refuse."""

import orjson
import pytest

from molecule.component.contract import Request
from molecule.engine import positions
from molecule.engine.documents import BLOCK_DOCUMENTS, DocumentList
from molecule.engine.instructions import Commit, Instruction
from molecule.engine.run import ExecutionFacts, Run
from molecule.model.effect import ErrorClass
from molecule.model.errors import DamagedData
from molecule.model.execution import ExecutionState
from molecule.model.ids import EffectKey, ExecutionId
from tests.fakes.executions import Execution, a_process, documents
from tests.fakes.target import Target

TELL = "steps: [{id: tell, type: target.tell}, {id: after, type: target.put}]"
FACTS = ExecutionFacts(ExecutionId("e1"), ExecutionId("e1"), 0, 1, settle_ms=1)
UNKNOWN = ErrorClass.TRANSIENT_UNKNOWN


def in_doubt(value: object) -> Execution:
    target = Target(failures={"tell": [(UNKNOWN, True)]})
    execution = Execution(a_process(TELL), documents(value), target=target)
    assert execution.run().state is ExecutionState.IN_DOUBT
    return execution


def test_people_can_see_what_was_sent() -> None:
    execution = in_doubt({"n": 1})
    found = positions.requests(execution.kept.position, {})
    assert found == {"e1/tell/0": Request("target tell", {"n": 1})}


def test_a_large_request_is_named_by_digest_and_shown_when_it_is_given() -> None:
    large = {"text": "x" * 10_000}
    execution = in_doubt(large)
    kept = execution.kept
    assert positions.requests(kept.position, {}) == {}
    assert positions.requests(kept.position, kept.blobs)[EffectKey("e1/tell/0")].body == large
    assert set(positions.references(kept.position)) <= set(kept.blobs)


def test_small_documents_stand_in_the_position_itself() -> None:
    execution = in_doubt({"n": 1})
    assert positions.references(execution.kept.position) == []


def test_bytes_and_marked_names_survive() -> None:
    value = {"raw": b"\x00\xff", "inner": {"$bytes": "no bytes"}, "digest": "d", "size": 1}
    execution = in_doubt(value)
    execution.answer("e1/tell/0", "done")
    assert execution.run().documents[0].value == value


def test_full_blocks_of_a_list_are_encoded_and_stored_once() -> None:
    stored: list[str] = []

    class Watched(Execution):
        def _obey(self, instruction: Instruction):  # type: ignore[no-untyped-def]
            if isinstance(instruction, Commit):
                stored.extend(blob.digest for blob in instruction.checkpoint.blobs)
            return super()._obey(instruction)

    process = a_process("steps: [{id: put, type: target.put}]")
    limits = Execution(process, ()).limits.model_copy(update={"effects_per_checkpoint_max": 100})
    number = BLOCK_DOCUMENTS * 3
    execution = Watched(process, documents(*({"n": n} for n in range(number))), limits=limits)
    assert len(execution.run().documents) == number
    full = DocumentList(execution.given).blocks()
    assert [stored.count(block.reference.digest) for block in full if block.reference] == [1, 1, 1]


@pytest.mark.parametrize("content", [b"no json", b"[]", b"{}", orjson.dumps({"version": 99})])
def test_a_position_of_another_kind_or_version_is_refused(content: bytes) -> None:
    with pytest.raises(DamagedData):
        positions.references(content)


def test_a_blob_that_is_missing_is_told() -> None:
    execution = in_doubt({"text": "x" * 10_000})
    run = Run(execution.process, FACTS, execution.limits)
    with pytest.raises(DamagedData, match="was not given"):
        positions.restore(run, execution.kept.position, {})
