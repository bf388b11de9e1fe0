"""Executions through the runner, against a node's side in memory."""

import asyncio

import pytest

from molecule.config import Limits
from molecule.model import payload
from molecule.rpc import errors
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from tests.fakes.executions import a_process, documents
from tests.fakes.node_side import NodeSide, OwnerDied, Owners
from tests.fakes.target import Target
from tests.unit.engine.test_ten_steps import EFFECTS, ONCE, TEN

LATE = """
steps:
  - id: late
    type: decision
    if: minutes > 15
    then: [{id: store, type: target.put}, {id: tell, type: target.tell}]
"""
TELL = "steps: [{id: tell, type: target.tell}]"


def owners(steps: str, *values: object, node: NodeSide | None = None) -> Owners:
    return Owners(a_process(steps), documents(*values), node or NodeSide())


async def test_an_execution_without_effects_says_one_word() -> None:
    found = owners(LATE, {"minutes": 3})
    ended = await found.run()
    assert (ended.state, found.node.words) == ("COMPLETED", 1)
    assert [document.value for document in found.node.results()] == [{"minutes": 3}]


async def test_a_late_flight_costs_one_commit_and_the_completion() -> None:
    found = owners(LATE, {"minutes": 42})
    ended = await found.run()
    assert (ended.state, found.node.words) == ("COMPLETED", 2)
    assert found.target.keys() == ["e1/late/store/0", "e1/late/tell/0"]
    assert found.node.steps == ["late", "late/store", "late/tell"]


async def test_many_documents_go_beside_each_other() -> None:
    found = owners(
        "steps: [{id: each, type: foreach, at_once: 5, steps: [{id: tell, type: target.tell}]}]",
        *range(20),
    )
    await found.run()
    assert found.target.step_counts() == {"each/tell": 20}
    assert found.node.words < 20


async def test_large_documents_are_stored_before_the_word_that_names_them() -> None:
    large = {"text": "x" * 50_000}
    found = owners(LATE.replace("minutes > 15", "true"), large)
    await found.run()
    assert found.node.store
    assert found.node.results()[0].value == large


async def test_a_position_that_was_stored_is_fetched_again() -> None:
    died = False

    def after(message: w.FromWorker) -> None:
        nonlocal died
        if message.HasField("word") and not died:
            died = True
            raise OwnerDied

    found = owners(LATE.replace("minutes > 15", "true"), {"text": "x" * 50_000})
    found.node.after = after
    ended = await found.run()
    # It died between intent and send, and there is no verify.
    assert ended.state == "IN_DOUBT"


@pytest.mark.parametrize("code", ["stale_token", "unknown_execution"])
async def test_a_word_refused_by_token_stops_the_execution_in_silence(code: str) -> None:
    node = NodeSide(answers=[w.CallAnswer(done=True, outcomes=[w.WordOutcome(code=code)])])
    found = owners(TELL, 1, node=node)
    await found.attempt()
    assert found.target.received == []
    assert (node.words, node.ended) == (0, None)


@pytest.mark.parametrize("code", ["outcome_unknown", "internal"])
async def test_a_word_without_a_sure_answer_is_said_again(code: str) -> None:
    kind = errors.classes()[code]
    unsure = w.CallAnswer(code=code, definite=kind.definite)
    found = owners(TELL, 1, node=NodeSide(answers=[unsure]))
    ended = await found.run()
    assert ended.state == "COMPLETED"
    assert found.target.keys() == ["e1/tell/0"]


async def test_a_word_refused_for_another_reason_ends_the_execution_as_failed() -> None:
    refused = w.CallAnswer(done=True, outcomes=[w.WordOutcome(code="limit", message="too many")])
    found = owners(TELL, 1, node=NodeSide(answers=[refused]))
    ended = await found.run()
    assert (ended.state, ended.error_code) == ("FAILED", "word_refused")
    assert found.target.received == []


