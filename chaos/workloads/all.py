"""All workloads by name, and those of a run."""

from collections.abc import Callable, Mapping
from typing import Final

from chaos.workloads.callers import Callers
from chaos.workloads.deploys import Deploys
from chaos.workloads.journeys import Journeys
from chaos.workloads.lanes import Lanes
from chaos.workloads.orders import Orders
from chaos.workloads.probes import Probes
from chaos.workloads.registers import Registers
from chaos.workloads.ticks import Ticks
from chaos.workloads.workload import Workload

_MAKERS: Final[Mapping[str, Callable[[], Workload]]] = {
    "orders": Orders,
    "lanes": Lanes,
    "journeys": Journeys,
    "callers": Callers,
    "probes": Probes,
    "registers": Registers,
    "ticks": Ticks,
}
NAMES: Final = (*_MAKERS, Deploys.name)


def made(names: tuple[str, ...]) -> list[Workload]:
    """These workloads, anew. `orders` is always among them: without effects nothing is proved."""
    wanted = [name for name in _MAKERS if name in names or name == Orders.name]
    workloads = [_MAKERS[name]() for name in wanted]
    if Deploys.name in names:
        workloads.append(Deploys(tuple(workloads)))
    return workloads
