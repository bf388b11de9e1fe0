"""`raise`: fail with a code of one's own, or raise the caught error again."""

import re
from typing import Final, NoReturn

from molecule.component.config import Config
from molecule.component.contract import StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.expression.expression import data_error
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@step(
    "raise",
    Spec(
        summary="Fail the document with a code; without a code, raise the caught error again.",
        fields={
            "code": Field.text("What `retry.errors` and `catch.errors` name.", required=False),
            "message": Field.template("For people.", required=False),
        },
        example=Example(
            config='{type: raise, code: NO_STOCK, message: "no ${article} left"}',
            given=({"article": "A1"},),
            gives=(("NO_STOCK", "no A1 left"),),
        ),
    ),
)
class Raise:
    """Never hands anything on."""

    def __init__(self, config: Config) -> None:
        self._code = config.optional_text("code")
        self._message = config.optional_template("message")
        if self._code is not None and not _CODE.fullmatch(self._code):
            raise InvalidConfig(f"code: {self._code!r} must be letters, digits, - and _")
        if self._code is None and self._message is not None:
            raise InvalidConfig("message: needs a code; without one, the caught error is raised")

    def process(self, document: Document, context: StepContext) -> NoReturn:
        """Always a `StepError`."""
        if self._code is not None:
            text = self._message.text(document, context.names) if self._message else self._code
            raise StepError(text, error_class=ErrorClass.RAISED, error_code=self._code)
        error = context.names.error
        if not isinstance(error, dict):
            raise data_error("raise without a code stands outside of a catch", field="code")
        raise StepError(
            str(error.get("message", "")),
            error_class=ErrorClass(error.get("class", ErrorClass.PERMANENT)),
            error_code=str(error.get("code", "")),
        )
