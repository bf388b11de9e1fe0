"""`route`: one of many paths for each document."""

from collections.abc import Callable
from fnmatch import fnmatchcase

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document
from molecule.model.errors import InvalidConfig

_Taken = Callable[[Document, StepContext, str], bool]


@step(
    "route",
    Spec(
        summary="Send each document down the first path that takes it, else down `default`.",
        fields={
            "by": Field.expression("Gives the text that `is` and `like` look at.", required=False)
        },
        named_paths="paths",
        path_fields={
            "is": Field.texts("Takes these values of `by`.", required=False),
            "like": Field.texts(
                "Takes values of `by` like these; * stands for any text.", required=False
            ),
            "if": Field.expression("Takes documents for which this is true.", required=False),
        },
        paths=("default",),
        example=Example(
            config="""
                type: route
                by: country
                paths:
                  union: {is: [DE, FR], steps: [{id: near, type: log, message: near}]}
                  kingdom: {like: GB-*, steps: [{id: over, type: log, message: over the sea}]}
                  heavy: {if: kilos > 100, steps: [{id: ship, type: log, message: by ship}]}
            """,
            given=(
                {"country": "FR", "kilos": 1},
                {"country": "GB-SCT", "kilos": 1},
                {"country": "US", "kilos": 200},
                {"country": "US", "kilos": 2},
            ),
            gives=(
                ("union", {"country": "FR", "kilos": 1}),
                ("kingdom", {"country": "GB-SCT", "kilos": 1}),
                ("heavy", {"country": "US", "kilos": 200}),
                (None, {"country": "US", "kilos": 2}),
            ),
        ),
    ),
)
class Route:
    """Without `default`, what no path takes goes on unchanged."""

    def __init__(self, config: Config) -> None:
        self._by = config.optional_expression("by")
        self._paths = [(name, _taken(name, path, config)) for name, path in config.named.items()]
        self._looks = any(path.has("is") or path.has("like") for path in config.named.values())
        self._default = "default" if config.has_path("default") else None

    def process(self, document: Document, context: StepContext) -> Emit:
        """The first path that takes it, in the order written."""
        text = self._by.text(document, context.names) if self._by and self._looks else ""
        for name, takes in self._paths:
            if takes(document, context, text):
                return Emit(name, document)
        return Emit(self._default, document)


def _taken(name: str, path: Config, config: Config) -> _Taken:
    ways = [field for field in ("is", "like", "if") if path.has(field) and path.anything(field)]
    if len(ways) != 1:
        raise InvalidConfig(f"paths.{name}: needs one of is, like and if")
    if ways == ["if"]:
        condition = path.expression("if")
        return lambda document, context, _: condition.is_true(document, context.names)
    if not config.has("by"):
        raise InvalidConfig(f"by is missing: paths.{name}.{ways[0]} looks at it")
    if ways == ["is"]:
        values = frozenset(path.texts("is"))
        return lambda _, __, text: text in values
    patterns = path.texts("like")
    return lambda _, __, text: any(fnmatchcase(text, pattern) for pattern in patterns)
