"""`molecule chaos` on real nodes: what it breaks is confirmed; what is not, proves nothing."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")

RUN_WITHIN_S = 120.0


async def molecule(*tokens: str, folder: Path) -> tuple[int | None, str]:
    """Exit code and talk of a command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "molecule",
        "chaos",
        *tokens,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(RUN_WITHIN_S):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


def report(folder: Path) -> dict[str, Any]:
    """What `report` wrote."""
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert isinstance(told, dict)
    return told


async def test_a_node_is_killed_and_one_frozen_and_every_promise_is_kept(
    cluster: Cluster, tmp_path: Path
) -> None:
    context = str(cluster.local.place.folder / "context.json")
    faults = ("--faults", "kill,freeze", "--minutes", "0.01", "--seed", "3", "--out", "run")

    code, said = await molecule("run", *faults, "--context", context, folder=tmp_path)
    assert code == 0, said
    code, said = await molecule("report", "run", folder=tmp_path)
    assert code == 0, said

    told = report(tmp_path / "run")
    assert told["verdict"] == "kept"
    seen = {fault["kind"]: fault["evidence"] for fault in told["faults"] if fault["confirmed"]}
    assert seen["kill"]["processes_left"] == 0
    assert seen["freeze"]["until_the_end"] > 0
    assert told["acknowledged"] == told["ended"]["COMPLETED"]
    assert not Path(f"{context}.chaos-unhealed").exists()


async def test_a_hook_that_does_nothing_makes_the_run_prove_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    place = cluster.local.place
    context = json.loads((place.folder / "context.json").read_text(encoding="utf-8"))
    idle = {"begin": ["true", "{node}"], "end": ["true", "{node}"]}
    context["chaos"] = {"hooks": {"partition": idle}, "seen_within": "2s"}
    (tmp_path / "context.json").write_text(json.dumps(context), encoding="utf-8")

    code, said = await molecule(
        "run", "--minutes", "0.01", "--out", "run", "--context", "context.json", folder=tmp_path
    )

    assert code == 3, said
    assert "not confirmed: the cluster to notice it" in said
    assert "proves nothing" in said
