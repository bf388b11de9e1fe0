"""What travels with an assignment: enough to begin, or to go on where another node stopped."""

from molecule.model.ids import ExecutionId
from molecule.node import deliveries
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from tests.adapters.node.one_node import NOW_MS, OneNode


async def message(node: OneNode, name: str = "e1") -> w.RunExecution:
    execution = node.state.executions[ExecutionId(name)]
    return deliveries.run_message(
        node.state, await node.store.payloads(deliveries.needed(execution)), execution
    )


async def test_first_delivery_carries_the_input_and_where_to_run_it(node: OneNode) -> None:
    token = await node.start("e1")
    assert await message(node) == w.RunExecution(
        execution="e1",
        token=token,
        attempt=1,
        process="orders",
        version="v1",
        environment="test",
        environment_digest="1",
        input=b"[]",
        submitted_at_ms=NOW_MS,
        origin="e1",
        cluster_time_ms=NOW_MS,
    )


async def test_input_in_the_documents_travels_as_its_reference(node: OneNode) -> None:
    reference = c.DocumentRef(digest="ab" * 32, size_bytes=70_000)
    await node.start("e1", input=c.Payload(stored=reference))
    run = await message(node)
    assert (run.input, run.input_ref.stored) == (b"", reference)


async def test_delivery_after_a_checkpoint_carries_its_position(node: OneNode) -> None:
    token = await node.start("e1")
    await node.say(
        record_checkpoint=c.RecordCheckpoint(
            execution="e1", token=token, sequence=1, position=c.Payload(inline=b"here")
        )
    )
    run = await message(node)
    assert (run.sequence, run.position) == (1, b"here")


async def test_delivery_tells_the_effects_that_nobody_confirmed(node: OneNode) -> None:
    token = await node.start("e1")
    intent = c.Intent(
        effect_key="k",
        step="tell",
        effect="once",
        timeout_ms=5_000,
        request=c.DocumentRef(digest="ab" * 32, size_bytes=9),
    )
    await node.say(record_intents=c.RecordIntents(execution="e1", token=token, intents=[intent]))
    (known,) = (await message(node)).open_intents
    assert (known.intent.effect_key, known.token) == ("k", token)
    assert known.intent.request == intent.request


async def test_deadline_travels_as_the_time_that_is_left(node: OneNode) -> None:
    await node.deploy("hurried", timeout_ms=10_000)
    await node.start("e1", process="hurried")
    node.at_ms += 4_000
    await node.submit("another")
    assert (await message(node)).deadline_in_ms == 6_000


async def test_deadline_that_has_passed_leaves_one_millisecond_not_none(node: OneNode) -> None:
    await node.deploy("hurried", timeout_ms=10_000)
    await node.start("e1", process="hurried")
    node.at_ms += 60_000
    await node.submit("another")
    assert (await message(node)).deadline_in_ms == 1


async def test_who_has_a_worker_of_its_own_from_the_first_attempt_on_is_told(node: OneNode) -> None:
    await node.deploy("apart", isolation="process")
    await node.start("e1", process="apart")
    run = await message(node)
    assert (run.attempt, run.alone, run.careful) == (1, True, False)


async def test_after_the_death_of_a_worker_local_steps_run_one_at_a_time(node: OneNode) -> None:
    token = await node.start("e1")
    held = c.ReportWorkerDeath.Held(execution="e1", token=token)
    await node.say(report_worker_death=c.ReportWorkerDeath(node="n1", incarnation=1, held=[held]))
    run = await message(node)
    assert (run.alone, run.careful) == (False, True)