async def test_without_a_lease_nothing_is_sent() -> None:
    found = owners(TELL, 1)
    found.lease.is_over = True
    await found.attempt()
    assert found.target.received == []
    assert found.node.ended is None


async def test_without_a_lease_nothing_that_runs_beside_is_sent_either() -> None:
    found = owners(
        "steps: [{id: each, type: foreach, at_once: 5, steps: [{id: put, type: target.put}]}]",
        *range(9),
    )
    found.lease.is_over = True
    await found.attempt()
    assert found.target.received == []
    assert found.node.ended is None


async def test_a_careful_attempt_tells_each_step_before_it_runs_and_its_end() -> None:
    found = owners(LATE, {"minutes": 42})
    found.is_careful = True
    await found.run()
    assert found.told_steps[:4] == ["reading", "", "late", ""]
    assert set(found.told_steps) == {"reading", "late", "late/store", "late/tell", ""}


async def test_an_attempt_after_a_lost_node_is_not_slowed_down() -> None:
    found = owners(LATE, {"minutes": 42})
    found.attempt_number = 2
    await found.run()
    assert found.told_steps == []


async def test_a_stopped_execution_sends_nothing_more() -> None:
    found = owners(TELL, 1)
    started, found.node.hold = asyncio.Event(), asyncio.Event()
    found.node.before = lambda _message: started.set()
    running = asyncio.ensure_future(found.attempt())
    await started.wait()
    running.cancel()
    found.node.hold.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert found.target.received == []


async def test_between_the_loss_of_its_token_and_the_end_of_its_task_nothing_is_sent() -> None:
    found = owners(TELL, 1)
    found.node.after = lambda _message: found.stop()
    await found.attempt()
    assert list(found.node.intents) == ["e1/tell/0"], "it was about to be sent"
    assert found.target.received == []
    assert found.node.ended is None


async def test_an_execution_that_tries_another_one_again_has_its_effect_keys() -> None:
    found = owners(LATE, {"minutes": 42})
    found.origin = "e0"
    await found.run()
    assert found.target.keys() == ["e0/late/store/0", "e0/late/tell/0"]


async def test_an_unreadable_input_fails_the_execution() -> None:
    found = owners(TELL, 1)
    found.input = b"no"
    ended = await found.run()
    assert (ended.state, ended.error_code) == ("FAILED", "invalid_input")


async def test_failed_documents_are_said_as_dead_letters() -> None:
    found = owners("steps: [{id: bad, type: raise, code: X, on_error: dead_letter}]", {"n": 1})
    ended = await found.run()
    assert ended.state == "COMPLETED"
    assert [(d.document, d.step, d.error_code) for d in found.node.dead_letters] == [
        ("0", "bad", "X")
    ]


async def test_dead_letters_that_are_too_much_for_an_entry_are_stored() -> None:
    values = [{"text": "x" * 10_000} for _ in range(500)]
    steps = "steps: [{id: bad, type: raise, code: X, on_error: dead_letter}]"
    found = owners(steps, *values)
    said: list[int] = []
    found.node.before = lambda message: said.append(message.ByteSize())
    await found.run()
    kinds = [one.payload.WhichOneof("body") for one in found.node.dead_letters]
    assert (kinds.count("inline") > 0, kinds.count("stored") > 0, len(kinds)) == (True, True, 500)
    assert max(said) < Limits().entry_bytes_max


async def test_ten_steps_with_the_owner_killed_at_every_message() -> None:
    process = a_process(TEN)
    number = 0
    while True:
        passed = 0
        died = False

        def point(message: w.FromWorker, limit: int = number) -> None:
            nonlocal passed, died
            del message
            passed += 1
            if passed == limit + 1 and not died:
                died = True
                raise OwnerDied

        target = Target()
        node = NodeSide(before=point, after=point)
        found = Owners(process, documents({"n": 1}), node, target=target, limits=Limits())
        ended = await found.run()
        assert ended.state == "COMPLETED", number
        counts = target.step_counts()
        assert all(counts[step] == 1 for step in ONCE), (number, counts)
        assert all(1 <= counts[step] <= 2 for step in EFFECTS), (number, counts)
        if not died:
            break
        number += 1
    assert number > 10


