"""Tables of the repository: CSV text, the first column names the row."""

import csv
import re
from itertools import islice
from typing import Final

from molecule.component.contract import Table
from molecule.definition.findings import Findings

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""Not `splitlines`, which would end lines at letters of other scripts too."""


def read_table(name: str, content: bytes, findings: Findings) -> Table | None:
    """The table; None with every bad row in the findings."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        findings.add((content[: error.start].count(b"\n") + 1, 1), "", "not UTF-8")
        return None
    reader = csv.reader(_LINE.findall(text), strict=True)
    before = len(findings.all)
    rows: dict[str, dict[str, str]] = {}
    columns: tuple[str, ...] = ()
    try:
        columns = tuple(next(islice(reader, 1), ()))
        if not columns or len(set(columns)) != len(columns) or not all(columns):
            findings.add((1, 1), "", "the first line must name each column once")
            return None
        for row in reader:
            if row:
                _add(rows, row, columns, reader.line_num, findings)
    except csv.Error as error:
        findings.add((reader.line_num, 1), "", f"not CSV: {error}")
    return Table(name, columns, rows) if len(findings.all) == before else None


def _add(
    rows: dict[str, dict[str, str]],
    row: list[str],
    columns: tuple[str, ...],
    line: int,
    findings: Findings,
) -> None:
    if len(row) != len(columns):
        findings.add((line, 1), "", f"{len(row)} fields, the first line has {len(columns)}")
    elif not row[0]:
        findings.add((line, 1), columns[0], "the key is empty")
    elif row[0] in rows:
        findings.add((line, 1), columns[0], f"the key {row[0]!r} stands twice")
    else:
        rows[row[0]] = dict(zip(columns, row, strict=True))
