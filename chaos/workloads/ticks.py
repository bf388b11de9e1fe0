"""A schedule that fires each second: every nominal time once, through all faults."""

from collections.abc import Mapping

from chaos.declared import DeclaredProcess
from chaos.workloads.workload import Scene, declared_keyed, head, keyed

PROCESS = "ticks"
_NAME = (
    '  - {id: name, type: map, to: {name: \'"tick." & $replace($trigger.nominal, ":", "-")\'}}\n'
)


class Ticks:
    """Nobody asks: the cluster does it by itself."""

    name = "ticks"

    def processes(self) -> Mapping[str, str]:
        """`ticks`: one step by key, each second, missed times made up for."""
        trigger = "{type: schedule, every: 1s, missed: all}"
        return {PROCESS: head(PROCESS, trigger=trigger) + "steps:\n" + _NAME + keyed("tick")}

    def declared(self) -> Mapping[str, DeclaredProcess]:
        """Its step."""
        return {PROCESS: DeclaredProcess(steps=declared_keyed("tick"))}

    def demands(self, minutes: float) -> Mapping[str, int]:
        """Nominal times that fell due."""
        return {"firings": int(40 * minutes)}

    async def run(self, scene: Scene) -> None:
        """Nothing to ask for."""
        await scene.stopping.wait()
