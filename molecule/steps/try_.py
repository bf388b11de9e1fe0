"""`try`: a body whose errors are caught."""

from molecule.component.config import Config
from molecule.component.registry import step
from molecule.component.spec import Example, Spec
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig


@step(
    "try",
    Spec(
        summary="Run `body`; what fails in it goes down the first `catch` that names its error.",
        paths=("body", "finally"),
        required_paths=("body",),
        catch_path="catch",
        per="block",
        example=Example(
            config="""
                type: try
                body: [{id: check, type: raise, code: NO_STOCK}]
                catch: [{errors: [NO_STOCK], steps: [{id: told, type: log, message: none left}]}]
            """,
        ),
    ),
)
class Try:
    """Says which catch takes an error; the engine runs it. `finally` runs in either case."""

    def __init__(self, config: Config) -> None:
        self._catches = config.catches
        if not self._catches and not config.has_path("finally"):
            raise InvalidConfig("try needs catch or finally")

    def catch_for(self, error_class: ErrorClass, error_code: str) -> str | None:
        """The path that takes this error, `catch.0` being the first; None: it is not caught."""
        for at, errors in enumerate(self._catches):
            if not errors or error_class in errors or error_code in errors:
                return f"catch.{at}"
        return None
