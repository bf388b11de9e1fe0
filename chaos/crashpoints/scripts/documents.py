"""The disk of the document store: small documents in a table, large ones in files beside it.

A document that was told to be kept is there with its bytes until its removal began; one that is
said to be there is never there without its bytes.
"""

import hashlib
from pathlib import Path

from chaos.crashpoints.script import begin, demand, done
from molecule.storage.document_disk import DocumentDisk, Put

STEPS = 18
_FOLDER = "documents"


def _body(step: int) -> bytes:
    return bytes([step]) * (40 if step % 2 else 9_000 + step)


def _digest(step: int) -> str:
    return hashlib.sha256(_body(step)).hexdigest()


def _removed_by(step: int) -> int:
    """The document that a step removes; 0: it keeps one."""
    return step - 4 if step % 5 == 0 else 0


class DocumentsScript:
    """See above."""

    def run(self, folder: Path) -> None:
        """Make the store (1), then keep a document in each step or remove an older one."""
        begin(1)
        disk = DocumentDisk(folder / _FOLDER)
        done(1)
        for step in range(2, STEPS + 1):
            begin(step)
            removed = _removed_by(step)
            if removed:
                disk.remove([_digest(removed)], before_ms=step * 1_000)
                disk.note_time(step * 1_000)
            else:
                disk.commit([_put(disk, step)], [], step * 1_000)
            done(step)
        disk.close()

    def check(self, folder: Path, begun: int, done: int) -> None:
        """Open it, look for every document, sweep, keep all of them again and look again."""
        disk = DocumentDisk(folder / _FOLDER)
        gone = {_removed_by(step) for step in range(begun + 1)}
        for step in range(2, STEPS + 1):
            if _removed_by(step):
                continue
            here = _is_here(disk, step)
            demand(here or step > done or step in gone, f"document {step} is gone")
            demand(not here or step <= begun, f"document {step} was never kept")
        for prefix in {_digest(step)[:2] for step in range(2, STEPS + 1)}:
            disk.sweep(prefix)
        for step in range(2, STEPS + 1):
            disk.commit([_put(disk, step)], [], 99_000)
            demand(_is_here(disk, step), f"document {step} cannot be kept again")
        disk.close()


def _put(disk: DocumentDisk, step: int) -> Put:
    body, digest = _body(step), _digest(step)
    if len(body) < 1_000:
        return Put(digest, len(body), body, None)
    return Put(digest, len(body), None, disk.write_temporary(f"{step}.new", body))


def _is_here(disk: DocumentDisk, step: int) -> bool:
    digest = _digest(step)
    if digest not in disk.present([digest]):
        return False
    demand(disk.read(digest) == _body(step), f"document {step} has other bytes")
    return True
