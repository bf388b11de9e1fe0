"""`manual`: executions are asked for by API, CLI or designer."""

from molecule.component.config import Config
from molecule.component.contract import TriggerContext
from molecule.component.registry import trigger
from molecule.component.spec import Example, Spec


@trigger(
    "manual",
    Spec(
        summary="Nothing starts it by itself: people and programs submit.",
        example=Example(config="{type: manual}"),
        across_failover="Runs nowhere, so nothing moves.",
    ),
)
class Manual:
    """Never runs anywhere."""

    def __init__(self, config: Config) -> None:
        """Takes nothing."""

    async def run(self, context: TriggerContext) -> None:
        """Nothing to do."""
