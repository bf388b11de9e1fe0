"""All kinds of faults by name."""

from typing import Final

from chaos.faults import at_target, disk, network, processes, shaping
from chaos.faults.fault import Kinds

KINDS: Final[Kinds] = {
    kind.name: kind
    for kind in (*processes.KINDS, *network.KINDS, *shaping.KINDS, *disk.KINDS, *at_target.KINDS)
}
