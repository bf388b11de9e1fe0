"""What a running trigger may ask of the cluster."""

import pytest

from molecule.component.contract import BadRecord, GroupRecord, TriggerSubmission
from molecule.config import Limits
from molecule.model.errors import NotFound
from molecule.model.ids import DocumentId
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker import triggers
from molecule.worker.cluster_clock import ClusterClock
from molecule.worker.kernel import Fenced
from molecule.worker.processing import Processing
from molecule.worker.runner import Services
from molecule.worker.triggers import TriggerRefused, TriggerRunner
from tests.fakes.executions import a_process, documents
from tests.fakes.node_side import HeldLease, OnePackage
from tests.fakes.target import Target


class Heard:
    """Answers with what it was given, then with success; remembers what was said."""

    def __init__(self, *answers: w.CallAnswer) -> None:
        self.said: list[w.FromWorker] = []
        self._answers = list(answers)

    async def call(self, message: w.FromWorker) -> w.CallAnswer:
        self.said.append(message)
        if self._answers:
            return self._answers.pop(0)
        if message.HasField("document_put"):
            answer = w.CallAnswer(done=True)
            answer.reference.digest = "d1"
            return answer
        return w.CallAnswer(done=True, group=w.GroupState(known=True, through=7, open=2))


def a_trigger(heard: Heard, limits: Limits | None = None) -> TriggerRunner:
    order = w.RunTrigger(environment="test", process="story", version="v1", token=4)
    process = a_process("steps: [{id: a, type: log, message: x}]")
    packages = OnePackage(process, Target())
    services = Services(
        heard,
        HeldLease(),
        ClusterClock(),
        packages,
        Processing(),
        limits or Limits(),
        settle_ms=10,
    )
    return TriggerRunner(order, services)


def submissions(number: int, value: object = 1) -> list[TriggerSubmission]:
    return [TriggerSubmission(documents(value), f"key-{at}") for at in range(number)]


GROUP = GroupRecord("g1", "flights.csv", through=3, closed=True)


async def test_submissions_and_progress_go_in_one_message() -> None:
    heard = Heard()
    await a_trigger(heard).submit(submissions(2), GROUP)
    (message,) = heard.said
    asked = message.trigger_submit
    assert [one.idempotency_key for one in asked.submissions] == ["key-0", "key-1"]
    assert {one.trigger_token for one in asked.submissions} == {4}
    assert {one.group for one in asked.submissions} == {"g1"}
    assert (asked.group.through, asked.group.closed, asked.group.trigger_token) == (3, True, 4)


async def test_the_same_documents_have_the_same_body_digest() -> None:
    heard = Heard()
    trigger = a_trigger(heard)
    await trigger.submit(submissions(1))
    await trigger.submit(submissions(1))
    first, second = (message.trigger_submit.submissions[0] for message in heard.said)
    assert first.body_digest == second.body_digest != ""


async def test_many_submissions_go_in_parts_and_the_progress_with_the_last() -> None:
    heard = Heard()
    limits = Limits().model_copy(update={"entry_commands_gathered_max": 2})
    await a_trigger(heard, limits).submit(submissions(5), GROUP)
    parts = [message.trigger_submit for message in heard.said]
    assert [len(part.submissions) for part in parts] == [2, 2, 1]
    assert [part.HasField("group") for part in parts] == [False, False, True]


async def test_records_that_grow_when_they_are_read_go_in_parts_that_fit_into_an_entry() -> None:
    heard = Heard()
    limits = Limits()
    # Names of columns are in every record: a line of 1 KB becomes 10 KB.
    await a_trigger(heard, limits).submit(submissions(1_000, "x" * 10_000), GROUP)
    parts = [message.trigger_submit for message in heard.said]
    assert sum(len(part.submissions) for part in parts) == 1_000
    assert max(part.ByteSize() for part in parts) < limits.entry_bytes_max
    assert [part.HasField("group") for part in parts].index(True) == len(parts) - 1


async def test_progress_alone_can_be_recorded_with_bad_records() -> None:
    heard = Heard()
    bad = BadRecord(DocumentId("r1"), "flights.csv:9", "no number", {"raw": "x"})
    group = GroupRecord("g1", "flights.csv", 3, closed=False, rejected=1, bad_records=(bad,))
    await a_trigger(heard).submit((), group)
    (kept,) = heard.said[0].trigger_submit.group.bad_records
    assert (kept.document, kept.error) == ("r1", "flights.csv:9: no number")


