"""All kinds of faults by name."""

from typing import Final

from chaos.faults import at_target, network, processes
from chaos.faults.fault import Kinds

KINDS: Final[Kinds] = {
    kind.name: kind for kind in (*processes.KINDS, *network.KINDS, *at_target.KINDS)
}
