"""A disk of one's own can be filled and broken, is mended, and is gone behind the run."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.runner import volumes
from chaos.runner.volumes import Volume

_REFUSAL = volumes.why_not()
pytestmark = pytest.mark.skipif(bool(_REFUSAL), reason=_REFUSAL or "-")


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    made = volumes.make(tmp_path / "n1")
    yield made
    if made.root.is_mount():
        volumes.take_away(made.root)


def refusal(path: Path, content: bytes) -> int | None:
    try:
        path.write_bytes(content)
    except OSError as error:
        return error.errno
    return None


def test_a_full_disk_takes_nothing_until_it_is_emptied(volume: Volume, tmp_path: Path) -> None:
    data = tmp_path / "n1" / "data"
    assert data.stat().st_dev == volume.root.stat().st_dev
    volume.fill()
    assert volume.free_bytes() == 0
    assert refusal(data / "new", b"x" * 10_000) == errno.ENOSPC

    volume.empty()

    assert refusal(data / "new", b"x" * 10_000) is None


async def test_a_broken_disk_refuses_whoever_has_a_file_open(
    volume: Volume, tmp_path: Path
) -> None:
    data = tmp_path / "n1" / "data"
    kept = data / "kept"
    descriptor = os.open(kept, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"kept")
    os.fsync(descriptor)

    volume.fail()

    with pytest.raises(OSError, match="Read-only"):
        os.write(descriptor, b"more")
    os.close(descriptor)
    await volume.mend()
    assert kept.read_bytes() == b"kept"
    assert refusal(kept, b"again") is None


async def test_a_run_takes_its_disks_away(volume: Volume) -> None:
    await volumes.unmount_all([volume])

    assert not volume.root.is_mount()


def test_only_what_a_run_left_that_is_over_is_swept(volume: Volume, tmp_path: Path) -> None:
    volumes.sweep()
    assert volume.root.is_mount()
    left = volumes.make(tmp_path / "n2", owner="4194305-1")

    volumes.sweep()

    assert not left.root.is_mount()
    assert volume.root.is_mount()
