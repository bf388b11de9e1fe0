"""The door for processes: all of a repository becomes active, or nothing of it."""

from collections.abc import Sequence

import orjson
import pytest

from molecule.access.policy import ADMIN, ANONYMOUS
from molecule.config import Limits
from molecule.model.errors import (
    InvalidInput,
    InvalidProcess,
    LimitExceeded,
    Unauthenticated,
)
from molecule.model.ids import ProcessName
from molecule.node.deploy import DeployDoor
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from tests.adapters.node.one_node import ENVIRONMENT, WITHIN_S, OneNode

FILES = {"processes/late.yaml": b"process: late"}
LATE = ProcessName("late")


def a_door(node: OneNode, limits: Limits | None = None) -> DeployDoor:
    return DeployDoor(
        forwarder=node.forwarder,
        payloads=node.payloads,
        ask_worker=node.ask_worker,
        state=lambda: node.state,
        limits=limits or node.limits,
    )


def built(
    package: bytes = b"package of late",
    *,
    process: str = "late",
    addressed: Sequence[str] = (),
    **options: object,
) -> w.WorkerReply:
    version = w.BuiltVersion(
        process=process,
        version="v7",
        options=c.VersionOptions(**options),  # type: ignore[arg-type]  # its fields
        package=package,
        trigger_on=True,
    )
    settings = orjson.dumps({"connections": {name: {} for name in addressed}})
    return w.WorkerReply(versions=[version], environment_settings=settings)


async def test_apply_activates_what_the_worker_built(node: OneNode) -> None:
    node.replies = [built(priority=3, has_trigger=True)]
    told = await a_door(node).apply(ADMIN, ENVIRONMENT, FILES, within_s=WITHIN_S)
    assert told["processes"] == [
        {"process": "late", "version": "v7", "trigger_on": True, "has_trigger": True}
    ]
    assert node.state.deployments[ENVIRONMENT, LATE].version == "v7"
    assert node.asked[0].build.files == FILES


async def test_apply_of_a_large_package_keeps_it_in_the_documents(node: OneNode) -> None:
    large = b"x" * (node.limits.payload_inline_bytes_max + 1)
    node.replies = [built(large)]
    await a_door(node).apply(ADMIN, ENVIRONMENT, FILES, within_s=WITHIN_S)
    row = await node.store.payload("version/late/v7", "package")
    assert row is not None
    assert row.inline is None
    assert await node.payloads.kept(row) == large


async def test_apply_warns_when_another_folder_s_process_loses_its_addresses(
    node: OneNode,
) -> None:
    gates = [c.GatePolicy(connection=name) for name in ("inbox", "store")]
    node.replies = [
        built(process="late", gates=gates, addressed=["inbox", "store"]),
        built(process="greet", addressed=["store"]),
        built(process="late", gates=gates[:1], addressed=["inbox"]),
    ]
    door = a_door(node)
    told = [
        (await door.apply(ADMIN, ENVIRONMENT, FILES, within_s=WITHIN_S))["warnings"]
        for _ in range(3)
    ]
    assert (told[0], told[2]) == ([], [])
    (warning,) = told[1]
    assert warning.startswith("process late is not in this folder and stays active, but ")
    assert f"environments/{ENVIRONMENT}.yaml" in warning
    assert "connection inbox" in warning


async def test_apply_tells_every_finding_and_changes_nothing(node: OneNode) -> None:
    faults = [w.FoundFault(file="a.yaml", line=n, column=1, what="is wrong") for n in (1, 2)]
    node.replies = [w.WorkerReply(code="invalid_process", findings=faults)]
    index = node.state.index
    with pytest.raises(InvalidProcess) as refused:
        await a_door(node).apply(ADMIN, ENVIRONMENT, FILES, within_s=WITHIN_S)
    assert [finding.line for finding in refused.value.findings] == [1, 2]
    assert node.state.index == index


async def test_apply_that_the_worker_could_not_do_is_refused(node: OneNode) -> None:
    node.replies = [w.WorkerReply(code="internal", message="it broke")]
    with pytest.raises(InvalidInput, match="it broke"):
        await a_door(node).apply(ADMIN, ENVIRONMENT, FILES, within_s=WITHIN_S)


async def test_apply_that_the_state_refuses_says_what_is_invalid(node: OneNode) -> None:
    node.replies = [w.WorkerReply(versions=[w.BuiltVersion(process="", version="v7")])]
    with pytest.raises(InvalidInput, match="process is invalid"):
        await a_door(node).apply(ADMIN, ENVIRONMENT, FILES, within_s=WITHIN_S)


async def test_apply_needs_a_right_an_environment_and_files_within_the_limit(
    node: OneNode,
) -> None:
    with pytest.raises(Unauthenticated):
        await a_door(node).apply(ANONYMOUS, ENVIRONMENT, FILES, within_s=WITHIN_S)
    with pytest.raises(InvalidInput, match="environment"):
        await a_door(node).apply(ADMIN, "", FILES, within_s=WITHIN_S)
    narrow = a_door(node, Limits(package_bytes_max=3))
    with pytest.raises(LimitExceeded) as refused:
        await narrow.apply(ADMIN, ENVIRONMENT, FILES, within_s=WITHIN_S)
    assert refused.value.facts["limit"] == "package_bytes_max"
    assert node.asked == []
