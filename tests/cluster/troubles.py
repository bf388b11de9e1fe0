"""A step that does what no step should, as an extension brings it: by entry point.

The document says what: `die` by a signal, `eat` memory, `sleep` so that nothing can interrupt it.
"""

import os
import signal
import time
from pathlib import Path

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Field, Spec
from molecule.model.document import Document

_MIB = 1024 * 1024


@step(
    "test.trouble",
    Spec(
        summary="Do as the document says: `die`, `eat`, `sleep`, or nothing.",
        fields={"note": Field.text("Nothing.", default="none")},
    ),
)
class Trouble:
    """The document as it came, unless the worker did not survive it."""

    def __init__(self, config: Config) -> None:
        self._note = config.text("note")

    def process(self, document: Document, _context: StepContext) -> Emit:
        """Trouble."""
        asked = document.value.get("do", "") if isinstance(document.value, dict) else ""
        if asked == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        eaten = []
        while asked == "eat":
            eaten.append(bytearray(os.urandom(1024) * (16 * 1024)))
            time.sleep(0.02)
        if asked == "sleep":
            time.sleep(float(document.value["seconds"]))
        return Emit(None, document)


def install(folder: Path) -> str:
    """Make this module an installed extension of whoever has the answer in `PYTHONPATH`."""
    info = folder / "molecule_troubles-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: molecule-troubles\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[molecule.components]\ntroubles = {__name__}\n", encoding="utf-8"
    )
    root = Path(__file__).parents[2]
    return os.pathsep.join((str(folder), str(root)))
