"""A fixed SQL statement whose values come by parameters only: of `sql.query` and `sql.execute`."""

import re
from typing import Any, Final

from molecule.component.config import Config
from molecule.component.contract import StepContext
from molecule.connectors.sql_dialect import storable
from molecule.expression.expression import Expressions, data_error
from molecule.model.document import Document
from molecule.model.errors import InvalidConfig

_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_TOLD_LENGTH: Final = 120
_NAMED: Final = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")


class Statement:
    """A statement and its parameters, checked against each other."""

    def __init__(self, config: Config) -> None:
        written = config.text("statement")
        self.told = " ".join(written.split())[:_TOLD_LENGTH]
        """For people: the statement on one line, short."""
        self.text = _QUOTED.sub(lambda found: found[0].replace(":", r"\:"), written)
        """For SQLAlchemy, which would take a colon inside a text or a comment for a parameter."""
        self._parameters: Expressions = config.expressions("parameters")
        bare = _QUOTED.sub(" ", written)
        named, given = set(_NAMED.findall(bare)), set(self._parameters.items)
        if named - given:
            raise InvalidConfig(f"parameters: :{min(named - given)} has no value")
        if given - named:
            raise InvalidConfig(f"parameters: {min(given - named)} is not in the statement")
        if ";" in bare.rstrip().rstrip(";"):
            raise InvalidConfig("statement: must be one statement")

    def values(self, document: Document, context: StepContext) -> dict[str, Any]:
        """Every parameter's value; nothing is a data error, null is a value."""
        found = self._parameters.values(document, context.names)
        for name in self._parameters.items:
            if name not in found:
                raise data_error(f"parameters.{name}: yields nothing", field=f"parameters.{name}")
        return {name: storable(name, value) for name, value in found.items()}
