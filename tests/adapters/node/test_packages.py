"""Which packages travel before an order: the version's and its environment's, from this node."""

import pytest

from molecule.model.errors import NotFound
from molecule.node.packages import Packages, StoredPackages
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from tests.adapters.node.one_node import ENVIRONMENT, PACKAGE, SETTINGS, OneNode

NEEDED = [
    w.PutPackage(version="v1", content=PACKAGE),
    w.PutPackage(version=f"environment:{ENVIRONMENT}", content=SETTINGS),
]


def packages(node: OneNode) -> Packages:
    stored = StoredPackages(state=lambda: node.state, store=node.store, payloads=node.payloads)
    return Packages(
        read=stored.read, environment_digest=stored.environment_digest, limits=node.limits
    )


RUN = w.RunExecution(
    process="orders", version="v1", environment=ENVIRONMENT, environment_digest="1"
)
RUN_TRIGGER = w.RunTrigger(
    process="orders", version="v1", environment=ENVIRONMENT, environment_digest="1"
)


@pytest.mark.parametrize("order", [w.ToWorker(run=RUN), w.ToWorker(run_trigger=RUN_TRIGGER)])
async def test_order_needs_its_version_and_its_environment(
    node: OneNode, order: w.ToWorker
) -> None:
    assert await packages(node).needed_by(order) == NEEDED


async def test_question_at_the_door_is_stamped_with_the_settings_of_now(node: OneNode) -> None:
    door = w.EvaluateDoor(process="orders", version="v1", environment=ENVIRONMENT)
    order = w.ToWorker(request=w.WorkerRequest(door=door))
    assert await packages(node).needed_by(order) == NEEDED
    assert order.request.door.environment_digest == "1"


async def test_changed_settings_are_read_again_and_versions_are_not(node: OneNode) -> None:
    known = packages(node)
    run = w.RunExecution(
        process="orders", version="v1", environment=ENVIRONMENT, environment_digest="1"
    )
    await known.needed_by(w.ToWorker(run=run))
    await node.say(
        put_environment=c.PutEnvironment(
            environment=ENVIRONMENT, digest="2", settings=c.Payload(inline=b"others")
        )
    )
    run.environment_digest = "2"
    version, settings = await known.needed_by(w.ToWorker(run=run))
    assert (version.content, settings.content) == (PACKAGE, b"others")


async def test_version_that_is_not_here_yet_is_not_found(node: OneNode) -> None:
    run = w.RunExecution(process="orders", version="v9", environment=ENVIRONMENT)
    with pytest.raises(NotFound, match="version/orders/v9"):
        await packages(node).needed_by(w.ToWorker(run=run))


async def test_what_names_no_version_needs_nothing(node: OneNode) -> None:
    stop = w.ToWorker(stop=w.StopExecution(execution="e1"))
    assert await packages(node).needed_by(stop) == []
