"""`foreach`: the same steps for each document, or for batches of them."""

from typing import Final

from molecule.component.config import Config
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec

_SIZE_MAX: Final = 10_000
_AT_ONCE_MAX: Final = 1_000


@step(
    "foreach",
    Spec(
        summary="Run `steps` per document or batch; a failed one fails alone.",
        fields={
            "size": Field.integer(
                "Documents per round of the steps.", default=1, minimum=1, maximum=_SIZE_MAX
            ),
            "at_once": Field.integer(
                "Rounds that may run at the same time.", default=1, minimum=1, maximum=_AT_ONCE_MAX
            ),
            "ordered": Field.boolean(
                "Hand on in input order; false: in the order in which the rounds ended.",
                default=True,
            ),
        },
        paths=("steps",),
        required_paths=("steps",),
        per="block:each",
        example=Example(
            config="{type: foreach, steps: [{id: line, type: map, to: {n: qty * 2}}]}",
        ),
    ),
)
class Foreach:
    """Its numbers; the engine does the rounds and checkpoints each."""

    def __init__(self, config: Config) -> None:
        self.size = config.integer("size")
        self.at_once = config.integer("at_once")
        self.ordered = config.boolean("ordered")
