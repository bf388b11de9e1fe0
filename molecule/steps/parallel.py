"""`parallel`: the same documents down several paths at once."""

from molecule.component.config import Config
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.errors import InvalidConfig

_PATHS_MAX = 1_000


@step(
    "parallel",
    Spec(
        summary="Send the same documents down all paths at once.",
        fields={
            "wait_for": Field.choice(
                "How many paths must end; the others are left where they are, and one may fail "
                "as long as enough can still end.",
                ("all", "any"),
                default="all",
                or_number_max=_PATHS_MAX,
            ),
            "take": Field.text(
                "The path whose documents go on; without it those that came in do.", required=False
            ),
        },
        named_paths="paths",
        per="block:paths",
        example=Example(
            config="""
                type: parallel
                wait_for: any
                paths:
                  north: [{id: asked, type: log, message: asked in the north}]
                  south: [{id: also, type: log, message: asked in the south}]
            """,
        ),
    ),
)
class Parallel:
    """In a path that is left, what was sent is waited for and nothing more begins."""

    def __init__(self, config: Config) -> None:
        paths, wait_for = config.named, config.text("wait_for")
        self.at_once = len(paths)
        self.wanted = {"all": len(paths), "any": 1}.get(wait_for) or int(wait_for)
        self.take = config.optional_text("take")
        if self.wanted > len(paths):
            raise InvalidConfig(f"wait_for: {wait_for} of {len(paths)} paths can never end")
        if self.take is not None and self.take not in paths:
            raise InvalidConfig(f"take: no path is called {self.take}; there is {', '.join(paths)}")
        if self.take is not None and self.wanted < len(paths):
            raise InvalidConfig("take: needs wait_for: all, or its path might not have ended")
