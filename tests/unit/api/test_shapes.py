"""What OpenAPI says the node process answers is what its read models give, field for field."""

from typing import Any

import pytest
from pydantic import BaseModel

from molecule.api import shapes
from molecule.cluster import views
from molecule.cluster.execution import (
    Execution,
    Intent,
    PayloadMark,
    Progress,
)
from molecule.cluster.state import (
    ClusterState,
    Deployment,
    Group,
    Node,
    Version,
)
from molecule.config import NodeConfig, TlsFiles
from molecule.model.effect import Effect
from molecule.model.execution import ExecutionState
from molecule.model.ids import (
    EffectKey,
    ExecutionId,
    GroupId,
    IdempotencyKey,
    Incarnation,
    NodeId,
    ProcessName,
    Token,
    VersionId,
)
from molecule.node.reads import Reads
from tests.fakes.triggers import untold

ECHO = ProcessName("echo")
V1 = VersionId("ab" * 32)


def _state() -> ClusterState:
    state = ClusterState(leader=NodeId("n1"))
    state.nodes[NodeId("n1")] = Node(
        id=NodeId("n1"),
        life="l1",
        incarnation=Incarnation(1),
        labels={"zone": "a"},
        zone="a",
        slots=8,
        rpc_address="127.0.0.1:1",
        http_address="127.0.0.1:2",
        software="0.1",
        voter=True,
        registered_at_ms=1,
    )
    state.versions[ECHO, V1] = Version(
        process=ECHO,
        id=V1,
        failover="resume",
        keyed=False,
        concurrency_limit=0,
        timeout_ms=0,
        crash_budget=3,
        priority=0,
        require={},
        prefer={},
        has_trigger=False,
        on_dead_letter="continue",
        tracked=False,
        hold_for_ms=600_000,
        isolation="shared",
        overlap="allow",
        on_park="block",
        share=1,
        zone="",
        spread="",
        package=PayloadMark(3),
        put_at_ms=1,
        actor="token/admin",
    )
    state.deployments["dev", ECHO] = Deployment("dev", ECHO, V1, False, 1, "token/admin")
    state.groups[GroupId("g1")] = Group(GroupId("g1"), "dev", ECHO)
    state.executions[ExecutionId("e1")] = _in_doubt()
    return state


def _in_doubt() -> Execution:
    intent = Intent(
        effect_key=EffectKey("e1/tell/0"),
        step="tell",
        document="0",
        effect=Effect.ONCE,
        target="https://desk/late",
        request_digest="cd" * 32,
        request_size_bytes=9,
        verifiable=True,
        token=Token(4),
        recorded_at_ms=1,
        deadline_at_ms=2,
    )
    return Execution(
        id=ExecutionId("e1"),
        environment="dev",
        process=ECHO,
        version=V1,
        idempotency_key=IdempotencyKey("k1"),
        body_digest=b"",
        concurrency_key="",
        group=GroupId(""),
        origin="",
        actor="token/admin",
        track=(("plane", "N14228"),),
        input=PayloadMark(2),
        priority=0,
        accepted_at_ms=1,
        deadline_at_ms=0,
        accepted_serial=1,
        state=ExecutionState.IN_DOUBT,
        progress=Progress(intents={intent.effect_key: intent}),
    )


def _told(value: Any, model: type[BaseModel]) -> None:
    """Everything that is required is there, and nothing is there that is not documented."""
    told = model.model_validate(value)
    assert _undocumented(told) == []


def _undocumented(told: BaseModel) -> list[str]:
    found = list(told.model_extra or {})
    for name in type(told).model_fields:
        inner = getattr(told, name)
        for item in inner if isinstance(inner, list) else [inner]:
            if isinstance(item, BaseModel):
                found += [f"{name}.{extra}" for extra in _undocumented(item)]
    return found


def test_execution_is_told_as_its_view_gives_it() -> None:
    state = _state()
    _told(views.execution(state, state.executions[ExecutionId("e1")]), shapes.Execution)


@pytest.mark.parametrize(
    ("resource", "name", "model"),
    [
        ("cluster", "", shapes.ClusterShape),
        ("nodes", "", shapes.NodePage),
        ("node", "n1", shapes.NodeShape),
        ("processes", "", shapes.ProcessPage),
        ("process", "echo", shapes.ProcessShape),
        ("execution", "e1", shapes.Execution),
    ],
)
async def test_resource_is_told_as_the_node_process_gives_it(
    resource: str, name: str, model: type[BaseModel]
) -> None:
    config = NodeConfig(
        id="n1",
        data="data",
        tls=TlsFiles(ca="ca", certificate="c", key="k"),
        admin_token_file="t",
    )
    unused: Any = None
    state = _state()
    reads = Reads(
        config=config,
        state=lambda: state,
        store=unused,
        payloads=unused,
        leader=lambda: "n1",
        members=lambda: {"voters": ["n1"], "learners": []},
        triggers=untold(),
    )

    _told(await reads.read(resource, name, {}), model)
