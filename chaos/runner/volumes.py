"""A small disk of its own for each node: an ext4 file system in a sparse file, mounted by a loop.

The folder of the data is a link into it, so that what fills it lies beside the data, as another
program's files would. What must stay true: nothing stays mounted behind a run, and what a killed
run left is swept by the next one.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from molecule.cli import local_process
from molecule.cli.local_process import ProcessMark
from molecule.cli.waiting import NotInTime, until
from molecule.raft.files import sync_folder

_BYTES: Final = 8 * 2**30
_BALLAST_BYTES: Final = _BYTES * 11 // 20
"""So full that a node holds its reserve as a file of real blocks from the first second on."""
_TRIED_BYTES: Final = 2**22
_SUFFIX: Final = ".molecule-chaos-volume"
_GONE_WITHIN_S: Final = 20.0
_LOOPS: Final = Path("/sys/block")


class VolumeFailed(Exception):
    """A command that makes, mounts or unmounts a volume failed; the message is its own."""


@dataclass(frozen=True, slots=True)
class Volume:
    """One disk. Made by `make`, in a folder of its own."""

    image: Path
    root: Path
    """Where it is mounted; `data` in it is what the node's folder links to."""

    def free_bytes(self) -> int:
        """What a node may still write."""
        volume = os.statvfs(self.root)
        return volume.f_bavail * volume.f_frsize

    def fill(self) -> None:
        """Take all the room that there is, to the last block."""
        filler = self.root / "filler"
        descriptor = os.open(filler, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            step = self.free_bytes()
            while step >= os.statvfs(self.root).f_frsize:
                try:
                    os.posix_fallocate(descriptor, size, step)
                    size += step
                    step = self.free_bytes()
                except OSError:
                    # Some of it goes into the lists of blocks.
                    step //= 2
        finally:
            os.close(descriptor)

    def empty(self) -> None:
        """Give back what `fill` took."""
        (self.root / "filler").unlink(missing_ok=True)

    def fail(self) -> None:
        """What ext4 does when it met an error: no byte is written any more, whoever has it open."""
        _run("mount", "-o", "remount,abort", str(self.root))

    async def mend(self) -> None:
        """Check and mount it again; nobody uses it. What was not synced before is gone."""
        await self.unmount()
        # 1: errors were corrected.
        _run("e2fsck", "-p", str(self.image), allowed=(0, 1))
        self.mount()

    def mount(self) -> None:
        """Mount it; errors make it read-only."""
        _run("mount", "-o", "loop,errors=remount-ro", str(self.image), str(self.root))

    async def unmount(self) -> None:
        """Wait until nobody uses it, and take it away."""

        async def look() -> bool | None:
            if not self.root.is_mount():
                return True
            with contextlib.suppress(VolumeFailed):
                _run("umount", str(self.root))
            return None

        try:
            await until(look, what=f"{self.root} to be unused", within_s=_GONE_WITHIN_S)
        except NotInTime as error:
            raise VolumeFailed(str(error)) from None


def make(folder: Path, *, owner: str = "") -> Volume:
    """A new volume in this folder of a node, mounted, with `data` linked into it.

    `owner`: number and start of the process that takes it away; this one by default.
    """
    if not owner:
        mark = local_process.own()
        owner = f"{mark.pid}-{mark.started_ticks}"
    folder.mkdir(parents=True, exist_ok=True)
    volume = Volume(folder / f"{owner}{_SUFFIX}", folder / "volume")
    volume.root.mkdir()
    with volume.image.open("wb") as file:
        file.truncate(_BYTES)
    _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1", str(volume.image))
    volume.mount()
    with (volume.root / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _BALLAST_BYTES)
    (volume.root / "data").mkdir(mode=0o700)
    # An operator's folder was there long before; the node's own it makes durable by itself.
    sync_folder(volume.root)
    (folder / "data").symlink_to(volume.root / "data", target_is_directory=True)
    return volume


def sweep() -> None:
    """Unmount the volumes of runs that are over."""
    mounts = [line.split()[:2] for line in Path("/proc/mounts").read_text().splitlines()]
    for device, root in mounts:
        backing = _LOOPS / Path(device).name / "loop" / "backing_file"
        with contextlib.suppress(OSError, ValueError):
            image = Path(backing.read_text().strip().removesuffix(" (deleted)"))
            if image.name.endswith(_SUFFIX):
                pid, ticks = image.name.removesuffix(_SUFFIX).split("-")
                if not local_process.is_running(ProcessMark(int(pid), int(ticks))):
                    take_away(Path(root))


def take_away(root: Path) -> None:
    """Unmount, whoever still uses it."""
    _run("umount", "--lazy", str(root))


def why_not() -> str:
    """Why no volume can be made here; empty: it can."""
    for command in ("mount", "umount", "mkfs.ext4", "e2fsck"):
        if shutil.which(command) is None:
            return f"no volume can be mounted here: {command} is missing"
    with tempfile.TemporaryDirectory(prefix="molecule-chaos-") as name:
        volume = Volume(Path(name) / "image", Path(name) / "root")
        volume.root.mkdir()
        with volume.image.open("wb") as file:
            file.truncate(_TRIED_BYTES)
        try:
            _run("mkfs.ext4", "-q", str(volume.image))
            volume.mount()
            try:
                volume.fail()
            finally:
                _run("umount", str(volume.root))
        except VolumeFailed as error:
            return f"no volume can be mounted here: {error}"
    return ""


async def unmount_all(volumes: list[Volume]) -> None:
    """Every one of them, whatever happens to the others."""
    done = await asyncio.gather(*(each.unmount() for each in volumes), return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one


def _run(*command: str, allowed: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        told = (done.stderr or done.stdout).strip().splitlines()
        raise VolumeFailed(f"{command[0]}: {told[0] if told else done.returncode}")
