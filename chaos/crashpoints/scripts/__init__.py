"""The scripts by name: one for each kind of file that a node keeps."""

from collections.abc import Mapping
from typing import Final

from chaos.crashpoints.script import Script
from chaos.crashpoints.scripts.data_folder import DataFolderScript
from chaos.crashpoints.scripts.documents import DocumentsScript
from chaos.crashpoints.scripts.journal import JournalScript
from chaos.crashpoints.scripts.outbox import OutboxScript
from chaos.crashpoints.scripts.state import StateScript
from chaos.crashpoints.scripts.voter import VoterScript

SCRIPTS: Final[Mapping[str, Script]] = {
    "journal": JournalScript(),
    "data-folder": DataFolderScript(),
    "documents": DocumentsScript(),
    "outbox": OutboxScript(),
    "state": StateScript(),
    "voter": VoterScript(),
}
