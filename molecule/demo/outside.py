"""The world around the demo's cluster: inbox, table, airline desk, and the files of the process.

Everything lies in one folder and is made anew for each run. The table has no unique constraint: it
would take any duplicate.
"""

import contextlib
import csv
import gzip
import json
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

from molecule.cli import local_files, local_process
from molecule.cli.local_process import ProcessMark
from molecule.demo import counts
from molecule.demo.counts import Counts, LateFlight

ENVIRONMENT: Final = "demo"
FLIGHTS_FILE: Final = "flights-2013-01.csv.gz"
_PACKAGE: Final = resources.files("molecule.demo")

_CREATE_TABLE: Final = (
    "CREATE TABLE late_flights (flight TEXT NOT NULL, airline TEXT, minutes INTEGER, at TEXT)"
)
_CREATE_INDEX: Final = "CREATE INDEX late_flights_by_name ON late_flights (flight, at)"


class Outside:
    """Paths and processes of one run."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self.inbox = folder / "inbox"
        self._table = folder / "warehouse.db"
        self._ledger = folder / "airline-desk.jsonl"
        self._port = local_files.free_ports(1, first=None)[0]
        self.desk_url = f"http://{local_files.HOST}:{self._port}"

    def prepare(self) -> None:
        """Fresh folders and an empty table."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.inbox.mkdir()
        with contextlib.closing(sqlite3.connect(self._table)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(_CREATE_TABLE)
            database.execute(_CREATE_INDEX)
            database.commit()

    def start_desk(self) -> ProcessMark:
        """Start the airline desk as a process of its own."""
        command = [sys.executable, "-m", "molecule.demo.target", "--port", str(self._port)]
        command += ["--file", str(self._ledger)]
        log = self._folder / "airline-desk.log"
        return local_process.start(command, log=log, environ=self._environ)

    def deliver(self) -> None:
        """Put the file of flights into the inbox, whole or not at all."""
        arriving = self.inbox / f".{FLIGHTS_FILE}.part"
        arriving.write_bytes((_PACKAGE / "data" / FLIGHTS_FILE).read_bytes())
        arriving.rename(self.inbox / FLIGHTS_FILE)

    def is_put_away(self) -> bool:
        """True when the trigger has moved the file, because every execution of it completed."""
        return (self.inbox / "done" / FLIGHTS_FILE).exists()

    def repository(self) -> dict[str, str]:
        """The files to apply: what is shipped, and an environment with this run's addresses."""
        files = dict(_shipped(_PACKAGE / "repository", ""))
        addresses = {
            "inbox": {"root": str(self.inbox)},
            "warehouse": {"url": f"sqlite:///{self._table}"},
            "airline-desk": {"base_url": self.desk_url},
        }
        environment = {
            "environment": ENVIRONMENT,
            "connections": addresses,
            "triggers": {"late-flights": "on"},
        }
        # JSON is YAML too, and needs no thought about quoting paths.
        files[f"environments/{ENVIRONMENT}.yaml"] = json.dumps(environment, indent=2)
        return files

    def count(self) -> Counts:
        """Compare the table's and the desk's own files with the flights, after the last call."""
        names = (_PACKAGE / "repository/tables/airlines.csv").read_text(encoding="utf-8")
        airlines = {row["carrier"]: row["name"] for row in csv.DictReader(names.splitlines())}
        wanted = counts.expected(flights(), airlines)
        return counts.compare(wanted, self._rows(), self._calls())

    def _rows(self) -> list[LateFlight]:
        with contextlib.closing(sqlite3.connect(self._table)) as database:
            rows = database.execute("SELECT flight, airline, minutes, at FROM late_flights")
            return [LateFlight(row[0], row[1], int(row[2]), row[3]) for row in rows]

    def _calls(self) -> list[dict[str, Any]]:
        if not self._ledger.exists():
            return []
        return [json.loads(line) for line in self._ledger.read_text(encoding="utf-8").splitlines()]


def flights() -> list[dict[str, str]]:
    """All rows of the shipped file."""
    packed = (_PACKAGE / "data" / FLIGHTS_FILE).read_bytes()
    return list(csv.DictReader(gzip.decompress(packed).decode().splitlines()))


def clear(folder: Path) -> None:
    """Remove what an earlier run left; refuses a folder that no run made."""
    if not folder.exists():
        return
    if any(folder.iterdir()) and not (folder / "inbox").is_dir():
        message = f"{folder} holds something that is not an earlier demo; name another folder"
        raise FileExistsError(message)
    shutil.rmtree(folder)


def _shipped(folder: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _shipped(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".yaml", ".csv")):
            yield f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")
