"""`called`: the process runs inside of those that call it."""

from molecule.component.config import Config
from molecule.component.contract import TriggerContext
from molecule.component.registry import trigger
from molecule.component.spec import Example, Field, Spec


@trigger(
    "called",
    Spec(
        summary="Only the step `call` of other processes starts it, inside of their executions.",
        fields={
            "input": Field.schema("A JSON Schema that each document given must fit."),
            "returns": Field.schema("A JSON Schema that each document handed back must fit."),
        },
        example=Example(config="{type: called, input: {type: object, required: [order]}}"),
        across_failover="Goes on with the execution that calls it.",
    ),
)
class Called:
    """Never runs anywhere; its process has no version of its own."""

    def __init__(self, config: Config) -> None:
        self.input = config.anything("input")
        self.returns = config.anything("returns")

    async def run(self, context: TriggerContext) -> None:
        """Nothing to do."""
