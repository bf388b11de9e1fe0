"""The simulated disk forgets what real disks forget, and nothing else."""

import random

import pytest

from tests.simulation.disk import Disk, DiskProfile, Killed, Survival

FILE = "/data/file"


def a_disk(seed: int = 1) -> Disk:
    disk = Disk(random.Random(seed), DiskProfile())
    disk.create(FILE)
    disk.sync_folder("/data")
    disk.write(FILE, 0, b"old")
    disk.sync(FILE)
    return disk


def test_write_is_visible_at_once_and_lost_without_a_sync() -> None:
    disk = a_disk()
    disk.write(FILE, 0, b"new")
    assert disk.read(FILE) == b"new"

    disk.lose_power(Survival.NOTHING)

    assert disk.read(FILE) == b"old"


def test_synced_write_survives_a_power_loss() -> None:
    disk = a_disk()
    disk.write(FILE, 0, b"new")
    disk.sync(FILE)

    disk.lose_power(Survival.NOTHING)

    assert disk.read(FILE) == b"new"


def test_sync_covers_only_what_was_written_before_it_began() -> None:
    disk = a_disk()
    disk.write(FILE, 0, b"new")
    syncing = disk.begin_sync(FILE)
    disk.write(FILE, 0, b"NEW")
    disk.finish_sync(syncing)

    disk.lose_power(Survival.NOTHING)

    assert disk.read(FILE) == b"new"


def test_name_without_a_folder_sync_is_lost_with_its_bytes() -> None:
    disk = a_disk()
    disk.create("/data/other")
    disk.write("/data/other", 0, b"x")
    disk.sync("/data/other")

    disk.lose_power(Survival.NOTHING)

    assert not disk.exists("/data/other")


def test_rename_happens_wholly_or_not_at_all() -> None:
    seen = set()
    for seed in range(40):
        disk = a_disk(seed)
        disk.create("/data/next")
        disk.sync_folder("/data")
        disk.rename("/data/next", FILE)
        disk.lose_power(Survival.PREFIX)
        seen.add((disk.exists("/data/next"), disk.exists(FILE)))

    assert seen == {(True, True), (False, True)}


def test_power_loss_tears_a_write_that_was_under_way() -> None:
    left = set()
    for seed in range(60):
        disk = a_disk(seed)
        disk.write(FILE, 3, b"abc")
        disk.lose_power(Survival.PREFIX)
        left.add(disk.read(FILE))

    assert left == {b"old", b"olda", b"oldab", b"oldabc"}


def test_some_later_writes_survive_earlier_ones() -> None:
    left = set()
    for seed in range(60):
        disk = a_disk(seed)
        disk.write(FILE, 3, b"1")
        disk.write(FILE, 4, b"2")
        disk.lose_power(Survival.SOME)
        left.add(disk.read(FILE))

    assert b"old\x002" in left


def test_kill_leaves_everything_written_in_the_page_cache() -> None:
    disk = a_disk()
    disk.write(FILE, 0, b"new")
    disk.dies_after = 0

    with pytest.raises(Killed):
        disk.sync(FILE)
    disk.revive()

    assert disk.read(FILE) == b"new"


def test_full_disk_takes_overwrites_but_nothing_more() -> None:
    disk = a_disk()
    disk.is_full = True

    disk.write(FILE, 0, b"new")
    with pytest.raises(OSError, match="ENOSPC"):
        disk.write(FILE, 3, b"!")

    assert disk.read(FILE) == b"new"


def test_failing_disk_makes_nothing_durable() -> None:
    disk = a_disk()
    disk.write(FILE, 0, b"new")
    disk.is_failing = True

    with pytest.raises(OSError, match="EIO"):
        disk.sync(FILE)
    disk.lose_power(Survival.NOTHING)

    assert disk.read(FILE) == b"old"


def test_flipped_byte_is_durable_until_a_copy_is_put_back() -> None:
    disk = a_disk()
    before = disk.image()
    disk.flip(FILE, 1)
    disk.lose_power(Survival.NOTHING)
    damaged = disk.read(FILE)

    disk.restore(before)
    disk.lose_power(Survival.NOTHING)

    assert (damaged, disk.read(FILE)) == (b"o-d", b"old")