MANY = "steps: [{id: each, type: foreach, at_once: 3, steps: [{id: tell, type: target.tell}]}]"


async def drained(found: Owners, *, at: int, at_once: bool = False) -> None:
    """Run one owner, and ask it to hand back while its n-th word is under way."""
    words = 0

    def asking(message: w.FromWorker) -> None:
        nonlocal words
        words += message.HasField("word")
        if message.HasField("word") and words == at:
            found.hand_back(at_once=at_once)

    found.node.before = asking
    try:
        await found.attempt()
    finally:
        found.node.before = lambda _message: None


@pytest.mark.parametrize("steps", [TEN, MANY, TELL], ids=["ten", "many", "one"])
@pytest.mark.parametrize("at", range(1, 9))
async def test_an_execution_handed_back_at_any_word_leaves_no_doubt(steps: str, at: int) -> None:
    found = owners(steps, *({"n": number} for number in range(6)))
    await drained(found, at=at)
    assert found.node.ended is not None
    if found.node.ended.state == "PENDING":
        assert found.node.ended.reason == "drained"
        assert all(how for _, how in found.node.intents.values())
    ended = await found.run()
    assert ended.state == "COMPLETED"
    assert len(set(found.target.keys())) == len(found.target.keys())


async def test_an_execution_handed_back_begins_nothing_more() -> None:
    found = owners(TEN, {"n": 1})
    await drained(found, at=1)
    assert found.node.ended is not None
    assert found.node.ended.state == "PENDING"
    # Only what was announced to the cluster before, and what had left already.
    assert len(found.target.received) < len(EFFECTS) / 2


async def test_an_execution_that_must_stop_at_once_says_so_in_the_middle_of_a_request() -> None:
    found = owners(TELL, 1)
    found.target.hold = asyncio.Event()
    running = asyncio.ensure_future(found.attempt())
    await found.target.reached.wait()
    found.hand_back(at_once=True)
    await running
    assert found.node.ended is not None
    assert found.node.ended.state == "PENDING"
    # Whether it arrived is not known: the next owner must ask.
    assert [how for _, how in found.node.intents.values()] == [""]


async def test_a_long_wait_ends_the_attempt_with_its_instant() -> None:
    found = owners("steps: [{id: rest, type: wait, until: due}]", {"due": 1_700_000_060_000})
    await found.attempt()
    ended = found.node.ended
    assert ended is not None
    assert (ended.state, ended.reason, ended.step) == ("WAITING", "timer", "rest")
    assert (ended.wait_until_ms, ended.until_released) == (1_700_000_060_000, False)
    found.now_ms = 1_700_000_060_000
    assert (await found.run()).state == "COMPLETED"
    assert found.attempts == 2


async def test_an_await_says_its_signal_and_a_later_owner_is_given_it() -> None:
    found = owners(
        "steps: [{id: answer, type: await, signal: go, correlation: no}, "
        "{id: tell, type: target.tell}]",
        {"no": "7"},
    )
    await found.attempt()
    ended = found.node.ended
    assert ended is not None
    assert [(one.name, one.correlation) for one in ended.awaited] == [("go", "7")]
    content = payload.encode_value({"by": "ann"})
    large = payload.encode_value({"large": "x" * 50_000})
    found.node.signals = [
        w.SignalArrived(id="s1", name="go", correlation="8", payload=c.Payload(inline=content)),
        w.SignalArrived(
            id="s2", name="go", correlation="7", payload=c.Payload(stored=found.node.keep(large))
        ),
    ]
    assert (await found.run()).state == "COMPLETED"
    assert found.node.results()[0].value == {"large": "x" * 50_000}
    assert [signal.id for signal in found.node.signals] == ["s1"]
