"""Answers to HTTP callers in the replicated state: the first one counts, whoever says it."""

from molecule.cluster import answers, restoring, rows
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import Replica, reason


def an_answer(status: int = 200, body: bytes = b"hi") -> wire.HttpAnswer:
    return wire.HttpAnswer(status=status, body=body)


def a_checkpoint(token: int, sequence: int, answer: wire.HttpAnswer) -> wire.RecordCheckpoint:
    return wire.RecordCheckpoint(
        execution="e1",
        token=token,
        sequence=sequence,
        position=wire.Payload(inline=b"p"),
        answer=answer,
    )


def test_first_answer_is_kept_and_waiters_are_told() -> None:
    replica = Replica()
    token = replica.start("e1")
    result = replica.result(record_checkpoint=a_checkpoint(token, 1, an_answer()))
    assert result.changes.answered == [ExecutionId("e1")]
    kept = [row.payload for row in result.changes.payloads if row.slot == answers.SLOT]
    assert len(kept) == 1
    told = wire.HttpAnswer.FromString(wire.Payload.FromString(kept[0] or b"").inline)
    assert told == an_answer()


def test_later_answer_leaves_only_a_line() -> None:
    replica = Replica()
    token = replica.start("e1")
    replica.say(record_checkpoint=a_checkpoint(token, 1, an_answer()))
    end = wire.EndAttempt(execution="e1", token=token, state="COMPLETED", answer=an_answer(500))
    result = replica.result(end_attempt=end)
    assert result.changes.answered == []
    assert all(row.slot != answers.SLOT for row in result.changes.payloads)
    assert "answer_ignored" in [row.kind for row in result.changes.timeline]


def test_answer_of_an_old_owner_is_refused_with_its_word() -> None:
    replica = Replica()
    token = replica.start("e1")
    refused = replica.result(record_checkpoint=a_checkpoint(token - 1, 1, an_answer()))
    assert (reason(refused.outcomes[0]), refused.changes.answered) == ("stale_token", [])


def test_answer_that_no_gateway_could_send_is_refused() -> None:
    replica = Replica()
    token = replica.start("e1")
    for answer in (an_answer(99), an_answer(body=b"x" * answers.BYTES_MAX)):
        said = replica.say(record_checkpoint=a_checkpoint(token, 1, answer))
        assert reason(said) == "invalid"


def test_that_there_was_an_answer_survives_a_snapshot() -> None:
    replica = Replica()
    token = replica.start("e1")
    replica.say(record_checkpoint=a_checkpoint(token, 1, an_answer()))
    restored = restoring.state_from(rows.every(replica.state), index=replica.state.index)
    progress = restored.executions[ExecutionId("e1")].progress
    assert progress is not None
    assert progress.answered