async def test_large_input_is_stored_first() -> None:
    heard = Heard()
    await a_trigger(heard).submit(submissions(1, "x" * 50_000))
    kinds = [message.WhichOneof("kind") for message in heard.said]
    assert kinds == ["document_put", "trigger_submit"]
    assert heard.said[1].trigger_submit.submissions[0].input.stored.digest == "d1"


async def test_a_submit_without_a_sure_answer_is_said_again() -> None:
    heard = Heard(w.CallAnswer(code="no_leader", definite=True))
    await a_trigger(heard).submit(submissions(1))
    assert len(heard.said) == 2


async def test_what_had_no_room_is_said_again_with_all_that_it_was_said_with() -> None:
    full = [w.WordOutcome(applied=True), *(w.WordOutcome(code="overloaded") for _ in range(2))]
    heard = Heard(w.CallAnswer(done=True, outcomes=full))
    await a_trigger(heard).submit(submissions(2), GROUP)
    first, again = heard.said
    assert first.trigger_submit == again.trigger_submit


async def test_a_trigger_that_was_moved_ends_here() -> None:
    moved = w.CallAnswer(done=True, outcomes=[w.WordOutcome(code="stale_token")])
    trigger = a_trigger(Heard(moved))
    begun = 0

    async def run_once() -> None:
        nonlocal begun
        begun += 1
        await trigger.submit(submissions(1))

    trigger._run_once = run_once  # type: ignore[method-assign]
    await trigger.run()
    assert begun == 1


async def test_a_moved_trigger_is_fenced() -> None:
    moved = w.CallAnswer(done=True, outcomes=[w.WordOutcome(code="stale_token")])
    with pytest.raises(Fenced):
        await a_trigger(Heard(moved)).submit(submissions(1))


async def test_another_refusal_is_told() -> None:
    refused = w.CallAnswer(code="limit_exceeded", message="too many", definite=True)
    with pytest.raises(TriggerRefused, match="too many"):
        await a_trigger(Heard(refused)).submit(submissions(1))


async def test_a_refusal_is_told_also_when_the_trigger_passes_it_over() -> None:
    refused = w.CallAnswer(code="limit_exceeded", message="too many", definite=True)
    trigger = a_trigger(Heard(refused))
    with pytest.raises(TriggerRefused):
        await trigger.submit(submissions(1))
    await trigger.submit((), GROUP)
    await trigger.wait(0)
    told = trigger.faring.told()
    assert (told.failures, told.error, told.succeeded_at_ms) == (1, "limit_exceeded: too many", 0)


@pytest.mark.parametrize("round_", ["submits", "waits"])
async def test_what_was_accepted_or_a_whole_round_is_a_success(round_: str) -> None:
    trigger = a_trigger(Heard())
    trigger._clock.hear(1_000)
    trigger.faring.failed(OSError(), "no such folder", now_ms=1)
    trigger.faring.begun_again()
    await (trigger.submit(submissions(1)) if round_ == "submits" else trigger.wait(0))
    told = trigger.faring.told()
    assert (told.failures, told.error) == (0, "no such folder")
    assert told.succeeded_at_ms >= 1_000


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotFound("no such folder"), "no such folder"),
        (ValueError("a fault"), "ValueError: a fault"),
    ],
)
async def test_each_failure_of_a_trigger_is_counted_and_it_begins_again(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "_RESTART_S", 0)
    trigger = a_trigger(Heard())
    begun = 0

    async def run_once() -> None:
        nonlocal begun
        begun += 1
        if begun <= 3:
            # A new one each time, as a real failure is.
            raise type(error)(*error.args)

    trigger._run_once = run_once  # type: ignore[method-assign]
    await trigger.run()
    assert (trigger.faring.told().failures, trigger.faring.told().error) == (3, told)


async def test_without_a_lease_nothing_is_submitted() -> None:
    heard = Heard()
    trigger = a_trigger(heard)
    trigger._lease.is_over = True  # type: ignore[attr-defined]
    with pytest.raises(Fenced):
        await trigger.submit(submissions(1))
    assert heard.said == []


async def test_the_progress_of_a_group_is_asked() -> None:
    progress = await a_trigger(Heard()).group("g1")
    assert (progress.known, progress.through, progress.open) == (True, 7, 2)


async def test_a_group_is_settled_by_a_word_under_the_token() -> None:
    heard = Heard()
    await a_trigger(heard).settle_group("g1")
    said = heard.said[0].word.commands[0].settle_group
    assert (said.group, said.trigger_token) == ("g1", 4)
