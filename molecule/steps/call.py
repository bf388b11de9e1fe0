"""`call`: the steps of another process, at this place."""

from molecule.component.config import Config
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec


@step(
    "call",
    Spec(
        summary="Run a process with trigger `called` here; hand on what it hands back.",
        fields={"process": Field.text("A process of the same repository.")},
        calls="process",
        per="block",
        errors="Those of its steps; data, code invalid: input or returns do not fit their schema.",
        example=Example(
            config="{type: call, process: price}",
            processes={
                "price": """
                    molecule: 1
                    process: price
                    trigger: {type: called, input: {type: object, required: [qty]}}
                    steps: [{id: total, type: map, to: {total: qty * 2}}]
                """
            },
        ),
    ),
)
class Call:
    """Its steps stand in the version that calls, so they change only with a new version of that."""

    def __init__(self, config: Config) -> None:
        self.process = config.text("process")
