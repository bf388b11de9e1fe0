"""The scripts by name: one for each kind of file that a node keeps."""

from collections.abc import Mapping
from typing import Final

from chaos.crashpoints.script import Script
from chaos.crashpoints.scripts.data_folder import DataFolderScript
from chaos.crashpoints.scripts.documents import DocumentsScript
from chaos.crashpoints.scripts.journal import JournalScript
from chaos.crashpoints.scripts.state import StateScript

SCRIPTS: Final[Mapping[str, Script]] = {
    "journal": JournalScript(),
    "data-folder": DataFolderScript(),
    "documents": DocumentsScript(),
    "state": StateScript(),
}
