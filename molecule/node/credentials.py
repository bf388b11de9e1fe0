"""The node's own certificate, as its configuration names the files."""

from pathlib import Path

from molecule.config import NodeConfig
from molecule.rpc import certificates
from molecule.rpc.tls import LiveCredentials


def load(config: NodeConfig) -> LiveCredentials:
    """Checked as others will check it; `InvalidConfig` says what is wrong."""
    return LiveCredentials(
        certificates.load(
            ca=Path(config.tls.ca),
            certificate=Path(config.tls.certificate),
            key=Path(config.tls.key),
            cluster=config.cluster,
            name=config.id,
        )
    )
