"""A short-lived child of the supervisor: tells the cluster that a life of this node has ended.

It speaks with the node's own certificate, tries every voter in turn, and gives up after a bounded
time: then the lease runs out instead.
"""

import asyncio
import os
import sys

from molecule.config import NodeConfig
from molecule.model.errors import MoleculeError
from molecule.node import credentials
from molecule.node.addresses import Addresses
from molecule.node.peers import PeerClients
from molecule.rpc.channel import PeerChannels
from molecule.wire.v1 import commands_pb2 as c

_PAUSE_S = 0.1


async def report(config: NodeConfig, life: str, evidence: str, *, within_s: float) -> bool:
    """True when a majority has it, False when nobody could be told in time."""
    channels = PeerChannels(credentials.load(config), limits=config.limits)
    addresses = Addresses(config)
    clients = PeerClients(addresses, channels, config.limits)
    said = c.ReportNodeDeath(node=config.id, life=life, evidence=evidence)
    others = [voter for voter in addresses.voters if voter != config.id]
    try:
        async with asyncio.timeout(within_s):
            while True:
                # The other voters first: this node's own next life is only just starting.
                for voter in (*others, config.id):
                    try:
                        await clients.report_death(voter, said)
                    except MoleculeError:
                        continue
                    return True
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        return False
    finally:
        await channels.close()


def main() -> int:
    """Exit code 0 when the cluster was told."""
    config = NodeConfig.model_validate_json(os.environ["MOLECULE_NODE_CONFIG"])
    life, evidence = os.environ["MOLECULE_LIFE"], os.environ["MOLECULE_EVIDENCE"]
    within_s = float(os.environ["MOLECULE_REPORT_WITHIN_S"])
    try:
        return 0 if asyncio.run(report(config, life, evidence, within_s=within_s)) else 1
    except MoleculeError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
