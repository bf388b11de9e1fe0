"""`await`: documents wait for a signal from outside, and hold no slot meanwhile."""

from molecule.component.config import Config
from molecule.component.contract import Pause, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.expression.expression import data_error
from molecule.model.document import Document
from molecule.model.errors import InvalidConfig
from molecule.model.signals import CORRELATION_LENGTH_MAX, is_signal_name


@step(
    "await",
    Spec(
        summary="Let documents wait for a signal; its payload becomes the document.",
        fields={
            "signal": Field.text(
                "Its name. It is told by `POST /api/v1/executions/{id}/signals/{name}`, the "
                "callback to hand out, or `molecule execution signal`; one that comes before "
                "its `await` is kept."
            ),
            "correlation": Field.expression(
                "Gives a text that the signal must carry too, so that each of several documents "
                "gets its own.",
                required=False,
            ),
            "on_timeout": Field.choice(
                "What happens when no signal came within `timeout`: the document fails with "
                "`await_timeout` (class `limit`), or goes on unchanged.",
                ("fail", "continue"),
                default="fail",
            ),
        },
        waits=True,
        has_timeout=True,
        example=Example(
            config="{type: await, signal: approved, timeout: 2d, output: {into: answer}}",
            given=({"order": 7},),
            gives=(("waits", {"signal": "approved", "fails": True}),),
        ),
        across_failover="Signals are kept by the cluster; each is taken once, in a checkpoint.",
    ),
)
class Await:
    """Says for which signal; the engine takes it and puts the payload where `output` says."""

    def __init__(self, config: Config) -> None:
        self._signal = config.text("signal")
        self._correlation = config.optional_expression("correlation")
        self._fails = config.text("on_timeout") == "fail"
        if not is_signal_name(self._signal):
            raise InvalidConfig(
                f"signal: {self._signal!r} is no name; use letters, digits, - _ . (at most 128)"
            )

    def process(self, document: Document, context: StepContext) -> Pause:
        """The document goes on with the first such signal."""
        correlation = ""
        if self._correlation is not None:
            correlation = self._correlation.text(document, context.names)
            if len(correlation) > CORRELATION_LENGTH_MAX:
                raise data_error("correlation: longer than 256 characters", field="correlation")
        return Pause(signal=self._signal, correlation=correlation, fails=self._fails)
