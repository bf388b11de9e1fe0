"""`branch`: the same documents down several paths, one path after the other."""

from molecule.component.config import Config
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.errors import InvalidConfig


@step(
    "branch",
    Spec(
        summary="Send the same documents down each path, one path after the other.",
        fields={
            "take": Field.text(
                "The path whose documents go on; without it those that came in do.", required=False
            )
        },
        named_paths="paths",
        per="block:paths",
        example=Example(
            config="""
                type: branch
                paths:
                  books: [{id: booked, type: log, message: "booked ${number}"}]
                  mail: [{id: told, type: log, message: "told ${buyer}"}]
            """,
        ),
    ),
)
class Branch:
    """A path begins when the one before has ended; a failure ends the step."""

    at_once = 1

    def __init__(self, config: Config) -> None:
        self.take = config.optional_text("take")
        self.wanted = len(config.named)
        if self.take is not None and self.take not in config.named:
            known = ", ".join(config.named)
            raise InvalidConfig(f"take: no path is called {self.take}; there is {known}")
