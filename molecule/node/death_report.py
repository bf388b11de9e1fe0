"""A short-lived child of the supervisor: tells the cluster that a life of this node has ended.

It speaks with the node's own certificate, tries every voter in turn, and gives up after a bounded
time: then the lease runs out instead. It imports little, because work waits for it; the settings
were checked by the supervisor.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from molecule.model.errors import MoleculeError
from molecule.model.members_file import FILE
from molecule.rpc.death_call import DeathCalls
from molecule.wire.v1 import commands_pb2 as c

_PAUSE_S = 0.1


async def report(settings: Mapping[str, Any], life: str, evidence: str, *, within_s: float) -> bool:
    """True when a majority has it, False when nobody could be told in time."""
    tls = settings["tls"]
    calls = DeathCalls(
        cluster=settings["cluster"], ca=tls["ca"], certificate=tls["certificate"], key=tls["key"]
    )
    node, peers = settings["id"], members(settings)
    # The other voters first: this node's own next life is only just starting.
    order = sorted(peers, key=lambda voter: (voter == node, voter))
    call_s = settings["limits"]["death_report_call_ms_max"] / 1000
    said = c.ReportNodeDeath(node=node, life=life, evidence=evidence)
    try:
        async with asyncio.timeout(within_s):
            while True:
                for voter in order:
                    try:
                        await calls.report(voter, peers[voter], said, timeout_s=call_s)
                    except MoleculeError:
                        continue
                    return True
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        return False
    finally:
        await calls.close()


def members(settings: Mapping[str, Any]) -> dict[str, str]:
    """Where the voters of today are, as the node wrote it down; else as its configuration says."""
    told = {peer["id"]: peer["rpc"] for peer in settings["peers"]} or {
        settings["id"]: settings["rpc"]
    }
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((Path(settings["data"]) / FILE).read_text(encoding="utf-8"))
        told |= {str(node): str(at) for node, at in kept["addresses"].items()}
        return {str(voter): told[voter] for voter in kept["voters"]}
    return told


def main() -> int:
    """Exit code 0 when the cluster was told."""
    settings = json.loads(os.environ["MOLECULE_NODE_CONFIG"])
    life, evidence = os.environ["MOLECULE_LIFE"], os.environ["MOLECULE_EVIDENCE"]
    within_s = float(os.environ["MOLECULE_REPORT_WITHIN_S"])
    try:
        return 0 if asyncio.run(report(settings, life, evidence, within_s=within_s)) else 1
    except (MoleculeError, OSError):
        return 1


if __name__ == "__main__":
    sys.exit(main())
